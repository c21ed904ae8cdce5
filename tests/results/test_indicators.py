import math

import moocore
import numpy as np
import pandas as pd
import pytest

from results.errors import ObjectiveError
from results.indicators import hypervolume, hypervolume_curve, hypervolume_of, unit_values


def frame(rows, columns=("state", "number", "accuracy", "params")):
    return pd.DataFrame(rows, columns=list(columns)).convert_dtypes()


def counted_volume(values, reference):
    """Unit cells of a grid of whole numbers that some point dominates."""
    cells = np.stack(np.meshgrid(*[np.arange(limit) for limit in reference], indexing="ij"), axis=-1)
    cells = cells.reshape(-1, len(reference))
    return sum(any((point <= cell).all() for point in values) for cell in cells)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_hypervolume_whole_numbers_equals_counted_cells(objectives):
    rng = np.random.default_rng(objectives)
    reference = np.array([6, 5, 7, 4][:objectives])
    for count in (1, 2, 9):
        values = rng.integers(0, 8, size=(count, objectives))  # some beyond the reference, some equal
        assert hypervolume(values, reference) == pytest.approx(counted_volume(values, reference))


def test_hypervolume_random_points_equals_moocore():
    values = np.random.default_rng(1).random((200, 3))
    assert hypervolume(values, [0.9, 0.8, 1.0]) == moocore.hypervolume(values, ref=[0.9, 0.8, 1.0])


def test_hypervolume_nan_and_infinite_rows_add_nothing():
    values = [[np.nan, 0.0, 0.0], [np.inf, 0.0, 0.0], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]]
    assert hypervolume(values, [1.0, 1.0, 1.0]) == pytest.approx(0.125)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_minus_infinity_is_infinite(objectives):
    values = np.full((2, objectives), 0.5)
    values[1, 0] = -np.inf
    assert math.isinf(hypervolume(values, np.ones(objectives)))


@pytest.mark.parametrize("values", [[], np.empty((0, 2)), [[2.0, 0.0]], [[1.0, 0.0]]])
def test_hypervolume_nothing_below_reference_is_zero(values):
    assert hypervolume(values, [1.0, 1.0]) == 0.0


@pytest.mark.parametrize(
    ("values", "reference", "words"),
    [
        ([[1.0, 2.0]], [1.0], "shape"),
        ([1.0, 2.0], [3.0, 3.0], "shape"),
        ([[1.0]], [np.inf], "finite"),
        ([[1.0]], 1.0, "point of finite"),
    ],
)
def test_hypervolume_wrong_shapes_is_an_error(values, reference, words):
    with pytest.raises(ObjectiveError, match=words):
        hypervolume(values, reference)


def test_hypervolume_of_one_network_is_accuracy_times_free_decades():
    records = frame([("completed", 0, 0.9, 1000)])
    assert hypervolume_of(records) == pytest.approx(0.9 * (9 - 3) / 9)


def test_hypervolume_of_counts_completed_records_alone():
    records = frame(
        [("stopped", 0, 0.99, 10), ("completed", 1, 0.5, 100), ("failed", 2, None, None), ("completed", 3, None, 10),
         ("completed", 4, 0.8, 10_000)])  # fmt: skip
    # Two rectangles: from 100 parameters on 0.5, from 10,000 on 0.3 more.
    assert hypervolume_of(records) == pytest.approx(0.5 * 7 / 9 + 0.3 * 5 / 9)


def test_hypervolume_of_no_records_is_zero():
    assert hypervolume_of(frame([])) == 0.0


def test_unit_values_are_clipped_and_minimised():
    records = pd.DataFrame({"accuracy": [0.25, 1.0], "macs": [1e15, 0.0], "speed": [5.0, 40.0], "wall_s": [2.0, 6.0]})
    objectives = {"accuracy": "maximize", "macs": "minimize", "speed": "maximize", "wall_s": "minimize"}
    values = unit_values(records, objectives=objectives, bounds={"speed": (0.0, 20.0), "wall_s": (0.0, 8.0)})
    np.testing.assert_allclose(values, [[0.75, 1.0, 0.75, 0.25], [0.0, 0.0, 0.0, 0.75]])


def test_unit_values_bounds_replace_the_fixed_scale():
    records = pd.DataFrame({"accuracy": [0.9], "params": [1000]})
    values = unit_values(records, bounds={"accuracy": (0.8, 1.0), "params": (100.0, 10_000.0)})
    np.testing.assert_allclose(values, [[0.5, 0.5]])


@pytest.mark.parametrize(
    ("objectives", "bounds", "words"),
    [
        ({"wall_s": "minimize"}, None, "wall_s has no fixed scale"),
        ({"wall_s": "minimize"}, {"wall_s": (3.0, 3.0)}, "least < greatest, got"),
        ({"wall_s": "minimize"}, {"wall_s": (0.0, math.inf)}, "must be finite"),
        ({"params": "minimize"}, {"params": (0.0, 10.0)}, "0 < least"),
        ({"macs": "minimize"}, None, "macs is not a column"),
    ],
)
def test_unit_values_without_usable_scale_is_an_error(objectives, bounds, words):
    with pytest.raises(ObjectiveError, match=words):
        unit_values(pd.DataFrame({"wall_s": [1.0], "params": [1]}), objectives=objectives, bounds=bounds)


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_curve_equals_hypervolume_of_every_beginning(objectives):
    rng = np.random.default_rng(objectives)
    count = 60
    records = pd.DataFrame({
        "number": rng.permutation(count) + 5,
        "state": rng.choice(["completed", "stopped"], size=count, p=[0.8, 0.2]),
        "accuracy": np.where(rng.random(count) < 0.1, np.nan, rng.integers(0, 10, count) / 10),
        "params": rng.integers(1, 9, count) * 1000,
        "macs": rng.integers(1, 9, count) * 1000,
    })  # fmt: skip
    chosen = dict(list({"accuracy": "maximize", "params": "minimize", "macs": "minimize"}.items())[:objectives])
    curve = hypervolume_curve(records, objectives=chosen)
    done = records[records["state"] == "completed"].sort_values("number")
    expected = [hypervolume_of(done.head(n), objectives=chosen) for n in range(1, len(done) + 1)]
    np.testing.assert_allclose(curve["hypervolume"], expected)
    assert curve["number"].tolist() == done["number"].tolist()
    assert curve["completed"].tolist() == list(range(1, len(done) + 1))
    assert (curve["hypervolume"].diff().dropna() >= 0).all()


def test_hypervolume_curve_no_completed_trial_has_no_rows():
    curve = hypervolume_curve(frame([("failed", 0, None, None)]))
    assert list(curve.columns) == ["completed", "number", "hypervolume"]
    assert len(curve) == 0
