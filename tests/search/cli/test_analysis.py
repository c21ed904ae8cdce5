"""compare on folders; compensation and importance have their tests where they are computed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import results
from search.cli.app import app, main

COMMAND = CliRunner()


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Four runs: a and b of a good search, c and d of a poor one; and one that has no completed trial."""
    found = {}
    for name, level in (("a", 0.9), ("b", 0.91), ("c", 0.7), ("d", 0.72), ("none", None)):
        place = tmp_path / name
        place.mkdir()
        rows = [
            {"number": at, "state": "failed" if level is None else "completed", "params": 1000 * (at + 1),
             "accuracy": None if level is None else level + 0.01 * at, "wall_s": 10.0}
            for at in range(3)
        ]  # fmt: skip
        results.write(results.to_frame(rows), place / "trials.parquet")
        results.write(results.to_curves([]), place / "curves.parquet")
        (place / "environment.json").write_text("{}")
        found[name] = str(place)
    return found


def test_compare_of_repeated_runs_has_intervals_over_runs(folders):
    given = [f"good={folders['a']}", f"poor={folders['c']}", f"good={folders['b']}", f"poor={folders['d']}"]
    done = COMMAND.invoke(app, ["compare", *given, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    row = found["measures"][0]
    assert (row["first"], row["second"], row["measure"], row["over"], row["n"]) == (
        "good",
        "poor",
        "hypervolume",
        "runs",
        2,
    )
    assert row["difference"] > 0
    assert [line["params"] for line in found["differences"]] == [1000.0, 2000.0, 3000.0]
    assert "good has a hypervolume of" in found["sentences"][0]


def test_compare_of_two_runs_names_them_by_their_folders_and_draws(folders, tmp_path):
    path = tmp_path / "runs.html"
    done = COMMAND.invoke(app, ["compare", folders["a"], folders["c"], "--figure", str(path)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "a has a hypervolume of" in done.stdout
    assert "a single run each cannot tell" in done.stdout
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a"], "two names or more"),
        (["a", "a"], "is there twice"),
        (["x=a", "y=a"], "is there twice"),
        (["x=a", "x=b", "c"], "all with one run or all with at least two"),
        (["a", "none"], "a run of none has no completed trial"),
        (["a", "missing"], "is not a folder"),
        (["a", "c", "--level", "95"], "level must be"),
        (["a", "c", "--objectives", "accuracy"], "NAME:max or NAME:min"),
        (["a", "c", "--objectives", "accuracy:max"], "two or three objectives"),
        (["a", "c", "--figure", "runs.gif"], "a figure is saved as one of"),
    ],
)
def test_compare_mistakes_are_one_sentence_and_exit_code_2(folders, given, words, monkeypatch, capsys):
    texts = [(f"{left}{equals}{folders[right]}" if right in folders else text)
             for text in given for left, equals, right in [text.rpartition("=")]]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["leni-search", "compare", *texts])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert left.value.code == 2
    assert words in told.err
    assert len(told.err.strip().splitlines()) == 1


def test_compare_of_runs_with_other_objectives_asks_which_count(folders, monkeypatch, capsys):
    other = Path(folders["c"]) / "environment.json"
    other.write_text(json.dumps({"objectives": {"accuracy": "maximize", "macs": "minimize"}}))
    done = COMMAND.invoke(app, ["compare", folders["a"], folders["c"]])
    assert "say which count with --objectives" in str(done.exception)
    by = ["--objectives", "accuracy:max,params:min"]
    assert COMMAND.invoke(app, ["compare", folders["a"], folders["c"], *by]).exit_code == 0


def test_compare_says_that_runs_are_of_different_data(folders):
    for name, data in (("a", "digits"), ("c", "fashion-mnist")):
        path = Path(folders[name]) / "environment.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "data": data}))
    done = COMMAND.invoke(app, ["compare", folders["a"], folders["c"]])
    assert done.exit_code == 0
    assert done.stderr == "These runs are of different data: digits, fashion-mnist.\n"
