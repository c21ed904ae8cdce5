from types import SimpleNamespace

import pandas as pd
import pytest

from search.cli.runs import _empty


@pytest.mark.parametrize("limit", [("--max-params", "10"), ("--min-macs", "1000000000000")])
def test_run_with_limits_that_admit_nothing_is_refused_before_anything_starts(command, monkeypatch, tmp_path, limit):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("run", *limit)
    assert (code, out) == (2, "")
    key = limit[0].removeprefix("--").replace("-", "_")
    assert err.startswith(f"leni-search: {key} is {int(limit[1]):,}, but the ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("states", "errors", "ended", "words"),
    [
        ([], [], "exhausted", "the space has no candidate that can be built and is within the limits"),
        ([], [], "time", "the time was over before the first trial"),
        (["failed"] * 3, ["b", "a", "a"], "complete", "none of 3 trials was completed, most often with: a"),
        (["stopped"] * 2, ["", ""], "complete", "every trial was stopped early"),
        (["stopped", "failed"], ["", "a"], "interrupted", "none of 2 trials was completed, most often with: a"),
        (["completed"], [""], "complete", "no completed trial has a finite value"),
    ],
)
def test_empty_front_has_a_reason(states, errors, ended, words):
    trials = pd.DataFrame({"state": pd.array(states, dtype="string"), "error": pd.array(errors, dtype="string")})
    run = SimpleNamespace(front=lambda: trials[:0], trials=trials, environment={"ended": ended})
    assert words in _empty(run)


def test_front_that_is_not_empty_needs_no_reason():
    assert _empty(SimpleNamespace(front=lambda: pd.DataFrame({"number": [1]}))) == ""
