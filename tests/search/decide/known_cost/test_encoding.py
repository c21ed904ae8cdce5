import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.decide.known_cost.encoding import STRETCH, Encoder, is_ordered

OPERATIONS = CategoricalDistribution(["none", "skip", "conv"])


def distance(encoder, left, right, component=None):
    columns = encoder.encode([left, right])
    if component is not None:
        columns = columns[:, encoder.components == component]
    return float(((columns[0] - columns[1]) ** 2).sum())


def test_choices_of_names_are_all_equally_far_apart():
    encoder = Encoder({"x": OPERATIONS})
    for left, right in (("none", "skip"), ("none", "conv"), ("skip", "conv")):
        assert distance(encoder, {"x": left}, {"x": right}) == pytest.approx(1.0)
    assert distance(encoder, {"x": "conv"}, {"x": "conv"}) == 0.0
    assert distance(encoder, {"x": "conv"}, {}) == pytest.approx(1.0)


def test_choices_of_numbers_are_nearer_the_nearer_their_ranks():
    encoder = Encoder({"x": CategoricalDistribution([8, 1, 2, 4])})
    near = distance(encoder, {"x": 1}, {"x": 2})
    assert near == pytest.approx(0.5 + 0.5 / 9)
    assert distance(encoder, {"x": 1}, {"x": 8}) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("choices", "ordered"),
    [([3, 1, 2], True), ([0.1, 1, 10], True), ([True, False], False), ([1, 2], False), (["1", 2, 3], False)],
)
def test_only_three_or_more_numbers_are_ordered(choices, ordered):
    assert is_ordered(choices) is ordered


def test_numbers_are_placed_between_their_ends_by_logarithm_where_asked():
    encoder = Encoder({"r": FloatDistribution(1e-4, 1.0, log=True), "n": IntDistribution(2, 10)})
    low, high = {"r": 1e-4, "n": 2}, {"r": 1e-2, "n": 10}
    assert distance(encoder, low, high, component=0) == pytest.approx(STRETCH**2)  # n, sorted by name
    assert distance(encoder, low, high, component=1) == pytest.approx((STRETCH / 2) ** 2)


def test_absent_number_differs_from_every_present_one():
    encoder = Encoder({"n": FloatDistribution(0.0, 1.0)})
    assert min(distance(encoder, {"n": place}, {}) for place in np.linspace(0, 1, 11)) == pytest.approx(1.0)


def test_parameters_with_the_same_choices_share_a_component_of_counts():
    encoder = Encoder({"a": OPERATIONS, "b": OPERATIONS, "c": FloatDistribution(0.0, 1.0)})
    assert encoder.size == 4
    swapped = distance(encoder, {"a": "skip", "b": "conv", "c": 0.5}, {"a": "conv", "b": "skip", "c": 0.5}, component=3)
    changed = distance(encoder, {"a": "skip", "b": "conv", "c": 0.5}, {"a": "conv", "b": "conv", "c": 0.5}, component=3)
    assert swapped == 0.0
    assert changed == pytest.approx(0.5)


def test_counts_of_ordered_choices_leave_their_ranks_out():
    encoder = Encoder({"a": CategoricalDistribution([0, 1, 2]), "b": CategoricalDistribution([0, 1, 2])})
    assert distance(encoder, {"a": 0, "b": 2}, {"a": 2, "b": 0}, component=2) == 0.0
    assert distance(encoder, {"a": 2, "b": 2}, {"a": 2, "b": 0}, component=2) == pytest.approx(0.5)


def test_true_is_not_one_and_an_unknown_choice_is_absent():
    encoder = Encoder({"x": CategoricalDistribution([True, 1, None])})
    assert distance(encoder, {"x": True}, {"x": 1}) == pytest.approx(1.0)
    assert distance(encoder, {"x": "other"}, {}) == 0.0


def test_nothing_to_encode_gives_no_columns():
    assert Encoder({}).encode([{}, {}]).shape == (2, 0)
    assert Encoder({"x": OPERATIONS}).encode([]).shape[0] == 0
