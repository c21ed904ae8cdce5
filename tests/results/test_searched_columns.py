import pytest

import results
from results.searched_columns import dimensions

ROW = {"backbone": "resnet8", "activation": "leni", "placement": "all", "params": 10, "macs": 10, "lr_factor": 1.0}


def frame(**differing):
    rows = [{**ROW, "number": number, "state": state, "accuracy": number / 4, "widths": f"{number}-8",
             **{name: values[number] for name, values in differing.items()}}
            for number, state in enumerate(["completed", "completed", "failed"])]  # fmt: skip
    return results.to_frame(rows)


def test_dimensions_differ_between_completed_trials():
    found = dimensions(frame(activation=["relu", "relu", "leni"], lr_factor=[1.0, 3.0, 3.0]))
    assert found == ["widths", "lr_factor"]


@pytest.mark.parametrize(("chosen", "found"), [(("widths", "gate"), ["widths", "gate"]), (None, ["widths"])])
def test_a_run_says_what_it_chose(chosen, found):
    """Options of other activations are no columns of the schema, and look like what was measured."""
    assert dimensions(frame(gate=[1, 2, 4], speed=[0.1, 0.2, 0.3]), chosen=chosen) == found


def test_an_objective_is_no_dimension():
    records = frame(backbone=[None] * 3, depth=[1, 2, 3], loss=[0.1, 0.2, 0.3])
    assert "loss" not in dimensions(records, objectives={"loss": "minimize"})
    assert dimensions(records, objectives={"loss": "minimize"}, chosen=["depth", "loss"]) == ["depth"]
