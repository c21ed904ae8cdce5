import dataclasses
import io
import math

import pytest
import torch

from search.training.data import Data, load
from search.training.recipe import Recipe
from search.training.train import Training
from search.training.training_run import TrainingEvaluator
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 8), "relu")
RECIPE = Recipe(epochs=2, batch_size=50)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits", train_size=100)


def test_a_training_is_evaluated_epoch_by_epoch_and_counts_by_its_last(data):
    evaluator = TrainingEvaluator(data, RECIPE, (4,), "cpu")
    seen = [len(evaluation.curve) for evaluation in evaluator.evaluate(SMALL)]
    (*_, last) = evaluator.evaluate(SMALL)
    alone = Training(SMALL, data, RECIPE, seed=4)
    training = list(alone)
    assert seen == [1, 2]
    assert [(point["accuracy"], point["loss"]) for point in last.curve] == [(e.accuracy, e.loss) for e in training]
    assert last.metrics == {
        "accuracy": training[-1].accuracy,
        "accuracy_std": 0.0,
        "accuracies": [training[-1].accuracy],
        "seeds": 1,
        "epochs": 2,
        "replicas": "separate: there is one seed",
        **alone.scores()[0],
    }
    assert last.metrics["balanced_accuracy"] != last.metrics["macro_f1"]


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


def test_advance_trains_for_the_time_but_an_epoch_at_least(data):
    run = TrainingEvaluator(data, dataclasses.replace(RECIPE, epochs=3), (1,)).start(SMALL)
    assert not run.advance(0.0)
    assert [point["epoch"] for point in run.evaluation.curve] == [1]
    assert run.advance(math.inf)
    assert [point["epoch"] for point in run.evaluation.curve] == [1, 2, 3]
