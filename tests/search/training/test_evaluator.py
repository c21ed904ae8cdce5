import math

import pytest

from leni.errors import EvaluationError, SpecError
from search.training.data import load
from search.training.evaluator import FunctionEvaluator, TrainingEvaluator, load_function
from search.training.recipe import Recipe
from spaces import Candidate

SMALL = Candidate("resnet8", (2, 4, 8), "relu")


def returning(monkeypatch, value: object) -> FunctionEvaluator:
    import plugin_evaluators

    monkeypatch.setattr(plugin_evaluators, "returning", lambda config, report: value, raising=False)
    return FunctionEvaluator("plugin_evaluators:returning", Recipe(epochs=2), seed=0)


def test_a_training_is_evaluated_epoch_by_epoch_and_counts_by_its_last():
    evaluator = TrainingEvaluator(load("digits", train_size=100), Recipe(epochs=2, batch_size=50), 0, "cpu")
    seen = [len(evaluation.curve) for evaluation in evaluator.evaluate(SMALL)]
    (*_, last) = evaluator.evaluate(SMALL)
    assert seen == [1, 2]
    assert last.metrics["accuracy"] == last.curve[-1].accuracy


def test_a_function_reports_its_curve_and_gets_the_candidate():
    evaluator = FunctionEvaluator("plugin_evaluators:by_width", Recipe(epochs=2), seed=0)
    (evaluation,) = evaluator.evaluate(SMALL)
    accuracy = 1 - 1 / 15
    assert [point.accuracy for point in evaluation.curve] == [accuracy / 2, accuracy]
    assert evaluation.metrics == {"accuracy": accuracy}


@pytest.mark.parametrize("value", [None, 0.5, {}, {"accuracy": math.nan}, {"accuracy": "high"}, {"accuracy": True}])
def test_a_function_must_return_a_finite_accuracy(monkeypatch, value):
    with pytest.raises(EvaluationError, match="must return"):
        list(returning(monkeypatch, value).evaluate(SMALL))


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
