import pytest

from leni.errors import SpaceError
from search.training.named_recipes import given_recipe
from search.training.recipe import Recipe
from search.training.searched_recipe import check_searched_recipe
from spaces import SearchSpace


def space(training: dict) -> SearchSpace:
    return SearchSpace("mine", "resnet8", "relu", training=training)


FITTING = [
    ({"optimizer": ["sgd", "adamw"], "momentum": [0.5, 0.9], "beta1": {"low": 0.8, "high": 0.95}}, {}),
    ({"policy": ["none", "randaugment"], "policy_magnitude": {"low": 1, "high": 30}}, {}),
    ({"momentum": [0.1, 0.2]}, {"optimizer": "rmsprop"}),
    ({"batch_size": [16, 64], "accumulate": [1, 4], "ema": [0.0, 0.99]}, {}),
]


@pytest.mark.parametrize(("table", "training"), FITTING)
def test_recipes_that_can_be_are_accepted(table, training):
    check_searched_recipe(space(table), given_recipe(training, data="digits", epochs=3))


WRONG = [
    ({"lr": {"low": 0.0, "high": 0.1}}, {}, "lr must be above 0"),
    ({"label_smoothing": [0.0, 0.1, 1.0]}, {}, r"label_smoothing must be in \[0, 1\), got 1.0"),
    ({"momentum": [0.9, 0.8]}, {"optimizer": "adamw"}, "momentum must not be given with optimizer 'adamw'"),
    ({"optimizer": ["sgd", "adamw"], "adamw": {"beta1": [0.9, 2.0]}}, {}, r"beta1 must be in \[0, 1\), got 2.0"),
    ({"batch_size": [8.5]}, {}, "batch_size must be of type int"),
]


@pytest.mark.parametrize(("table", "training", "sentence"), WRONG)
def test_a_value_that_cannot_be_is_found_before_the_first_trial(table, training, sentence):
    with pytest.raises(SpaceError, match=rf"^\[space.training\]: {sentence}"):
        check_searched_recipe(space(table), given_recipe(training, data="digits", epochs=3))


def test_changed_takes_the_new_optimizers_defaults_but_for_what_was_given():
    base = given_recipe({"weight_decay": 0.003, "momentum": 0.7}, data="digits", epochs=3)
    adamw = base.changed({"optimizer": "adamw"})
    assert (adamw.lr, adamw.weight_decay, adamw.momentum, adamw.batch_size) == (1e-3, 0.003, None, 32)
    rmsprop = base.changed({"optimizer": "rmsprop", "lr": 0.2})
    assert (rmsprop.lr, rmsprop.momentum, rmsprop.alpha) == (0.2, 0.7, 0.99)
    assert base.changed({"optimizer": "sgd", "lr": 0.2}) == Recipe(
        epochs=3, batch_size=32, lr=0.2, weight_decay=0.003, momentum=0.7
    )
    assert base.changed({}) is base
