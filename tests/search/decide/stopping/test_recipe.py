"""Columns of a recipe: numbers, choices, what is absent, and values that were not there before."""

import numpy as np
import pytest

from search.decide.stopping.recipe import Choice, Number, columns_of

TRIALS = [
    {"lr": 0.1, "act": "relu", "same": 3},
    {"lr": 10.0, "act": "leni", "start": 0.0, "same": 3},
    {"lr": 1.0, "act": "leni", "start": 0.1, "same": 3},
    {"lr": 1.0, "act": "relu", "same": 3},
]


def encoded(name: str, trials: list[dict] = TRIALS) -> np.ndarray:
    return columns_of(TRIALS)[name].encode([trial.get(name) for trial in trials])


def test_constant_dimensions_have_no_columns() -> None:
    assert list(columns_of(TRIALS)) == ["act", "lr", "start"]
    assert columns_of([]) == {}


def test_positive_numbers_count_by_their_logarithm_with_a_square() -> None:
    columns = encoded("lr")
    logs = np.log([0.1, 10.0, 1.0, 1.0])
    assert columns[:, 0] == pytest.approx((logs - logs.mean()) / logs.std())
    assert columns[:, 1].mean() == pytest.approx(0.0)
    assert columns[0, 1] == pytest.approx(columns[1, 1])
    assert columns[1, 1] > columns[2, 1]


def test_choices_are_centred_and_an_unknown_one_is_their_mean() -> None:
    assert encoded("act").sum(axis=0) == pytest.approx([0.0, 0.0])
    assert encoded("act", [{"act": "gelu"}]).tolist() == [[0.0, 0.0]]
    assert isinstance(columns_of([{"x": True}, {"x": 1}])["x"], Choice)


def test_absent_numbers_are_in_the_middle_with_a_column_of_their_own() -> None:
    columns = encoded("start")
    assert columns[[0, 3], 0].tolist() == [0.0, 0.0]
    assert columns[:, -1].tolist() == [0.5, -0.5, -0.5, 0.5]


def test_numbers_far_outside_are_clipped_and_texts_among_numbers_are_choices() -> None:
    assert encoded("lr", [{"lr": 1e30}])[0, 0] == 3.0
    assert isinstance(columns_of([{"x": 1}, {"x": 2}])["x"], Number)
    assert isinstance(columns_of([{"x": 1}, {"x": "sqrt"}])["x"], Choice)


def test_negative_value_where_all_were_positive_is_unknown() -> None:
    assert np.isfinite(encoded("lr", [{"lr": -1.0}])).all()
