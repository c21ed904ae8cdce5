import itertools
import json
import sys

import pytest

import results
from search.cli.app import main

OPTIONS = ["--params", "a,b", "--objectives", "accuracy:max,params:min", "--known", "params", "--log", "params",
           "--trials", "8", "--repeats", "2", "--jobs", "1"]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.jsonl"
    rows = [
        {"a": a, "b": b, "accuracy": 80 + 3 * a - b + seed / 10, "params": 10 * (a + 1) ** 2 + b,
         "curve": [10.0, 50.0, 80 + 3 * a - b + seed / 10], "accuracy2": (80 + 3 * a - b) ** 2}
        for a, b, seed in itertools.product(range(4), range(3), range(2))
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def simulated(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leni-search", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return caught.value.code, printed.out, printed.err

    return call


def test_one_search_as_json_has_its_mean_and_repeats(table, simulated):
    code, out, _ = simulated(table, *OPTIONS, "--bounds", "accuracy=75:92", "--curve", "curve", "--json")
    found = json.loads(out)
    assert code == 0
    assert sorted(found) == ["mean", "repeats"]
    assert len(found["repeats"]) == 2
    assert found["mean"]["trials"] == 8
    assert found["mean"]["epochs"] == 24
    assert set(found["repeats"][0]["first_trial"]) == {"0.90", "0.95", "0.98", "0.99"}


def test_several_searches_are_one_table_and_one_figure(table, simulated, tmp_path):
    figure = tmp_path / "figure.svg"
    code, out, _ = simulated(
        table, *OPTIONS, "--sampler", "known-cost,tpe", "--sampler", "random", "--figure", figure, "--against", "epochs"
    )
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.strip()][2:5] == ["known-cost", "tpe", "random"]
    assert "2 repeats of 8 trials on 1 simulated worker;" in out
    assert figure.read_text().startswith("<svg")


def test_several_searches_as_json_are_a_list_with_names(table, simulated):
    _, out, _ = simulated(table, *OPTIONS, "--sampler", "random,qmc", "--json")
    assert [(one["sampler"], one["pruner"]) for one in json.loads(out)] == [("random", "none"), ("qmc", "none")]


def test_pruners_read_the_curve(table, simulated):
    _, out, _ = simulated(table, *OPTIONS, "--curve", "curve", "--pruner", "halving,none", "--workers", "2", "--json")
    halved, whole = json.loads(out)
    assert halved["mean"]["epochs"] <= whole["mean"]["epochs"] == 24


def test_run_says_itself_what_its_columns_are(tmp_path, simulated):
    rows = [
        {"number": width, "state": "completed", "backbone": "resnet8", "widths": f"{width}-8", "activation": "relu",
         "placement": "all", "lr_factor": 1.0, "params": 100 * width, "macs": 10, "wall_s": 1.0,
         "accuracy": 0.5 + width / 20}
        for width in range(1, 7)
    ]  # fmt: skip
    results.write(results.to_frame(rows), tmp_path / "trials.parquet")
    curves = [{"number": row["number"], "seed": 0, "epoch": epoch, "accuracy": row["accuracy"] * epoch / 2, "loss": 1.0}
              for row in rows for epoch in (1, 2)]  # fmt: skip
    results.write(results.to_curves(curves), tmp_path / "curves.parquet")
    (tmp_path / "environment.json").write_text("{}")
    code, out, err = simulated(tmp_path, "--trials", "6", "--repeats", "1", "--pruner", "halving", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["mean"]["trials"] == 6


@pytest.mark.parametrize("options", [["--objectives", "accuracy:max"], ["--params", "a"]])
def test_file_has_to_be_explained(table, simulated, options):
    code, out, err = simulated(table, *options)
    assert (code, out) == (2, "")
    assert "is needed where TABLE is a file" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bounds", "accuracy=93:85"], "bounds of accuracy must be finite with least < greatest, got 93:85"),
        (["--bounds", "accuracy"], "--bounds must be written NAME=LOW:HIGH, got 'accuracy'"),
        (["--sampler", "tpee"], "no sampler 'tpee'; did you mean 'tpe'"),
        (["--pruner", "halving"], "pruner 'halving' needs learning curves: name their column with curve"),
        (["--curve", "curves"], "no column 'curves'"),
        (["--params", "c"], "no column 'c'"),
        (["--trials", "0"], "trials must be at least 1, got 0"),
        (["--jobs", "0"], "jobs must be at least 1, got 0"),
        (["--against", "hours"], "--against must be trials or epochs, got 'hours'"),
        (["--figure", "figure.gif"], ".html, .pdf, .png, .svg"),
        (["--figure", "no/such/figure.png"], "--figure: there is no folder"),
        (["--objectives", "accuracy:up"], "--objectives must be written NAME:max or NAME:min, got 'accuracy:up'"),
        (["--objectives", "accuracy:min"], "--objectives has accuracy twice"),
        (["--proxy", "accuracy2:up"], "--proxy must be written NAME:max or NAME:min, got 'accuracy2:up'"),
        (["--proxy", "params"], "'params' is named twice among parameters, objectives and proxies"),
        (["--prior", "nowhere.csv"], "nowhere.csv does not exist"),
    ],
)
def test_mistake_is_one_sentence_and_exit_code_2(table, simulated, arguments, message):
    code, out, err = simulated(table, *OPTIONS, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_proxies_and_earlier_searches_change_what_is_tried(table, simulated):
    plain, hinted, prior = (
        json.loads(simulated(table, *OPTIONS, "--json", *options)[1])
        for options in ([], ["--proxy", "accuracy2"], ["--prior", table])
    )
    assert plain["repeats"] != hinted["repeats"]
    assert plain["repeats"] != prior["repeats"]
    assert prior["mean"]["hypervolume"] > plain["mean"]["hypervolume"]
