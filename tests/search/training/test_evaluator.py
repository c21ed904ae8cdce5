import dataclasses
import io
import math

import pytest
import torch

from leni.errors import EvaluationError, SpecError
from search.training.data import Data, load
from search.training.evaluator import FunctionEvaluator, TrainingEvaluator, load_function
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate, Configuration

SMALL = Candidate("resnet8", (2, 4, 8), "relu")
RECIPE = Recipe(epochs=2, batch_size=50)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits", train_size=100)


def calling(monkeypatch, function, **keys: object) -> FunctionEvaluator:
    import plugin_evaluators

    monkeypatch.setattr(plugin_evaluators, "given", function, raising=False)
    return FunctionEvaluator("plugin_evaluators:given", RECIPE, **{"seeds": (0,), **keys})


def returning(monkeypatch, value: object, **keys: object) -> FunctionEvaluator:
    return calling(monkeypatch, lambda config, report: value, **keys)


def test_a_training_is_evaluated_epoch_by_epoch_and_counts_by_its_last(data):
    evaluator = TrainingEvaluator(data, RECIPE, (4,), "cpu")
    seen = [len(evaluation.curve) for evaluation in evaluator.evaluate(SMALL)]
    (*_, last) = evaluator.evaluate(SMALL)
    training = list(Training(SMALL, data, RECIPE, seed=4))
    assert seen == [1, 2]
    assert [(point["accuracy"], point["loss"]) for point in last.curve] == [(e.accuracy, e.loss) for e in training]
    assert last.metrics == {
        "accuracy": training[-1].accuracy,
        "accuracy_std": 0.0,
        "accuracies": [training[-1].accuracy],
        "seeds": 1,
        "epochs": 2,
        "replicas": "separate: there is one seed",
    }


def test_several_seeds_give_mean_deviation_and_a_curve_each(data):
    (*_, last) = TrainingEvaluator(data, RECIPE, (6, 2)).evaluate(SMALL)
    point, metrics = last.curve[-1], last.metrics
    first, second = metrics["accuracies"]
    assert [(row["seed"], row["accuracy"]) for row in point["seeds"]] == [(6, first), (2, second)]
    assert point["accuracy"] == metrics["accuracy"] == pytest.approx((first + second) / 2)
    assert point["loss"] == pytest.approx(sum(row["loss"] for row in point["seeds"]) / 2)
    assert metrics["accuracy_std"] == pytest.approx(abs(first - second) / math.sqrt(2))
    assert (metrics["seeds"], metrics["epochs"]) == (2, 2)


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_an_evaluation_taken_up_again_ends_with_the_numbers_of_an_uninterrupted_one(data, epochs):
    evaluator = TrainingEvaluator(data, dataclasses.replace(RECIPE, epochs=3), (6, 2))
    run = evaluator.start(SMALL)
    for _ in range(epochs):
        next(run)
    torch.save(run.state_dict(), stored := io.BytesIO())
    stored.seek(0)
    (*_, whole) = run
    resumed = evaluator.start(SMALL, torch.load(stored))
    assert len(resumed.evaluation.curve) == epochs
    (*_, last) = resumed
    assert last == whole


def test_a_state_is_a_copy(data):
    run = TrainingEvaluator(data, RECIPE, (1,)).start(SMALL)
    next(run)
    state = run.state_dict()
    next(run)
    assert [point["epoch"] for point in state["curve"]] == [1]
    assert state["metrics"]["epochs"] == 1


def test_a_function_reports_its_curve_and_gets_the_candidate():
    evaluator = FunctionEvaluator("plugin_evaluators:by_width", RECIPE, seeds=(5,))
    run = evaluator.start(SMALL, {"anything": 1})
    (evaluation,) = run
    accuracy = 1 - 1 / 15
    assert [point["accuracy"] for point in evaluation.curve] == [accuracy / 2, accuracy]
    assert evaluation.curve[0]["seeds"] == [{"seed": 5, "epoch": 1, "accuracy": accuracy / 2, "loss": None}]
    assert evaluation.metrics == {"accuracy": accuracy}
    assert run.state_dict() is None


def test_a_function_is_called_with_each_seed_and_its_metrics_averaged(monkeypatch):
    def function(config, report):
        for epoch in range(config["seed"]):
            report(0.1 * config["seed"] + 0.01 * epoch)
        return {"accuracy": 0.1 * config["seed"], "latency": 2.0 + config["seed"], "params": 40}

    (evaluation,) = calling(monkeypatch, function, seeds=(3, 1)).evaluate(SMALL)
    metrics = evaluation.metrics
    assert metrics["accuracies"] == pytest.approx([0.3, 0.1])
    assert (metrics["accuracy"], metrics["accuracy_std"]) == (pytest.approx(0.2), pytest.approx(math.sqrt(0.02)))
    assert (metrics["latency"], metrics["params"], metrics["seeds"]) == (4.0, 40, 2)
    assert [point["accuracy"] for point in evaluation.curve] == pytest.approx([0.2, 0.31, 0.32])
    assert [[row["seed"] for row in point["seeds"]] for point in evaluation.curve] == [[3, 1], [3], [3]]


def test_a_function_whose_seeds_do_not_agree_in_what_they_count_is_refused(monkeypatch):
    def function(config, report):
        return {"accuracy": 0.5, "params": 40 + config["seed"]}

    with pytest.raises(EvaluationError, match="the same metrics and counts with each seed"):
        list(calling(monkeypatch, function, seeds=(3, 1)).evaluate(SMALL))


def test_a_function_of_a_space_of_its_own_gets_its_values_and_gives_its_objectives(monkeypatch):
    def function(config, report):
        return {"loss": 0.5 * config["depth"], "cost": config["seed"]}

    point = Configuration({"depth": 3})
    (evaluation,) = calling(monkeypatch, function, seeds=(7,), objectives=("cost",)).evaluate(point)
    assert evaluation.metrics == {"loss": 1.5, "cost": 7}
    with pytest.raises(EvaluationError, match="must return a mapping with 'time'"):
        list(returning(monkeypatch, {"cost": 1}, objectives=("cost", "time")).evaluate(point))
    taken = {"objectives": ("cost",), "taken": ("depth",)}
    (evaluation,) = returning(monkeypatch, {"depth": 1, "cost": 2}, **taken).evaluate(point)
    assert evaluation.metrics == {"cost": 2, "metric:depth": 1}


@pytest.mark.parametrize("value", [None, 0.5, {}, {"accuracy": math.nan}, {"accuracy": "high"}, {"accuracy": True}])
def test_a_function_must_return_a_finite_accuracy(monkeypatch, value):
    with pytest.raises(EvaluationError, match="must return"):
        list(returning(monkeypatch, value).evaluate(SMALL))


def test_a_function_need_not_return_what_is_known_of_a_network(monkeypatch):
    evaluator = returning(monkeypatch, {"accuracy": 0.25}, objectives=("accuracy", "params", "macs"))
    (evaluation,) = evaluator.evaluate(SMALL)
    assert evaluation.metrics == {"accuracy": 0.25}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing", "module:function"),
        ("no_such:f", "cannot import"),
        ("math:nothing", "no function"),
        ("math:pi", "not"),
    ],
)
def test_load_function_says_what_is_wrong(path, words):
    with pytest.raises(SpecError, match=words):
        load_function(path)
