import pytest
from ray.tune.search import Searcher

from search.decide.samplers import sampler
from search.engine.asker import Asker
from search.engine.budget import Budget
from search.engine.core import Engine
from search.engine.needs import Needs
from search.execute.searcher import EngineSearcher
from search.store.checkpoints import Checkpoints
from search.store.trials import StudyStore
from spaces import SearchSpace


class Recorder:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def begun(self, number, candidate) -> None:
        self.told.append(("begun", number))

    def reported(self, number, epoch) -> None:
        self.told.append(("reported", number, epoch["epoch"]))

    def ended(self, number, candidate, costs, outcome) -> None:
        self.told.append(("ended", number, outcome.state))


@pytest.fixture
def searcher(tmp_path):
    """Four candidates, two slots, three trials."""
    objectives = {"accuracy": "maximize", "params": "minimize"}
    space = SearchSpace("tiny", "resnet8", ["relu", "leni"], "all", [0.5, 1.0])
    asker = Asker(space, sampler("random", seed=0), directions=list(objectives.values()), seed=0, check=lambda _: None)
    store = StudyStore(f"sqlite:///{tmp_path / 'study.db'}", objectives)
    yield EngineSearcher(
        Engine(
            asker, store, costs=lambda _: {"params": 7, "macs": 9}, budget=Budget(3), slots=2, observers=[Recorder()]
        )
    )
    store.close()


def point(epoch: int) -> dict:
    return {"epoch": epoch, "accuracy": 0.5, "loss": 1.0}


def test_suggest_fills_the_slots_and_ends_with_the_trials(searcher):
    assert searcher.suggest("a")["number"] == 0
    assert searcher.suggest("b")["number"] == 1
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("b", {"metrics": [("accuracy", 0.5)]})
    assert searcher.suggest("c")["number"] == 2
    assert searcher.suggest("d") is None
    searcher.on_trial_complete("a", {"metrics": [("accuracy", 0.5)]})
    assert searcher.suggest("d") == Searcher.FINISHED


def test_a_completed_trial_is_in_the_study_once_with_its_curve(searcher):
    searcher.suggest("a")
    searcher.on_trial_result("a", {"curve": [point(1)]})
    last = {"curve": [point(2)], "metrics": [("accuracy", 0.5), ("epochs", 2)]}
    searcher.on_trial_result("a", last)
    searcher.on_trial_complete("a", last)
    searcher.on_trial_complete("a", last)
    (record,) = searcher.engine.ledger.records()
    assert (record["state"], record["accuracy"], record["params"], record["macs"]) == ("completed", 0.5, 7, 9)
    assert [row["epoch"] for row in searcher.engine.ledger.curves()] == [1, 2]
    told = [("begun", 0), ("reported", 0, 1), ("reported", 0, 2), ("ended", 0, "completed")]
    assert searcher.engine.observers[0].told == told


@pytest.mark.parametrize(
    ("said", "reason"), [(OSError("the power went\nat home"), "ended: the power went"), (None, "killed")]
)
def test_a_trial_whose_process_died_has_failed_with_the_reason(searcher, said, reason):
    searcher.suggest("a")
    searcher.died("a", OSError("the first time"))
    assert searcher.engine.ledger.records() == []
    searcher.died("a", said)
    searcher.on_trial_complete("a", error=True)
    (record,) = searcher.engine.ledger.records()
    assert record["state"] == "failed"
    assert reason in record["error"]
    assert "at home" not in record["error"]


def test_a_trial_that_was_stopped_is_no_completed_one(searcher):
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"curve": [point(1)]})
    (record,) = searcher.engine.ledger.records()
    assert (record["state"], record["epochs"]) == ("stopped", 1)


def test_the_sampler_learns_of_completed_trials_alone(searcher):
    for name, result in (("a", {"metrics": [("accuracy", 0.25)]}), ("b", {"error": "no luck"})):
        searcher.suggest(name)
        searcher.on_trial_complete(name, result)
    values = [trial.values for trial in searcher.engine.asker.study.trials if trial.values]
    assert values == [[0.25, 7.0]]


class Stopping:
    """A pruner that stops at an epoch, and writes down what it is told."""

    def __init__(self, at: int) -> None:
        self.at, self.told, self.recipes = at, [], []

    def begin(self, number, costs, recipe) -> None:
        self.told.append(("begin", number, costs))
        self.recipes.append(recipe)

    def report(self, number, epoch, value) -> bool:
        self.told.append(("report", number, epoch, value))
        return epoch == self.at

    def end(self, number, state, values=None) -> None:
        self.told.append(("end", number, state))
        self.values = values


def test_pruner_is_told_of_every_epoch_once_and_stops(searcher):
    searcher.engine.pruner = Stopping(at=2)
    searcher.suggest("a")
    assert not searcher.judge("a", {"curve": [point(1)]})
    assert searcher.judge("a", {"curve": [point(1), point(2), point(3)]})
    searcher.on_trial_complete("a", {"curve": [point(3)]})
    expected = [("begin", 0, (7,)), *(("report", 0, epoch, 0.5) for epoch in (1, 2)), ("end", 0, "stopped")]
    assert searcher.engine.pruner.told == expected
    (record,) = searcher.engine.ledger.records()
    assert (record["state"], record["epochs"], record["accuracy"]) == ("stopped", 2, 0.5)


def test_pruner_is_told_recipe_and_final_values(searcher):
    judge = searcher.engine.pruner = Stopping(at=9)
    searcher.suggest("a")
    assert set(judge.recipes[0]) >= {"activation", "lr_factor", "width.1"}
    assert judge.recipes[0]["backbone"] == "resnet8"
    searcher.on_trial_complete("a", {"curve": [point(1)], "metrics": [("accuracy", 0.75)]})
    assert judge.told[-1] == ("end", 0, "completed")
    assert judge.values == (0.75,)


def test_trial_that_is_done_is_not_stopped(searcher):
    searcher.engine.pruner = Stopping(at=1)
    searcher.suggest("a")
    assert not searcher.judge("a", {"curve": [point(1)], "done": True, "metrics": [("accuracy", 0.5)]})


@pytest.mark.parametrize("metrics", [[("accuracy", float("nan"))], [("other", 1.0)]])
def test_objective_without_a_finite_value_fails_the_trial(searcher, metrics):
    searcher.suggest("a")
    searcher.on_trial_complete("a", {"metrics": metrics})
    (record,) = searcher.engine.ledger.records()
    assert (record["state"], record["error"]) == ("failed", "there is no finite value for the objective accuracy")


def test_trial_out_of_memory_is_tried_once_more_alone_at_the_end(searcher):
    searcher.engine.needs = lambda _: Needs(1, 0.5)
    full = {"error": "OutOfMemoryError: CUDA out of memory"}
    searcher.suggest("a"), searcher.suggest("b")
    searcher.on_trial_complete("a", full)
    assert searcher.suggest("c")["number"] == 2  # the others go first
    searcher.on_trial_complete("b", {"metrics": [("accuracy", 0.5)]})
    assert searcher.suggest("d") is None  # not beside the last of them
    searcher.on_trial_complete("c", {"metrics": [("accuracy", 0.5)]})
    assert searcher.suggest("d")["number"] == 0
    assert searcher.suggest("e") is None
    searcher.on_trial_complete("d", full)
    assert searcher.suggest("e") == Searcher.FINISHED
    assert [record["state"] for record in searcher.engine.ledger.records()] == ["failed", "completed", "completed"]


def test_candidate_that_is_asked_for_again_gets_the_seeds_that_follow(searcher):
    searcher.engine.seeds, searcher.engine.asker.duplicates = (5, 6), "reseed"
    first = searcher.suggest("a")
    assert first["seeds"] == [5, 6]
    searcher.on_trial_complete("a", {"metrics": [("accuracy", 0.5)]})
    searcher.engine.budget = Budget(50)
    for name in range(40):
        again = searcher.suggest(str(name))
        searcher.on_trial_complete(str(name), {"metrics": [("accuracy", 0.5)]})
        if again["candidate"] == first["candidate"]:
            break
    assert again["seeds"] == [7, 8]


@pytest.mark.parametrize("kept", [True, False])
def test_a_function_that_the_searchs_time_has_ended_goes_on_where_it_has_a_checkpoint(searcher, tmp_path, kept):
    number = searcher.suggest("a")["number"]
    searcher.engine.budget, searcher.engine.started = Budget(3, wall_s=1.0, grace_s=0.0), -1e9
    searcher.checkpoints = Checkpoints(str(tmp_path / "states"))
    if kept:
        searcher.checkpoints.save(number, {"anything": 1})
    assert searcher.overdue({"a": 0.0}) == ["a"]
    searcher.on_trial_complete("a", error=True)
    assert len(searcher.engine.ledger.interrupted()) == kept
    assert searcher.checkpoints.holds(number) == kept
