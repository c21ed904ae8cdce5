"""Trials that never end do not keep a search from its end."""

import pytest

import search

KEYS = {
    "evaluator": "plugin_evaluators:endless", "objectives": ("error:min", "size:min"), "quiet": True, "retries": 2,
    "space": {"name": "x", "parameters": {"x": [0.9, 0.1, 0.2]}}, "sampler": "random",
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("ray_session")


def test_trial_that_runs_for_longer_than_it_may_is_ended_once_and_the_others_go_on(tmp_path):
    run = search.run(trials=3, workers=1, max_trial_hours=1.5 / 3600, out=tmp_path / "run", **KEYS)
    by_x = run.trials.set_index("x")
    assert by_x["state"].to_dict() == {0.9: "failed", 0.1: "completed", 0.2: "completed"}
    assert by_x.loc[0.9, "error"].startswith("it ran for longer than a trial may, 0.000416667 h")
    assert run.environment["ended"] == "complete"


def test_search_ends_what_still_runs_when_its_time_and_the_grace_are_over(tmp_path):
    space = {"name": "x", "parameters": {"x": [0.9, 0.8]}}
    run = search.run(
        trials=2, workers=1, max_hours=0.5 / 3600, grace_s=1.0, out=tmp_path / "run", **{**KEYS, "space": space}
    )
    assert run.trials["state"].tolist() == ["failed"]
    assert run.trials["error"][0] == "the search's 0.000138889 h (max_hours) were over for 1 s"
    assert run.environment["ended"] == "time"
