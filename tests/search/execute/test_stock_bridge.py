"""Faults of Ray Tune's own OptunaSearch, shown on it, and their absence on ours: both are told the same."""

import math

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from search.decide.samplers import sampler
from search.engine.asker import Asker
from search.engine.budget import Budget
from search.engine.core import Engine
from search.engine.replay import replay
from search.execute.searcher import EngineSearcher
from search.store.trials import StudyStore
from spaces import space

SPACE = space({"name": "line", "parameters": {"x": {"low": 0.0, "high": 1.0}}})
OBJECTIVES = {"gain": "maximize", "cost": "minimize"}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage(tmp_path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")


def define(trial: optuna.Trial) -> None:
    """The space, as OptunaSearch wants it."""
    trial.suggest_float("x", 0.0, 1.0)


def stock(tmp_path) -> OptunaSearch:
    return OptunaSearch(
        define, metric=list(OBJECTIVES), mode=["max", "min"],
        sampler=optuna.samplers.RandomSampler(seed=0), storage=storage(tmp_path), study_name="leni-search",
    )  # fmt: skip


def ours(tmp_path) -> EngineSearcher:
    store = StudyStore(f"sqlite:///{tmp_path / 'study.db'}", OBJECTIVES)
    asker = Asker(SPACE, sampler("random", seed=0), directions=list(OBJECTIVES.values()), seed=0, check=lambda _: None)
    engine = Engine(asker, store, costs=lambda _: {}, budget=Budget(9), slots=9)
    replay(engine, store)
    return EngineSearcher(engine)


def states(tmp_path) -> list[TrialState]:
    return [trial.state for trial in optuna.load_study(study_name="leni-search", storage=storage(tmp_path)).trials]


def test_nan_leaves_a_trial_running_for_ever_there_and_fails_it_here(tmp_path):
    (tmp_path / "stock").mkdir()
    bridge, searcher = stock(tmp_path / "stock"), ours(tmp_path)
    bridge.suggest("a")
    bridge.on_trial_complete("a", {"gain": math.nan, "cost": 1.0})
    assert states(tmp_path / "stock") == [TrialState.RUNNING]
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"metrics": [("gain", math.nan), ("cost", 1.0)]})
    assert states(tmp_path) == [TrialState.FAIL]
    assert searcher.engine.ledger.records()[0]["error"] == "there is no finite value for the objective gain"


def test_stopped_trial_is_a_complete_one_there_and_none_here(tmp_path):
    (tmp_path / "stock").mkdir()
    bridge, searcher = stock(tmp_path / "stock"), ours(tmp_path)
    bridge.suggest("a")
    bridge.on_trial_result("a", {"gain": 0.1, "cost": 1.0, "training_iteration": 1})
    bridge.on_trial_complete("a", {"gain": 0.1, "cost": 1.0, "training_iteration": 1, "done": True})
    assert states(tmp_path / "stock") == [TrialState.COMPLETE]  # with the accuracy of its first epoch
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"curve": [{"epoch": 1, "accuracy": 0.1}], "done": True})
    assert states(tmp_path) == [TrialState.PRUNED]
    assert searcher.engine.asker.study.best_trials == []


def test_trials_of_a_killed_driver_stay_running_there_and_go_on_here(tmp_path):
    (tmp_path / "stock").mkdir()
    bridge, searcher = stock(tmp_path / "stock"), ours(tmp_path)
    bridge.suggest("a")
    bridge.save(str(tmp_path / "snapshot"))  # at least ten seconds apart, so it misses what follows
    bridge.suggest("b")
    again = stock(tmp_path / "stock")
    again.restore(str(tmp_path / "snapshot"))
    again.on_trial_complete("a", {"gain": 0.5, "cost": 1.0})
    again.suggest("b")
    again.on_trial_complete("b", {"gain": 0.5, "cost": 1.0})
    assert states(tmp_path / "stock").count(TrialState.RUNNING) == 1  # nobody will ever end it
    searcher.suggest("a"), searcher.suggest("b")
    later = ours(tmp_path)
    for name in ("c", "d"):
        later.suggest(name)
        later.on_trial_complete(name, {"metrics": [("gain", 0.5), ("cost", 1.0)]})
    assert states(tmp_path) == [TrialState.COMPLETE, TrialState.COMPLETE]
