import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import results
from results.errors import RunUnreadable
from search.cli.app import app
from spaces import space

COMMAND = CliRunner()


def row(number: int, accuracy: float, params: int, **more: object) -> dict[str, object]:
    fields = {"number": number, "state": "completed", "backbone": "resnet8", "widths": "4-8-16", "activation": "relu"}
    return {**fields, "placement": "all", "lr_factor": 1.0, "accuracy": accuracy, "params": params, "macs": 1, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four trials: two on the front, one dominated, one failed."""
    rows = [row(0, 0.9, 500), row(1, 0.8, 700), row(2, 0.95, 900, activation="leni")]
    rows.append(row(3, 0.99, 10, state="failed", error="no luck"))
    results.write(results.to_frame(rows), tmp_path / "trials.parquet")
    results.write(results.to_curves([]), tmp_path / "curves.parquet")
    (tmp_path / "environment.json").write_text("{}")
    return tmp_path


def test_front_as_csv_is_the_front(folder):
    done = COMMAND.invoke(app, ["front", str(folder), "--csv"])
    assert [(line["number"], line["params"]) for line in csv.DictReader(io.StringIO(done.stdout))] == [
        ("0", "500"),
        ("2", "900"),
    ]


def test_front_as_json_is_the_front(folder):
    front = json.loads(COMMAND.invoke(app, ["front", str(folder), "--json"]).stdout)
    assert [(trial["number"], trial["accuracy"], trial["activation"]) for trial in front] == [
        (0, 0.9, "relu"),
        (2, 0.95, "leni"),
    ]


def test_front_as_table_says_what_became_of_the_trials(folder):
    out = COMMAND.invoke(app, ["front", str(folder)]).stdout
    assert "0.9500" in out
    assert "4 trials: 3 completed, 1 failed" in out


@pytest.mark.parametrize("suffix", [".html", ".svg", ".png", ".pdf"])
def test_front_draws_a_figure(folder, suffix):
    path = folder / f"drawn{suffix}"
    assert COMMAND.invoke(app, ["front", str(folder), "--figure", str(path)]).exit_code == 0
    assert path.stat().st_size > 1000


def test_front_of_a_folder_without_a_run_is_refused(tmp_path):
    assert isinstance(COMMAND.invoke(app, ["front", str(tmp_path)]).exception, RunUnreadable)


def test_spaces_lists_the_presets_with_their_sizes():
    out = COMMAND.invoke(app, ["spaces"], env={"COLUMNS": "200"}).stdout
    for name in ("channel-compensation", "placement", "activations", "full"):
        assert name in out
    assert "continuous" in out


def test_spaces_shows_a_space_and_when_a_dimension_exists():
    out = COMMAND.invoke(app, ["spaces", "channel-compensation"], env={"COLUMNS": "200"}).stdout
    assert "activation is leni" in out
    assert "lr_factor" in out


def test_spaces_as_toml_can_be_read_back(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(COMMAND.invoke(app, ["spaces", "full", "--toml"]).stdout)
    assert space(str(path)).name == "full"


def test_data_lists_every_set_and_whether_it_is_here(tmp_path):
    out = COMMAND.invoke(app, ["data", "--data-folder", str(tmp_path)], env={"COLUMNS": "250"}).stdout
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert " yes " in lines["digits"]
    assert " no " in lines["cifar10"]
