import pytest

from leni.errors import SpecError
from search.training.named_recipes import NAMED, given_recipe
from search.training.recipe import Recipe


@pytest.mark.parametrize("name", NAMED)
def test_named_recipe_is_one_and_names_its_source(name):
    recipe = given_recipe({"recipe": name}, data="digits", epochs=NAMED[name].epochs)
    assert {key: getattr(recipe, key) for key in NAMED[name].values} == dict(NAMED[name].values)
    assert NAMED[name].source


def test_given_keys_change_a_named_recipe():
    found = given_recipe({"recipe": "cifar", "lr": 0.3, "gamma": 0.5}, data="cifar10", epochs=5)
    assert (found.epochs, found.lr, found.gamma, found.milestones) == (5, 0.3, 0.5, (0.3, 0.6, 0.8))


def test_another_optimizer_or_schedule_than_the_named_recipes_has_its_own_defaults():
    found = given_recipe({"recipe": "cifar", "optimizer": "adamw", "schedule": "linear"}, data="cifar10", epochs=5)
    alone = Recipe(optimizer="adamw")
    assert (found.lr, found.weight_decay, found.momentum, found.milestones) == (
        alone.lr,
        alone.weight_decay,
        None,
        None,
    )
    assert (found.augmentation, found.batch_size) == ("crop-flip", 128)


def test_digits_have_their_own_rate_for_sgd_alone():
    assert given_recipe({}, data="digits", epochs=2) == Recipe(epochs=2, batch_size=32, lr=0.05)
    assert given_recipe({"optimizer": "adamw"}, data="digits", epochs=2).lr == 1e-3
    assert given_recipe({"optimizer": "sgd"}, data="digits", epochs=2).lr == 0.05


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"momentun": 0.9}, "no key 'momentun'; did you mean 'momentum'"),
        ({"epochs": 3}, "no key 'epochs'"),
        ({"recipe": "cifa"}, "recipe must be one of cifar, fashion, imagenet-a3, got 'cifa'"),
        ({"recipe": 3}, "got 3"),
    ],
)
def test_given_recipe_refuses_what_it_does_not_know(training, sentence):
    with pytest.raises(SpecError, match=sentence):
        given_recipe(training, data="digits", epochs=2)
