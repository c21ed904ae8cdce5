import pytest
from ray.tune.search import Searcher

from search.decide.asker import Asker
from search.decide.samplers import sampler
from search.execute.searcher import StudySearcher
from search.study import StudyStore
from spaces import Cost, SearchSpace


class Recorder:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def begun(self, number, candidate) -> None:
        self.told.append(("begun", number))

    def reported(self, number, epoch) -> None:
        self.told.append(("reported", number, epoch["epoch"]))

    def ended(self, number, candidate, cost, outcome) -> None:
        self.told.append(("ended", number, outcome.state))


@pytest.fixture
def searcher(tmp_path):
    """Four candidates, two slots, three trials."""
    objectives = {"accuracy": "maximize", "params": "minimize"}
    space = SearchSpace("tiny", "resnet8", ["relu", "leni"], "all", [0.5, 1.0])
    asker = Asker(space, sampler("random", seed=0), directions=list(objectives.values()), seed=0, check=lambda _: None)
    store = StudyStore(f"sqlite:///{tmp_path / 'study.db'}", objectives)
    yield StudySearcher(asker, store, cost=lambda _: Cost(7, 9), trials=3, slots=2, observers=[Recorder()])
    store.close()


def point(epoch: int) -> dict:
    return {"epoch": epoch, "accuracy": 0.5, "loss": 1.0}


def test_suggest_fills_the_slots_and_ends_with_the_trials(searcher):
    assert searcher.suggest("a")["number"] == 0
    assert searcher.suggest("b")["number"] == 1
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("b", {"metrics": [("accuracy", 0.5)]})
    assert searcher.suggest("c")["number"] == 2
    assert searcher.suggest("d") == Searcher.FINISHED


def test_a_completed_trial_is_in_the_study_once_with_its_curve(searcher):
    searcher.suggest("a")
    searcher.on_trial_result("a", {"curve": [point(1)]})
    last = {"curve": [point(2)], "metrics": [("accuracy", 0.5), ("epochs", 2)]}
    searcher.on_trial_result("a", last)
    searcher.on_trial_complete("a", last)
    searcher.on_trial_complete("a", last)
    (record,) = searcher.store.records()
    assert (record["state"], record["accuracy"], record["params"], record["macs"]) == ("completed", 0.5, 7, 9)
    assert [row["epoch"] for row in searcher.store.curves()] == [1, 2]
    told = [("begun", 0), ("reported", 0, 1), ("reported", 0, 2), ("ended", 0, "completed")]
    assert searcher.observers[0].told == told


def test_a_crashed_trial_waits_for_its_reason(searcher):
    searcher.suggest("a")
    searcher.on_trial_complete("a", error=True)
    assert searcher.store.records() == []
    searcher.crashed("a", "the power went")
    (record,) = searcher.store.records()
    assert (record["state"], record["error"]) == ("failed", "the power went")


def test_a_trial_that_was_stopped_is_no_completed_one(searcher):
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"curve": [point(1)]})
    (record,) = searcher.store.records()
    assert (record["state"], record["epochs"]) == ("stopped", 1)


def test_the_sampler_learns_of_completed_trials_alone(searcher):
    for name, result in (("a", {"metrics": [("accuracy", 0.25)]}), ("b", {"error": "no luck"})):
        searcher.suggest(name)
        searcher.on_trial_complete(name, result)
    values = [trial.values for trial in searcher.asker.study.trials if trial.values]
    assert values == [[0.25, 7.0]]
