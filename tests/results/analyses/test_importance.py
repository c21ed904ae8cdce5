"""Shares against effects that are known, and what cannot be told."""

import numpy as np
import pandas as pd
import pytest

import results
from results.analyses.importance import importance
from results.errors import RecordError


def records(count=60, seed=0):
    """Accuracy is the activation's and a little the rate's, parameters are the widths' alone."""
    random = np.random.default_rng(seed)
    activation = random.choice(["relu", "leni"], count)
    widths = random.choice(["4-8-16", "8-16-32", "16-32-64"], count)
    factor = random.choice([0.3, 1.0, 3.0], count)
    rows = [
        {
            "number": number, "state": "completed", "backbone": "resnet8", "activation": activation[number],
            "widths": widths[number], "lr_factor": factor[number], "placement": "all",
            "init_std": [0.01, 0.1][number % 2] if activation[number] == "leni" else None, "norm": "none",
            "accuracy": 0.5 + 0.3 * (activation[number] == "leni") + 0.02 * factor[number],
            "params": 100 * int(widths[number].split("-")[0]) ** 2,
        }
        for number in range(count)
    ]  # fmt: skip
    return results.to_frame(rows)


def shares(frame, objective):
    part = frame[frame["objective"] == objective]
    return dict(zip(part["dimension"], part["share"], strict=True))


def test_shares_name_what_moves_each_objective():
    frame = importance(records()).frame
    assert shares(frame, "params")["widths"] == pytest.approx(1.0, abs=0.02)
    accuracy = shares(frame, "accuracy")
    assert accuracy["activation"] + accuracy["init_std"] > 0.8
    assert accuracy["widths"] < accuracy["lr_factor"] < 0.2
    for _, part in frame.groupby("objective"):
        assert part["share"].sum() <= 1.0 + 1e-9
        assert part["share"].is_monotonic_decreasing
    assert list(dict.fromkeys(frame["objective"])) == ["accuracy", "params", "hypervolume"]


def test_what_two_dimensions_do_together_is_no_share_of_either():
    rng = np.random.default_rng(0)
    x, y = rng.choice([-1.0, 1.0], (2, 80))
    rows = [
        {"number": n, "state": "completed", "x": a, "y": b, "loss": a * b + 0.5 * a}
        for n, (a, b) in enumerate(zip(x, y, strict=True))
    ]
    found = importance(results.to_frame(rows), objectives={"loss": "minimize"})
    assert found.frame["share"].sum() < 0.5  # alone x explains 0.25 / 1.25
    assert any("dimensions together" in text for text in found.sentences)


def test_constant_dimensions_and_failed_trials_play_no_part():
    frame = records()
    failed = frame.assign(state="failed", number=frame["number"] + 100, accuracy=0.0, placement="inner")
    found = importance(pd.concat([frame, failed], ignore_index=True)).frame
    assert "placement" not in set(found["dimension"])
    assert set(found["trials"]) == {60}


def test_whether_the_transform_is_frozen_is_a_dimension():
    frame = records().assign(frozen=pd.array([number // 2 % 2 == 0 for number in range(60)], dtype="boolean"))
    frame["accuracy"] = frame["accuracy"] - 0.4 * frame["frozen"].astype(float)
    assert shares(importance(frame).frame, "accuracy")["frozen"] > 0.3


def test_few_trials_are_said_to_be_few():
    few = importance(records(8))
    assert any("too few to trust" in text for text in few.sentences)
    assert not any("too few" in text for text in importance(records()).sentences)


@pytest.mark.parametrize(
    "frame",
    [records(0), records(3), records(10).assign(activation="relu", widths="4-8-16", lr_factor=1.0, init_std=pd.NA)],
)
def test_nothing_to_tell_is_a_sentence(frame):
    found = importance(frame)
    assert found.frame.empty
    assert found.sentences[0].startswith("There is nothing to tell")
    assert "Too few" in found.figure().to_json()


def test_users_own_space_has_its_own_dimensions():
    random = np.random.default_rng(1)
    rows = [
        {"number": n, "state": "completed", "x": float(random.uniform()), "kind": str(random.choice(["a", "b"]))}
        for n in range(40)
    ]
    frame = results.to_frame([{**row, "loss": 3 * row["x"]} for row in rows])
    found = importance(frame, objectives={"loss": "minimize"}).frame
    assert shares(found, "loss")["x"] > 0.95
    assert set(found["dimension"]) == {"x", "kind"}


def test_column_that_is_not_there_is_refused():
    with pytest.raises(RecordError, match="no column 'depth'"):
        importance(records(), parameters=("depth",))


def test_figure_has_a_bar_for_each_share():
    found = importance(records())
    drawn = found.figure().to_dict()["datasets"]["shares"]
    assert len(drawn) == len(found.frame)
