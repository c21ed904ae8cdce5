import numpy as np
import pandas as pd
import pytest

from results.errors import ObjectiveError
from results.fronts import crowding, dominated, front, is_non_dominated, minimised, ranks

BOTH = {"accuracy": "maximize", "params": "minimize"}


def dominates(a, b):
    return bool(np.all(a <= b) and np.any(a < b))


def brute_front(values):
    kept = [not np.isnan(row).any() for row in values]
    return np.array(
        [kept[i] and not any(kept[j] and dominates(other, row) for j, other in enumerate(values))
         for i, row in enumerate(values)], dtype=bool)  # fmt: skip


def brute_ranks(values):
    result = np.full(len(values), -1)
    rank = 0
    while (alone := brute_front(np.where(result[:, None] < 0, values, np.nan))).any():
        result[alone] = rank
        rank += 1
    result[result < 0] = rank
    return result


def random_sets(count, objectives, seed):
    """Few levels, so that there are ties and equal rows; infinite and missing values."""
    rng = np.random.default_rng(seed)
    levels = np.array([-np.inf, -1.5, 0.0, 0.5, 2.0, 3.0, np.inf, np.nan])
    weights = np.array([0.04, 0.2, 0.2, 0.2, 0.15, 0.13, 0.04, 0.04])
    return [rng.choice(levels, size=(rng.integers(0, 25), objectives), p=weights) for _ in range(count)]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_is_non_dominated_random_sets_equals_brute_force(objectives):
    for values in random_sets(150, objectives, seed=objectives):
        np.testing.assert_array_equal(is_non_dominated(values), brute_front(values))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_ranks_random_sets_equals_brute_force(objectives):
    for values in random_sets(60, objectives, seed=10 + objectives):
        np.testing.assert_array_equal(ranks(values), brute_ranks(values))


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_is_non_dominated_large_set_with_ties_equals_brute_force(objectives):
    values = np.random.default_rng(0).integers(0, 12, size=(400, objectives)).astype(float)
    np.testing.assert_array_equal(is_non_dominated(values), brute_front(values))


def test_is_non_dominated_leaves_its_argument_unchanged():
    values = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, np.nan]])
    before = values.copy()
    is_non_dominated(values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_ranks_nothing_but_nan_gives_zero(objectives):
    values = np.full((3, objectives), np.nan)
    assert ranks(values).tolist() == [0, 0, 0]
    assert not is_non_dominated(values).any()


@pytest.mark.parametrize("wrong", [[1.0, 2.0], 3.0, np.empty((4, 0))])
def test_is_non_dominated_no_matrix_is_an_error(wrong):
    with pytest.raises(ObjectiveError, match="shape"):
        is_non_dominated(wrong)


def test_crowding_known_rank_gives_distances_by_hand():
    # Four unsorted rows on a line, then one of the next rank, alone in it, then one with NaN.
    values = np.array([[2.0, 2.0], [0.0, 4.0], [4.0, 0.0], [1.0, 3.0], [5.0, 5.0], [np.nan, 0.0]])
    distances = crowding(values, ranks(values))
    np.testing.assert_allclose(distances, [3 / 4 + 3 / 4, np.inf, np.inf, 2 / 4 + 2 / 4, np.inf, 0.0])


def test_crowding_constant_objective_adds_nothing():
    values = np.array([[3.0, 7.0, 1.0], [1.0, 7.0, 3.0], [2.0, 7.0, 2.5], [2.5, 7.0, 2.0]])
    distances = crowding(values, np.zeros(4, dtype=int))
    # The constant column is a tie: its first and last row are its ends.
    assert np.isinf(distances[[0, 1, 3]]).all()
    assert distances[2] == pytest.approx((2.5 - 1.0) / 2 + (3.0 - 2.0) / 2)


def test_crowding_infinite_value_gives_no_nan():
    values = np.array([[-np.inf, 3.0], [1.0, 2.0], [np.inf, 1.0], [2.0, 1.5]])
    distances = crowding(values, np.zeros(4, dtype=int))
    assert not np.isnan(distances).any()
    assert distances[1] == pytest.approx((3.0 - 1.5) / 2)


def test_crowding_ranks_of_another_length_is_an_error():
    with pytest.raises(ObjectiveError, match=r"ranks must have shape \(2,\)"):
        crowding([[1.0], [2.0]], [0])


def test_minimised_frame_turns_maximised_columns_and_keeps_order():
    frame = pd.DataFrame({"params": [300, 100], "accuracy": pd.array([0.9, None], dtype="Float64")})
    np.testing.assert_array_equal(minimised(frame, BOTH), [[-0.9, 300.0], [np.nan, 100.0]])


def test_minimised_array_is_a_copy():
    values = np.array([[0.5, 10.0]])
    minimised(values, {"a": "minimize", "b": "minimize"})[0, 0] = 99.0
    assert values[0, 0] == 0.5


@pytest.mark.parametrize(
    ("objectives", "words"),
    [
        ({}, "mapping"),
        ({"accuracy": "max"}, "'maximize' or 'minimize', got 'max'"),
        ({"accuracy": ["minimize"]}, "'maximize' or 'minimize'"),
        (["accuracy"], "mapping"),
        ({"latency": "minimize"}, "latency is not a column"),
        ({"activation": "minimize"}, "activation must be numeric"),
    ],
)
def test_minimised_wrong_objectives_is_an_error(objectives, words):
    frame = pd.DataFrame({"accuracy": [0.5], "activation": ["relu"]})
    with pytest.raises(ObjectiveError, match=words):
        minimised(frame, objectives)


def test_minimised_array_of_other_width_is_an_error():
    with pytest.raises(ObjectiveError, match="must have 2 columns"):
        minimised([[1.0, 2.0, 3.0]], BOTH)


def test_front_keeps_ties_drops_nan_and_other_states():
    rows = [
        ("completed", 0.90, 500), ("completed", 0.80, 100), ("completed", 0.90, 500), ("completed", 0.80, 200),
        ("stopped", 0.99, 50), ("completed", None, 10), ("failed", None, None), ("completed", 0.85, 300),
        ("completed", 0.95, None), (None, 0.99, 1),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["state", "accuracy", "params"]).convert_dtypes()
    frame.index = pd.Index(range(10, 20))
    found = front(frame, objectives=BOTH)
    assert found.index.tolist() == [11, 17, 10, 12]
    assert found["params"].tolist() == [100, 300, 500, 500]


def test_front_without_state_column_takes_every_row():
    frame = pd.DataFrame({"accuracy": [0.5, 0.6], "params": [2, 1]})
    assert front(frame, objectives=BOTH).index.tolist() == [1]


def test_front_three_objectives_is_sorted_by_the_last_then_the_first():
    frame = pd.DataFrame({"accuracy": [0.7, 0.9, 0.8, 0.6], "macs": [1, 4, 2, 9], "params": [5, 5, 5, 1]})
    objectives = {"accuracy": "maximize", "macs": "minimize", "params": "minimize"}
    assert front(frame, objectives=objectives).index.tolist() == [3, 1, 2, 0]


def test_front_maximised_last_objective_comes_best_first():
    frame = pd.DataFrame({"error": [0.1, 0.3, 0.2], "speed": [10.0, 30.0, 20.0]})
    assert front(frame, objectives={"error": "minimize", "speed": "maximize"}).index.tolist() == [1, 2, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_front_of_none_or_one_has_as_many_rows(count):
    frame = pd.DataFrame({"state": ["completed"], "accuracy": [0.5], "params": [3]}).head(count)
    found = front(frame, objectives=BOTH)
    assert len(found) == count
    assert list(found.columns) == ["state", "accuracy", "params"]


def test_front_is_a_copy():
    frame = pd.DataFrame({"accuracy": [0.5], "params": [3]})
    found = front(frame, objectives=BOTH)
    found.loc[0, "params"] = 99
    assert frame["params"].tolist() == [3]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_dominated_random_sets_equals_brute_force(objectives):
    sets = random_sets(160, objectives, seed=20 + objectives)
    for values, by in zip(sets[::2], sets[1::2], strict=True):
        known = by[~np.isnan(by).any(axis=1)]
        expected = [not np.isnan(row).any() and any(dominates(other, row) for other in known) for row in values]
        np.testing.assert_array_equal(dominated(values, by), np.array(expected, dtype=bool))
    with pytest.raises(ObjectiveError, match="same objectives"):
        dominated([[1.0]], [[1.0, 2.0]])
