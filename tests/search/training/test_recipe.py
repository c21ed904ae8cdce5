import math

import pytest
from torch import nn

from leni import LENI
from leni.errors import SpecError
from search.training.recipe import Recipe, learning_rate, parameter_groups


def test_learning_rate_warms_up_linearly_then_follows_half_a_cosine():
    recipe = Recipe(epochs=4, lr=0.8, warmup=1.0)
    rates = [learning_rate(recipe, step, 3) for step in range(12)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rates[3:] == pytest.approx([0.4 * (1 + math.cos(math.pi * step / 9)) for step in range(9)])


def test_learning_rate_of_a_single_epoch_still_reaches_its_peak():
    recipe = Recipe(epochs=1, lr=1.0, warmup=5.0)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.2


@pytest.mark.parametrize("decay", [False, True])
def test_parameter_groups_hold_each_parameter_once_and_spare_what_asks_for_it(decay):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), LENI(4, decay=decay))
    with_decay, without = parameter_groups(network, 0.5)
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.5, 0.0)
    ids = [id(parameter) for group in (with_decay, without) for parameter in group["params"]]
    assert sorted(ids) == sorted(id(parameter) for parameter in network.parameters())
    decayed = {id(parameter) for parameter in with_decay["params"]}
    assert id(network[0].weight) in decayed
    assert id(network[0].bias) not in decayed
    assert id(network[1].weight) not in decayed
    assert (id(network[2].kernel) in decayed) is decay


BAD = [("epochs", 0), ("lr", 0.0), ("lr", math.nan), ("momentum", 1.0), ("label_smoothing", 1.0), ("epochs", 1.5)]


@pytest.mark.parametrize(("name", "value"), [*BAD, ("amp", 1), ("batch_size", True), ("clip", "much")])
def test_recipe_refuses_an_impossible_value_by_name(name, value):
    with pytest.raises(SpecError, match=f"^{name} must"):
        Recipe(**{name: value})
