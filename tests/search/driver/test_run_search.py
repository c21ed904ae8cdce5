import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

import results
import search
from leni.errors import DataError, FolderError, SpecError
from spaces import Candidate, SearchSpace, build

FAST = {"quiet": True, "epochs": 1, "fix": {"width": [0.1875, 0.25]}}
on_ray = pytest.mark.usefixtures("ray_session")
without_ray = pytest.mark.usefixtures("without_ray")


def tiny_space(activations: list[str], width: object = 1.0, factor: object = 1.0) -> SearchSpace:
    return SearchSpace("tiny", "resnet8", activations, "all", width, lr_factor=factor)


def brute_force_front(trials: pd.DataFrame) -> set[int]:
    done = trials[trials["state"] == "completed"]
    points = list(zip(done["number"], done["accuracy"], done["params"], strict=True))
    return {
        number
        for number, accuracy, params in points
        if not any(
            other >= accuracy and size <= params and (other > accuracy or size < params) for _, other, size in points
        )
    }


@pytest.fixture(scope="module")
def digits(tmp_path_factory, ray_session) -> results.Run:
    """A real search, small: shared by the tests that look at what it wrote."""
    return search.run(data="digits", trials=8, out=tmp_path_factory.mktemp("runs") / "digits", **FAST)


def test_run_writes_every_file_of_the_folder(digits):
    names = {path.name for path in digits.folder.iterdir()}
    expected = {"spec.toml", "environment.json", "study.db", "trials.parquet", "curves.parquet", "front.csv"}
    assert expected | {"front.html", "front.png", "ray", "sampler.json", "driver.lock"} == names - {"checkpoints"}
    assert not list(digits.folder.rglob("*.part"))


def test_run_front_csv_is_the_brute_force_front_of_the_completed_trials(digits):
    front = pd.read_csv(digits.folder / "front.csv")
    assert set(front["number"]) == brute_force_front(digits.trials)
    assert len(digits.trials) == 8
    assert (digits.trials["state"] == "completed").all()


def test_run_records_the_parameters_of_the_network_that_was_built(digits):
    study = optuna.load_study(study_name="leni-search", storage=f"sqlite:///{digits.folder / 'study.db'}")
    for trial, params in zip(study.trials, digits.trials["params"], strict=True):
        network = build(Candidate.from_dict(trial.user_attrs["candidate"]), in_channels=1, classes=10)
        assert sum(parameter.numel() for parameter in network.parameters()) == params


def test_run_tries_the_references_first_and_no_candidate_twice(digits):
    fields = ["widths", "activation", "placement", "lr_factor", "init_std", "decay"]
    assert list(digits.trials["activation"][:2]) == ["relu", "leni"]
    assert list(digits.trials["widths"][:2]) == ["16-32-64", "16-32-64"]
    assert not digits.trials[fields].duplicated().any()


def test_run_keeps_a_curve_of_every_epoch(digits):
    last = digits.curves.groupby("number")["accuracy"].last()
    assert list(digits.curves["epoch"].unique()) == [1]
    assert np.array_equal(last.to_numpy(float), digits.trials["accuracy"].to_numpy(float))


@without_ray
def test_run_with_one_worker_and_the_same_seed_repeats_itself(tmp_path):
    runs = [search.run(trials=5, workers=1, seed=3, out=tmp_path / name, **FAST) for name in ("a", "b")]
    columns = [name for name in runs[0].trials if name not in ("wall_s", "started_at")]
    pd.testing.assert_frame_equal(runs[0].trials[columns], runs[1].trials[columns])
    pd.testing.assert_frame_equal(runs[0].curves, runs[1].curves)


@without_ray
def test_run_with_another_seed_asks_for_other_candidates(tmp_path):
    keys = {"evaluator": "plugin_evaluators:by_width", "trials": 10, "quiet": True}
    one, two = (search.run(seed=seed, out=tmp_path / str(seed), **keys) for seed in (1, 2))
    assert set(one.trials["state"]) == set(two.trials["state"]) == {"completed"}
    assert list(one.trials["params"]) != list(two.trials["params"])


@on_ray
def test_run_records_each_failure_with_its_reason_and_goes_on(tmp_path):
    space = tiny_space(["relu", "prelu", "gelu", "leni"])
    keys = {"evaluator": "plugin_evaluators:failing", "trials": 4, "workers": 1, "retries": 1, "references": False}
    run = search.run(space=space, out=tmp_path / "run", quiet=True, **keys)
    reasons = {name: set(part["error"]) for name, part in run.trials.groupby("activation")}
    assert reasons["relu"] == {""}
    assert reasons["leni"] == {"RuntimeError: no such luck"}
    assert "finite" in next(iter(reasons["prelu"]))
    assert "process ended" in next(iter(reasons["gelu"]))
    traces = {name: part["traceback"] for name, part in run.trials.groupby("activation")}
    assert traces["leni"].str.contains("in failing").all()
    assert traces["relu"].isna().all()
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{run.folder / 'study.db'}")
    kept = {trial.user_attrs["result"].get("traceback") for trial in study.trials}
    assert kept == {*traces["leni"], *traces["prelu"], None}
    assert set(run.trials["state"]) == {"completed", "failed"}
    assert len(run.trials) == 4
    assert set(run.front()["activation"]) == {"relu"}


@without_ray
def test_run_records_a_loss_that_is_not_finite_as_failed(tmp_path):
    run = search.run(trials=3, epochs=1, training={"lr": 1e30}, out=tmp_path / "run", quiet=True)
    assert set(run.trials["state"]) == {"failed"}
    assert run.trials["error"].str.contains("training loss became nan in epoch 1").all()
    assert pd.read_csv(run.folder / "front.csv").empty


@without_ray
def test_run_ends_when_the_space_has_no_further_candidate(tmp_path):
    run = search.run(
        space=tiny_space(["relu", "leni"], [0.5, 1.0]),
        evaluator="plugin_evaluators:by_width",
        trials=50,
        out=tmp_path / "run",
        quiet=True,
    )
    assert run.environment["ended"] == "exhausted"
    assert len(run.trials) == 4


@without_ray
def test_run_by_macs_has_a_front_of_macs(tmp_path):
    run = search.run(
        objectives=("accuracy", "macs"),
        evaluator="plugin_evaluators:by_width",
        trials=6,
        out=tmp_path / "r",
        quiet=True,
    )
    assert run.objectives == {"accuracy": "maximize", "macs": "minimize"}
    assert run.front()["macs"].is_monotonic_increasing


@on_ray
@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"data": "cifar10", "data_folder": Path("/nowhere")}, DataError, "/nowhere"),
        ({"gpus_per_trial": 64.0}, SpecError, "gpus_per_trial is 64"),
        ({"cpus_per_trial": 4096.0}, SpecError, "cpus_per_trial is 4096"),
        ({"evaluator": "no_such_module:f"}, SpecError, "no_such_module"),
        ({"train_size": 10**6}, DataError, "1000000"),
    ],
)
def test_run_refuses_what_is_impossible_and_writes_nothing(tmp_path, keys, error, words):
    with pytest.raises(error, match=words) as caught:
        search.run(out=tmp_path / "run", quiet=True, **keys)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_run_refuses_a_folder_that_holds_a_run(digits):
    before = (digits.folder / "study.db").read_bytes()
    with pytest.raises(FolderError, match="already holds a run"):
        search.run(out=digits.folder, quiet=True)
    assert (digits.folder / "study.db").read_bytes() == before


def wait_for(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def finished(study: Path) -> int:
    if not study.exists():
        return 0
    import sqlite3

    with sqlite3.connect(f"file:{study}?mode=ro", uri=True) as connection:
        try:
            return int(connection.execute("select count(*) from trials where state = 'COMPLETE'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def children(parent: int) -> set[int]:
    """Every process below one, by /proc."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[1]) == parent:
            found |= {int(entry.name)} | children(int(entry.name))
    return found


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_run_stopped_by_a_signal_keeps_what_is_finished(tmp_path, stop):
    out, place = tmp_path / "run", tempfile.mkdtemp(prefix="t", dir="/tmp")
    command = [sys.executable, "-m", "search.cli", "run", "--trials", "500", "--workers", "1", "--out", str(out)]
    command += ["--evaluator", "plugin_evaluators:slow"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "evaluators"), "TMPDIR": place}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert wait_for(lambda: finished(out / "study.db") >= 2, 300)
    below = children(process.pid)
    process.send_signal(stop)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted" in stdout
    run = results.load(out)
    assert set(pd.read_csv(out / "front.csv")["number"]) == brute_force_front(run.trials)
    study = optuna.load_study(study_name="leni-search", storage=f"sqlite:///{out / 'study.db'}")
    assert optuna.trial.TrialState.RUNNING not in {trial.state for trial in study.trials}
    assert wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in below), 120)
    left = list(Path(place).glob("leni-ray-*"))
    shutil.rmtree(place)
    assert not left
