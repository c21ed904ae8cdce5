"""What all tests share: one Ray for the session or none, evaluators that its workers import, the order of the files."""

import itertools
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read where numpy is imported; see `pytest_configure` for why

import optuna
import torch

EVALUATORS = Path(__file__).parent / "search" / "evaluators"
sys.path.insert(0, str(EVALUATORS))  # before Ray starts: its workers get the driver's path
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # else every Ray begins with two workers, for one trial

# Files of several seconds of processor time each (`pytest --durations 0`), longest first: what begins last should be
# short, or one process waits for the other. `make quick` leaves them out.
LONG = (
    "search/test_kill.py",
    "search/test_kill_functions.py",
    "search/service/test_service.py",
    "search/driver/test_run_search.py",
    "search/service/test_browser.py",
    "search/test_faults.py",
    "search/test_users_names.py",
    "search/followup/test_confirm.py",
    "search/simulation/test_same_as_run.py",
    "search/test_safe_folder.py",
    "search/cli/test_bench.py",
    "search/execute/test_trackers.py",
    "search/execute/test_live_functions.py",
    "search/execute/test_misbehaving_functions.py",
    "search/driver/test_odd_paths.py",
    "search/test_plugins.py",
    "results/report/test_page.py",
    "search/engine/test_asker.py",
    "search/decide/known_cost/test_sampler.py",
    "search/export/test_export.py",
    "leni/kernels/test_triton.py",
    "leni/test_export.py",
    "search/cli/test_command_folder.py",
    "leni/test_swapping.py",
    "search/execute/test_limits.py",
    "search/decide/test_samplers.py",
    "results/analyses/test_ablation.py",
    "search/service/test_contract.py",
    "search/followup/test_inspect.py",
    "search/followup/test_ablate.py",
    "search/decide/stopping/test_learned.py",
    "search/service/test_strange_requests.py",
    "results/analyses/test_compensation.py",
    "search/store/test_trials.py",
    "search/simulation/test_benchmark.py",
    "results/stats/test_paired.py",
    "search/cli/test_runs.py",
    "search/service/test_api.py",
    "leni/test_narrowing.py",
    "search/training/test_narrow_networks.py",
    "search/test_any_space.py",
    "search/service/test_launch.py",
    "test_imports.py",
    "leni/test_survey.py",
    "search/training/test_replicas.py",
    "search/followup/test_retune.py",
    "results/analyses/test_comparison.py",
    "search/cli/test_views.py",
    "search/cli/test_analysis.py",
    "search/bench/test_network.py",
)
# Fixtures that need Ray, a browser or a server; `make quick` leaves out what uses one.
HEAVY = frozenset({"ray_session", "browser", "server", "puppet_server", "shown"})


@pytest.fixture(scope="session", autouse=True)
def image_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Decoded images of image folders are kept in a folder of the session, also those that its processes decode."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("images")
        patch.setenv("LENI_SEARCH_CACHE", str(folder))
        yield folder


def pytest_configure() -> None:
    """Let torch have one thread: several processes run tests, whose threads would wait for one another."""
    torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="moments at which a driver is killed, in test_kill.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill_seed" in metafunc.fixturenames:
        metafunc.parametrize("kill_seed", range(metafunc.config.getoption("--kills")))


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    if gone := [str(path) for path in places if not path.is_file()]:
        raise pytest.UsageError(f"tests/conftest.py lists {', '.join(gone)} in LONG, which does not exist")
    for item in items:
        if item.path in places or HEAVY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.heavy)
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on this machine, shared by all tests that need one."""
    from search.execute.cluster import started

    with started(None):
        yield


@contextmanager
def _no_ray() -> Iterator[None]:
    """Let searches run their trials one after another in this process: all that they do, but for Ray's part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.driver.run_search.started", lambda *_, **__: nullcontext())
        patch.setattr("search.driver.run_search.slots", lambda *_, **__: 1)
        patch.setattr("search.driver.run_search.tune_trials", _trials_here)
        yield


def _trials_here(searcher: Any, *, settings: Any, arrays: Any, **_: Any) -> None:
    """What `tune_trials` does, with the actor of the trials in this process."""
    from search.execute.trial import TrialActor

    actor = None
    for trial_id in map(str, itertools.count()):
        config = searcher.suggest(trial_id)
        assert config is not None, "no trial runs, so there is room for one"
        if config == searcher.FINISHED:
            return
        if actor is None:
            actor = TrialActor.__new__(TrialActor)
            actor.setup(config, settings=settings, arrays=arrays)
        else:
            actor.reset_config(config)
        report = actor.step()
        while not report["done"]:
            if searcher.judge(trial_id, report):
                if settings.evaluator is None:
                    break
                actor.tell_stop()
            if "ask" in report:
                actor.answer(*searcher.suggest_parameter(trial_id, *report["ask"]))
            report = actor.step()
            assert "hung" not in report, "a function that does not stop needs a process that can be killed"
        searcher.on_trial_complete(trial_id, report)


@pytest.fixture(scope="session")
def no_ray() -> Callable[[], AbstractContextManager[None]]:
    """A block in which searches use no Ray: seconds less for a test that is about something else."""
    return _no_ray


@pytest.fixture
def without_ray() -> Iterator[None]:
    """As `no_ray`, for a whole test."""
    with _no_ray():
        yield


def _restored() -> Iterator[None]:
    """Torch's threads and Optuna's lines belong to the process: a test that sets them leaves them as they were."""
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()
    yield
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(verbosity)


_each_module = pytest.fixture(_restored, scope="module", autouse=True, name="_each_module")
_each_test = pytest.fixture(_restored, autouse=True, name="_each_test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has printed or logged, without lone surrogates: pytest-xdist ends the whole run by one of them."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
