"""The bench commands: JSON, tables, and refusals."""

import json

import pytest
from typer.testing import CliRunner

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
    "arguments", [("block", "--shape", "2,3,4"), ("block", "--shape", "0,3,4,4"), ("block", "--kernel-size", "2")]
)
def test_bad_option_is_refused(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
