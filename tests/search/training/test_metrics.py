import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from leni.errors import EvaluationError
from search.training.metrics import number_of, read_metrics


class Rude:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.tensor(2.5, requires_grad=True), 2.5), (torch.tensor([3]), 3), (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[7]]), 7), (Decimal("0.25"), 0.25), (Fraction(1, 4), 0.25), (True, True), (2**80, float(2**80)),
        (2**53 + 1, float(2**53)), ("0.5", None), ([0.5], None), (np.array([1.0, 2.0]), None), (1j, None), (None, None),
        (10**400, None), (torch.empty(1, device="meta"), None), (np.datetime64("2020-01-01"), None),
    ],
)  # fmt: skip
def test_number_of_what_libraries_return(value, expected):
    found = number_of(value)
    assert found == expected
    assert type(found) is type(expected)


def test_everything_beside_the_objectives_is_kept_or_named():
    returned = {
        "loss": torch.tensor(0.5), "grad_norm": math.nan, "top": math.inf, "flag": False, "text": "\x1b[31mred\udce9",
        "sizes": np.array([1, 2]), "nested": {"a": {3: [torch.tensor(1.5), math.nan]}}, "model": object(),
        "rude": Rude(), "huge": "x" * 20_000, 7: 1.0, "a\x00b": 1, "deep": (deep := []),
    }  # fmt: skip
    deep.append(deep)
    found = read_metrics(returned, "m:f", objectives=["loss"])
    assert found.values == {
        "loss": 0.5, "grad_norm": None, "top": math.inf, "flag": False, "text": "red\\xe9", "sizes": [1, 2],
        "nested": {"a": {"3": [1.5, None]}},
    }  # fmt: skip
    assert [note.split(",")[0] for note in found.notes] == [
        f"m:f returned {name}" for name in ("'model'", "'rude'", "'huge'", "7", "'a\\x00b'", "'deep'")
    ]


def test_names_of_ours_have_columns_of_their_own():
    returned = {"error": 0.5, "wall_s": 3, "epochs": 12, "seeds": 0.5, "depth": 4, "params": 1.5, "accuracy": 93.1}
    found = read_metrics(returned, "m:f", objectives=["metric:error", "accuracy"], taken=["depth"])
    assert found.values == {
        "metric:error": 0.5, "accuracy": 93.1, "metric:wall_s": 3, "metric:epochs": 12, "metric:seeds": 0.5,
        "metric:depth": 4, "params": 1.5,
    }  # fmt: skip
    assert found.ours == {"epochs": 12}
    assert found.notes == []


@pytest.mark.parametrize("value", [math.nan, -math.inf, "0.5", None, [0.5], 10**400, 1j])
def test_objective_that_is_no_finite_number_fails_with_its_name(value):
    with pytest.raises(EvaluationError, match="m:f must return finite numbers, got error="):
        read_metrics({"error": value}, "m:f", objectives=["metric:error"])


def test_truth_value_counts_as_an_objective_but_not_as_an_accuracy():
    assert read_metrics({"fits": True}, "m:f", objectives=["fits"]).values == {"fits": 1.0}
    with pytest.raises(EvaluationError, match="accuracy=True"):
        read_metrics({"accuracy": True}, "m:f", objectives=["accuracy"])


def test_network_has_an_accuracy_that_is_a_share_and_costs_that_are_counts():
    with pytest.raises(EvaluationError, match=r"must return an accuracy in 0..1, got 93.1"):
        read_metrics({"accuracy": 93.1}, "m:f", objectives=["accuracy"], network=True)
    found = read_metrics(
        {"loss": 1, "accuracy": 93.1, "params": 0.5, "macs": 7}, "m:f", objectives=["loss"], network=True
    )
    assert found.values == {"loss": 1, "macs": 7}
    assert len(found.notes) == 2


def test_many_metrics_are_cut_and_named():
    found = read_metrics({"loss": 1, **{f"m{n}": n for n in range(600)}}, "m:f", objectives=["loss"])
    assert len(found.values) == 501
    assert "600 metrics" in found.notes[0]
