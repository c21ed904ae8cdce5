"""One Tune run over a searcher: which of Tune's many switches are on, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback

from search.execute.cluster import environment_variables
from search.execute.scheduler import JudgingScheduler
from search.execute.searcher import EngineSearcher
from search.execute.trial import TrialActor, TrialSettings

__all__ = ["tune_trials"]

SWITCHES = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # Tune's CSV and JSON files keep every trial in memory forever
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the study is the truth, so Tune's own snapshots are not needed
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial reports its metrics once, at its end
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def tune_trials(
    searcher: EngineSearcher,
    *,
    settings: TrialSettings,
    arrays: Mapping[str, Any] | None,
    folder: Path,
    retries: int = 2,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Run trials until the searcher has no more, or the user presses Ctrl-C once.

    Args:
        searcher: gives candidates and takes results.
        settings: what all trials have in common.
        arrays: the data set, put into the object store here, once.
        folder: for Tune's own files.
        retries: how often a trial whose process or node died continues elsewhere, from its last state.
        callbacks: further ones, of trackers.
    """
    switches = {**SWITCHES, "TUNE_MAX_PENDING_TRIALS_PG": str(searcher.engine.slots)}  # actors start side by side
    actor = tune.with_parameters(TrialActor, settings=settings, arrays=arrays)
    trainable = tune.with_resources(actor, _placement)
    with environment_variables(switches), _hushed("ray.tune"):
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=JudgingScheduler(searcher, tells=settings.evaluator is not None),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                callbacks=list(callbacks),
                failure_config=tune.FailureConfig(max_failures=retries),
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()


def _placement(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial needs, on one machine; an actor takes another candidate only where that needs the same."""
    needs = {"CPU": config["resources"]["cpu"], "GPU": config["resources"]["gpu"]}
    return tune.PlacementGroupFactory([{name: value for name, value in needs.items() if value > 0}])


def _name(trial: Any) -> str:
    """A trial's name in Tune's files: its number in the study."""
    return f"trial-{trial.config['number']:06d}"


@contextmanager
def _hushed(name: str) -> Iterator[None]:
    """A logger that says nothing for a while: every failure it would tell of is in the records, with its reason."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
