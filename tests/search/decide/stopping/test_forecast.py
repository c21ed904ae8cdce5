"""The forecast of a final value, where the answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.decide.stopping.forecast import forecast, translate

FLOOR = 1e-4


def predict(
    reading: float, readings: np.ndarray, finals: np.ndarray, distances: np.ndarray | None = None
) -> tuple[float, float]:
    free = np.zeros((len(finals), 0)) if distances is None else distances
    return forecast(reading, readings, finals, variances=np.zeros(len(finals)), distances=free, floor=FLOOR)


def test_translate_pairs_by_order_not_by_training() -> None:
    readings, finals = np.array([0.6, 0.4, 0.5]), np.array([0.1, 0.4, 0.2])
    assert translate(np.array([0.4, 0.5, 0.6]), readings, finals).tolist() == pytest.approx([0.1, 0.2, 0.4])


def test_translate_worse_than_all_is_the_worst_final_value() -> None:
    assert translate(9.0, np.array([0.5, 0.6]), np.array([0.2, 0.1])) == pytest.approx(0.2)


def test_translate_better_than_all_is_ahead_in_proportion() -> None:
    assert translate(0.3, np.array([0.5, 0.7]), np.array([0.2, 0.1])) == pytest.approx(0.1 - 0.2 * 0.5)


def test_translate_equal_readings_shift_by_the_lead() -> None:
    assert translate(0.3, np.array([0.5, 0.5]), np.array([0.1, 0.1])) == pytest.approx(0.1 - 0.2)


def test_forecast_reading_that_tells_all_is_believed() -> None:
    readings = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 60))
    mean, sd = predict(0.42, readings, readings - 0.05)
    assert mean == pytest.approx(0.37, abs=0.005)
    assert sd < 0.02


def test_forecast_reading_that_tells_nothing_gives_the_mean_and_spread() -> None:
    generator = np.random.default_rng(1)
    readings, finals = generator.uniform(0, 1, 400), generator.normal(0.5, 0.05, 400)
    mean, sd = predict(0.02, readings, finals)
    assert mean == pytest.approx(0.5, abs=0.05)
    assert 0.02 < sd < 0.09


def test_forecast_cost_decides_where_readings_do_not() -> None:
    generator = np.random.default_rng(2)
    costs, readings = generator.uniform(0, 1, 200), generator.uniform(0, 1, 200)
    finals = 0.5 - 0.4 * costs
    for cost in (0.1, 0.9):
        mean, _ = predict(0.5, readings, finals, (costs - cost)[:, None])
        assert mean == pytest.approx(0.5 - 0.4 * cost, abs=0.02)


def test_forecast_beyond_the_costs_seen_draws_no_line_on() -> None:
    costs = np.linspace(0.0, 0.5, 40)
    finals = 0.1 + 0.8 * costs
    mean, _ = predict(0.9, np.full(40, 0.9), finals, (costs - 1.0)[:, None])
    assert mean == pytest.approx(0.5, abs=0.05)


def test_forecast_broken_trainings_do_not_blur_the_sound_ones() -> None:
    generator = np.random.default_rng(3)
    finals = generator.normal(0.1, 0.01, 100)
    readings = finals + 0.1
    broken = generator.choice(100, 10, replace=False)
    sound = predict(0.2, np.delete(readings, broken), np.delete(finals, broken))[1]
    finals[broken], readings[broken] = 0.9, 0.9
    assert predict(0.2, readings, finals)[1] < 3 * sound + 0.01


def test_forecast_trainings_that_break_late_do_not_blur_the_sound_ones() -> None:
    generator = np.random.default_rng(4)
    finals = generator.normal(0.1, 0.01, 100)
    readings = finals + 0.1
    finals[generator.choice(100, 8, replace=False)] = 0.9
    mean, sd = predict(0.2, readings, finals)
    assert mean == pytest.approx(0.1, abs=0.02)
    assert sd < 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 2))
def test_forecast_any_evidence_is_finite_and_uncertain(values: list[float], reading: float, costs: int) -> None:
    finals = np.array(values)
    mean, sd = predict(reading, finals[::-1].copy(), finals, np.zeros((len(finals), costs)))
    assert np.isfinite(mean)
    assert FLOOR <= sd < 10


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=20), st.integers(1, 100))
def test_forecast_other_unit_scales_along(pairs: list[tuple[int, int]], unit: int) -> None:
    readings, finals = (np.array(column, dtype=float) / 20 for column in zip(*pairs, strict=True))
    plain = predict(0.5, readings, finals)
    free = np.zeros((len(finals), 0))
    scaled = forecast(
        0.5 * unit,
        readings * unit,
        finals * unit,
        variances=np.zeros(len(finals)),
        distances=free,
        floor=FLOOR * unit,
    )
    # The prior of the slope has no unit; that of the level is wide enough not to matter.
    assert scaled == pytest.approx((plain[0] * unit, plain[1] * unit), rel=1e-3, abs=1e-3 * unit)


def test_forecast_uncertain_finals_count_less() -> None:
    readings = np.array([0.5, 0.5, 0.5, 0.5])
    finals = np.array([0.2, 0.2, 0.4, 0.4])
    free = np.zeros((4, 0))
    low, _ = forecast(0.5, readings, finals, variances=np.array([0, 0, 0.1, 0.1]), distances=free, floor=FLOOR)
    assert low < 0.3
