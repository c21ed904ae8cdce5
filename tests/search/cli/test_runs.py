import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from search.cli.app import app


@pytest.mark.usefixtures("ray_session")
def test_run_prints_the_front_and_the_paths_of_what_it_wrote(tmp_path):
    out = tmp_path / "run"
    flags = [
        "--trials",
        "4",
        "--workers",
        "1",
        "--evaluator",
        "plugin_evaluators:by_width",
        "--fix",
        "activation=relu",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, ["run", *flags], env={"COLUMNS": "200"}, standalone_mode=False)
    assert done.return_value == 0, done.output
    assert "4 trials: 4 completed" in done.stdout
    assert str(out / "front.csv") in done.stdout
    assert "4/4 trials" in done.stderr
    assert json.loads((out / "environment.json").read_text())["ended"] == "complete"


@pytest.mark.usefixtures("without_ray")
def test_run_quiet_prints_nothing_and_reads_a_spec(tmp_path):
    spec, out = tmp_path / "spec.toml", tmp_path / "run"
    spec.write_text(
        'trials = 9\nevaluator = "plugin_evaluators:by_width"\nsampler = "random"\n[fix]\nlr_factor = 1.0\n'
    )
    command = ["run", str(spec), "--trials", "3", "--quiet", "--out", str(out)]
    done = CliRunner().invoke(app, command, standalone_mode=False)
    assert (done.return_value, done.output) == (0, "")
    trials = pd.read_parquet(out / "trials.parquet")
    assert len(trials) == 3
    assert set(trials["lr_factor"]) == {1.0}
