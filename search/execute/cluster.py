"""Ray itself: start it or join it, count what it has, and leave nothing behind."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import ray

from leni.errors import SpecError
from search.engine.needs import Capacity, Needs
from search.execute.scratch import scratch
from search.store.secrets import masked, with_secrets
from search.training.cpus import usable_cpus

__all__ = ["capacity", "slots", "started"]

OWN = Path(__file__).resolve().parents[2]  # the folder of leni, spaces, search and results
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will have it, and without the warning that it will
}

SILENT = {"RAY_BACKEND_LOG_LEVEL": "fatal"}


@contextmanager
def started(address: str | None, *, quiet: bool = False) -> Iterator[None]:
    """Ray for the length of a block.

    A Ray that runs in this process already is used and left running. Otherwise one is started on this machine, for the
    CPUs that this process may use and with a folder of its own that is removed with it, or the cluster at `address` is
    joined and left at the end.

    Args:
        address: of a cluster, "auto" or "ray://host:port" or "host:port"; None for this machine.
        quiet: whether Ray's native part writes nothing to the terminal, where it reports what it recovers from.

    Raises:
        SpecError: there is no cluster at this address.
    """
    if ray.is_initialized():
        yield
        return
    with (
        environment_variables({**QUIET, **(SILENT if quiet else {})}),
        scratch() if address is None else nullcontext() as folder,
    ):
        try:
            with _workers_spared():
                ray.init(
                    address="local" if address is None else with_secrets(address),
                    num_cpus=usable_cpus() if address is None else None,
                    include_dashboard=False if address is None else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
        except (ConnectionError, ValueError) as error:
            lines = str(error).splitlines() or ["no answer"]
            hint = "" if "RAY_AUTH_MODE" in os.environ else " (if it asks for a token, set RAY_AUTH_MODE=token)"
            raise SpecError(
                f"cannot join the Ray cluster at {masked(str(address))}: {masked(lines[0])}{hint}", code="LS-RAY-JOIN"
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def environment_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that are set for the length of a block, where the user has not set them."""
    ours = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def _workers_spared() -> Iterator[None]:
    """Keep the command's folder from hiding what workers import, for the time in which Ray starts.

    Ray puts the folder in which it is started first on its workers' module path, before the standard library. Modules
    of that folder are found by `TrialSettings.import_path`, which puts it last. A checkout of this package is what
    workers have to import, so there it stays first.
    """
    here, path = os.path.realpath(os.getcwd()), os.environ.get("PYTHONPATH")  # noqa: PTH109
    installed = "site-packages" in OWN.parts or "dist-packages" in OWN.parts
    if path is not None and here != str(OWN):
        os.environ["PYTHONPATH"] = os.pathsep.join(
            entry for entry in path.split(os.pathsep) if entry and os.path.realpath(entry) != here
        )
    os.chdir(sys.prefix if installed else OWN)
    try:
        yield
    finally:
        os.chdir(here)
        if path is not None:
            os.environ["PYTHONPATH"] = path


def capacity() -> Capacity:
    """What each machine of Ray's has."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Capacity(tuple(Needs(has.get("CPU", 0.0), has.get("GPU", 0.0)) for has in alive))


def slots(cpus_per_trial: float, gpus_per_trial: float, *, workers: int | None = None) -> int:
    """How many trials run at once on what Ray has.

    Args:
        cpus_per_trial: CPUs a trial asks for; fractions share one.
        gpus_per_trial: GPUs a trial asks for; fractions share one, 0 is none.
        workers: at most so many, None for as many as fit.

    Raises:
        SpecError: not even one trial fits.
    """
    has = ray.cluster_resources()
    fit = workers if workers is not None else 10_000
    for name, wanted in (("CPU", cpus_per_trial), ("GPU", gpus_per_trial)):
        if wanted > 0:
            if has.get(name, 0) < wanted:
                raise SpecError(
                    f"{name.lower()}s_per_trial is {wanted:g}, but Ray has {has.get(name, 0):g} {name}s in all",
                    code="LS-RESOURCES",
                )
            fit = min(fit, int(has[name] / wanted + 1e-9))
    return fit
