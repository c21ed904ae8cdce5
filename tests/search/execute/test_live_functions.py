"""A user's function is stopped while it runs, and what has returned is never thrown away."""

import numpy as np
import pytest

import search

SPACE = {"name": "live", "parameters": {"x": [8, 1, 9, 2, 3, 10, 4, 5]}}
KEYS = {
    "space": SPACE, "objectives": ["score:max", "size:min"], "trials": 8, "workers": 1, "epochs": 9,
    "pruner": "halving", "sampler": "random", "seed": 1, "quiet": True,
}  # fmt: skip


def texts(folder) -> dict[int, list[str]]:
    return {int(path.stem[1:]): path.read_text().split() for path in folder.glob("x*.txt")}


def check_stopped(tmp_path, name, last, number) -> None:
    """Run a function: what returned is completed, and the rest stopped, after this last line of its file."""
    keys = {**KEYS, "trials": number, "grace_s": 0.1}
    run = search.run(evaluator=f"live_evaluators:{name}", out=tmp_path / "run", **keys)
    traces, trials = texts(tmp_path), run.trials.set_index("x")
    completed = {x for x, lines in traces.items() if "returned" in lines}
    assert set(trials.index[trials["state"] == "completed"]) == completed
    stopped = trials[trials["state"] == "stopped"]
    assert len(stopped) + len(completed) == number
    assert len(stopped) >= 1
    assert all(traces.get(x, [None])[-1] == last for x in stopped.index)
    assert stopped["wall_s"].notna().all()
    assert (stopped["score"] == stopped.index * stopped["epochs"]).all()
    assert (trials.loc[list(completed), "epochs"] == 9).all()


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize(("name", "last"), [("looking", "told"), ("dropping", "unwound"), ("yielding", None)])
def test_a_stopped_function_ends_and_one_that_returned_is_completed(tmp_path, monkeypatch, name, last):
    monkeypatch.chdir(tmp_path)
    check_stopped(tmp_path, name, last, 8)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("name", "last", "number"), [("dropping", "unwound", 8), ("hanging", None, 4)])
def test_a_function_on_ray_is_told_at_once_and_its_process_ended_where_it_does_not_stop(
    tmp_path, monkeypatch, name, last, number
):
    monkeypatch.chdir(tmp_path)
    check_stopped(tmp_path, name, last, number)


@pytest.mark.usefixtures("without_ray")
def test_curves_have_every_metric_that_was_reported_up_to_the_stop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = search.run(evaluator="live_evaluators:looking", out=tmp_path / "run", **KEYS)
    epochs = run.curves.groupby("number")["epoch"].apply(list)
    for trial in run.trials.itertuples():
        curve = run.curves[run.curves["number"] == trial.number]
        assert epochs[trial.number] == list(range(1, trial.epochs + 1))
        np.testing.assert_array_equal(curve["score"], trial.x * curve["epoch"])
        assert (curve["loss"] == -trial.x).all()
