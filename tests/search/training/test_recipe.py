import math

import pytest

from leni.errors import SpecError
from search.training.recipe import Recipe

BAD = [("epochs", 0), ("lr", 0.0), ("lr", math.nan), ("momentum", 1.0), ("label_smoothing", 1.0), ("epochs", 1.5)]


@pytest.mark.parametrize(
    ("name", "value"), [*BAD, ("amp", 1), ("cuda_graph", "no"), ("batch_size", True), ("clip", "much")]
)
def test_recipe_refuses_an_impossible_value_by_name(name, value):
    with pytest.raises(SpecError, match=f"^{name} must"):
        Recipe(**{name: value})


def test_recipe_by_default_is_sgd_with_nesterov_momentum_and_a_cosine():
    values = {name: value for name, value in Recipe().values().items() if value is not None}
    assert values == {
        "epochs": 12, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 1.0,
        "label_smoothing": 0.0, "clip": 0.0, "amp": True, "cuda_graph": True, "accumulate": 1, "optimizer": "sgd",
        "nesterov": True, "schedule": "cosine", "loss": "cross-entropy", "augmentation": "data", "policy": "none",
        "erasing": 0.0, "mixup": 0.0, "cutmix": 0.0, "ema": 0.0, "weights": "", "freeze": "none",
    }  # fmt: skip


def test_recipe_fills_in_what_belongs_to_the_optimizer_schedule_and_policy():
    recipe = Recipe(optimizer="adamw", schedule="step", policy="randaugment", beta2=0.95)
    assert (recipe.lr, recipe.weight_decay, recipe.beta1, recipe.beta2, recipe.eps) == (1e-3, 0.01, 0.9, 0.95, 1e-8)
    assert (recipe.milestones, recipe.gamma, recipe.policy_operations) == ((0.5, 0.75), 0.1, 2)
    assert recipe.momentum is recipe.nesterov is recipe.alpha is None


FOREIGN = [
    ({"optimizer": "adamw", "momentum": 0.9}, "momentum must not be given with optimizer 'adamw'; it belongs to sgd"),
    ({"beta1": 0.8}, "beta1 must not be given with optimizer 'sgd'"),
    ({"gamma": 0.5}, "gamma must not be given with schedule 'cosine'; it belongs to step"),
    ({"policy": "trivialaugment", "policy_magnitude": 3}, "it belongs to randaugment"),
]


@pytest.mark.parametrize(("values", "sentence"), FOREIGN)
def test_recipe_refuses_a_key_of_another_optimizer_schedule_or_policy(values, sentence):
    with pytest.raises(SpecError, match=sentence):
        Recipe(**values)


def test_recipe_names_the_nearest_of_an_unknown_choice():
    with pytest.raises(SpecError, match=r"^optimizer must be one of sgd, .*'adamw' is nearest"):
        Recipe(optimizer="adamww")


@pytest.mark.parametrize("marks", [(0.5, 0.5), (0.7, 0.3), (0.0, 0.5), (0.5, 1.0), ("half",), (True,)])
def test_recipe_refuses_milestones_that_are_no_increasing_fractions(marks):
    with pytest.raises(SpecError, match=r"^milestones must be increasing fractions"):
        Recipe(schedule="step", milestones=marks)


def test_recipe_refuses_what_does_not_go_together():
    with pytest.raises(SpecError, match="accumulate must be at most batch_size 4"):
        Recipe(batch_size=4, accumulate=5)
    with pytest.raises(SpecError, match="warmup must be above 0 with schedule 'one-cycle'"):
        Recipe(schedule="one-cycle", warmup=0.0)
