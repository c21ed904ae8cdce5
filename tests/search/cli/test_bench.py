"""The bench commands: JSON, tables, and refusals."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from search.bench import engine
from search.cli.app import app


def invoke(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


def test_block_as_json_has_a_row_per_layout():
    result = invoke("block", "--shape", "2,3,4,4", "--seconds", "0", "--json")
    assert [row["layout"] for row in json.loads(result.stdout)] == ["contiguous", "channels_last"]


def test_network_as_table_names_activations():
    result = invoke("network", "resnet8", "--width", "0.25", "--image-size", "8", "--batch", "4", "--seconds", "0")
    assert result.exit_code == 0
    assert [name in result.stdout for name in ("relu", "prelu", "leni", "ratio")] == [True] * 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("block", "--shape", "2,3,4"),
        ("block", "--shape", "0,3,4,4"),
        ("block", "--kernel-size", "2"),
        ("engine", "--ways", "ourz"),
    ],
)
def test_bad_option_is_refused(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2


def test_engine_measures_itself_and_each_way(ray_session, monkeypatch):
    monkeypatch.setattr(engine, "RECIPE", replace(engine.RECIPE, epochs=1))
    result = invoke(
        "engine",
        "--trials",
        "20",
        "--candidates",
        "2",
        "--seeds",
        "1",
        "--ways",
        "sequential,ours",
        "--workers",
        "1",
        "--json",
    )
    found = json.loads(result.stdout)
    assert [row["space"] for row in found["overhead"]] == ["six numbers", "full"]
    assert all(row["trials"] == 20 and row["trial_s"] > 0 and row["growth"] > 0 for row in found["overhead"])
    assert [(row["way"], row["seeds"]) for row in found["throughput"]] == [("sequential", 1), ("ours", 1)]
    assert found["throughput"][0]["ratio"] == 1.0
