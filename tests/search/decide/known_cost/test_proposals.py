import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.decide.known_cost.proposals import Conditions, closer, draw, propose, shifted

RANGES = [
    FloatDistribution(-1.0, 3.0),
    FloatDistribution(1e-5, 10.0, log=True),
    FloatDistribution(0.0, 0.9, step=0.3),
    IntDistribution(2, 9),
    IntDistribution(1, 1_000, log=True),
    IntDistribution(0, 10, step=5),
    CategoricalDistribution(["a", "b", None]),
    CategoricalDistribution([1, 4, 2]),
]


@pytest.mark.parametrize("distribution", RANGES, ids=str)
def test_drawn_and_shifted_values_belong_to_the_distribution(distribution):
    generator = np.random.default_rng(0)
    for _ in range(200):
        value = draw(distribution, generator)
        moved = shifted(distribution, value, generator, 0.2)
        for one in (value, moved):
            assert distribution._contains(distribution.to_internal_repr(one))
            assert not isinstance(one, np.generic)


def test_integers_are_drawn_uniformly_and_choices_always_move():
    generator = np.random.default_rng(0)
    counts = np.bincount([draw(IntDistribution(0, 4), generator) for _ in range(5_000)])
    assert counts.min() > 900
    letters = CategoricalDistribution(["a", "b", "c"])
    assert {shifted(letters, "b", generator, 0.1) for _ in range(50)} == {"a", "c"}
    assert shifted(CategoricalDistribution(["a"]), "a", generator, 0.1) == "a"


def test_integer_moves_by_a_step_at_least_where_the_step_is_small():
    generator = np.random.default_rng(0)
    moved = [shifted(IntDistribution(0, 1_00), 50, generator, 1e-6) for _ in range(50)]
    assert set(moved) == {49, 51}


SPACE = {
    "kind": CategoricalDistribution(["flat", "steep", "none"]),
    "height": FloatDistribution(0.0, 1.0),
    "norm": CategoricalDistribution(["batch", "no"]),
    "momentum": FloatDistribution(0.0, 1.0),
}
TRIALS = [
    {"kind": "flat", "height": 0.5},
    {"kind": "steep", "norm": "batch", "momentum": 0.1},
    {"kind": "steep", "norm": "no"},
    {"kind": "none"},
]


def test_conditions_find_the_parent_and_its_values():
    conditions = Conditions.learn(TRIALS, SPACE)
    assert conditions.always == {"kind"}
    assert conditions.parents["height"] == ("kind", {"flat"})
    assert conditions.parents["norm"] == ("kind", {"steep"})
    assert conditions.parents["momentum"] == ("norm", {"batch"})


def test_proposals_hold_exactly_the_parameters_that_exist():
    conditions = Conditions.learn(TRIALS, SPACE)
    generator = np.random.default_rng(0)
    made = propose(SPACE, conditions, TRIALS[:2], TRIALS, count=200, generator=generator)
    made += closer(SPACE, conditions, TRIALS, count=100, step=0.1, generator=generator)
    patterns = {frozenset(one) for one in made}
    assert patterns == {frozenset(one) for one in TRIALS}
    assert all((one["kind"] == "flat") == ("height" in one) for one in made)


def test_parameter_that_no_choice_explains_is_as_in_the_trial_that_was_varied():
    space = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
    trials = [{"x": 0.1}, {"x": 0.2, "y": 0.3}]
    conditions = Conditions.learn(trials, space)
    made = closer(space, conditions, trials[:1], count=20, step=0.1, generator=np.random.default_rng(0))
    assert all(set(one) == {"x"} for one in made)


def test_moves_are_as_large_as_their_step():
    space = {"x": FloatDistribution(0.0, 1.0)}
    conditions = Conditions.learn([{"x": 0.5}], space)
    for step in (0.1, 0.001):
        made = closer(space, conditions, [{"x": 0.5}], count=400, step=step, generator=np.random.default_rng(0))
        assert np.std([one["x"] for one in made]) == pytest.approx(step, rel=0.3)
