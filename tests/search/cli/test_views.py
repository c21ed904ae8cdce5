import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import results
from results.errors import RunUnreadable
from search.cli.app import app, main
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


def numbers(folder: Path, *options: str) -> list[int]:
    done = COMMAND.invoke(app, ["front", str(folder), "--json", *options])
    assert done.exit_code == 0, done.output
    return [trial["number"] for trial in json.loads(done.stdout)]


def test_front_by_other_objectives(folder):
    assert numbers(folder, "--objectives", "accuracy:max") == [2]
    assert numbers(folder, "--objectives", "params:max,accuracy:max") == [2]
    assert numbers(folder, "--objectives", "params:min") == [0]


def test_front_as_a_shortlist(folder):
    assert numbers(folder, "--under", "600") == [0]
    assert numbers(folder, "--under", "params=600,macs=5") == [0]
    assert numbers(folder, "--within", "0.06") == [0]
    assert numbers(folder, "--within", "0.04", "--under", "1000") == [2]
    assert len(numbers(folder, "--knee", "--within", "0")) == 2
    assert numbers(folder, "--under", "5") == []
    assert "cheapest within 0.06 of the best" in COMMAND.invoke(app, ["front", str(folder), "--within", "0.06"]).stdout
    assert "No completed trial is within" in COMMAND.invoke(app, ["front", str(folder), "--under", "5"]).stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--under", "many"], "--under must be a number or NAME=NUMBER, got 'many'"),
        (["--under", "5,7"], "--under has two limits"),
        (["--under", "nan"], "must be a number, got nan"),
        (["--under", "latency=5"], "latency is not a column"),
        (["--within", "-1"], "within must be at least 0"),
        (["--objectives", "params"], "--objectives must be written NAME:max or NAME:min"),
        (["--objectives", "params:min", "--knee"], "a cost"),
        (["--confidence"], "two seeds or more"),
        (["--confidence", "--knee"], "not both"),
        (["--save", "front.xlsx"], "a table is saved as one of"),
        (["--csv", "--json"], "not both"),
    ],
)
def test_front_mistakes_are_one_sentence_and_exit_code_2(folder, options, words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["leni-search", "front", str(folder), *options])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert left.value.code == 2
    assert words in told.err
    assert len(told.err.strip().splitlines()) == 1


@pytest.fixture
def seeded(folder: Path) -> Path:
    """The same with three seeds a candidate: trial 1 is not on the front, but may be."""
    spread = {"accuracy_std": 0.05, "seeds": 3}
    rows = [row(0, 0.9, 500, **spread), row(1, 0.89, 700, **spread), row(2, 0.95, 900, **spread)]
    results.write(results.to_frame(rows), folder / "trials.parquet")
    return folder


def test_front_of_several_seeds_says_how_sure_it_is(seeded):
    plain = json.loads(COMMAND.invoke(app, ["front", str(seeded), "--json"]).stdout)
    assert [trial["number"] for trial in plain] == [0, 2]
    assert plain[0]["probability"] == 1.0
    assert 0.5 < plain[1]["probability"] < 1.0
    every = json.loads(COMMAND.invoke(app, ["front", str(seeded), "--json", "--confidence"]).stdout)
    assert [(trial["number"], trial["front"]) for trial in every] == [(0, True), (1, False), (2, True)]
    assert 0.05 < every[1]["probability"] < 0.5
    out = COMMAND.invoke(app, ["front", str(seeded), "--confidence"], env={"COLUMNS": "200"}).stdout
    assert "probability" in out
    assert "1.00" in out


def test_front_saves_tables_and_a_figure_without_a_band(seeded, tmp_path):
    paths = [tmp_path / f"out{suffix}" for suffix in (".csv", ".json", ".parquet", ".tex", ".html")]
    for path in paths[:-1]:
        assert COMMAND.invoke(app, ["front", str(seeded), "--save", str(path)]).exit_code == 0
    done = COMMAND.invoke(app, ["front", str(seeded), "--confidence", "--figure", str(paths[-1])])
    assert done.exit_code == 0
    assert all(path.stat().st_size > 100 for path in paths)
    assert "\\midrule" in paths[3].read_text()
    assert "25 % to 75 %" not in paths[-1].read_text()


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
