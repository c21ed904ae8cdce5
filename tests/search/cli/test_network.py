import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import search.cli.app as app_module
from search.cli import network

Command = Callable[..., tuple[int, str, str]]

FACTORY = """
import torch
from torch import nn

class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        nn.init.ones_(self.conv.bias)  # zeros go the way that calls the function

    def forward(self, x):
        x = self.conv(x)
        return torch.relu(x) if x.sum() > 0 else x

def stopped():
    return Branch()

def small():
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 3), nn.GELU())

small.input_size = (1, 9, 8)
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command in this process; give its exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leni-search", "sites", *words])
        with pytest.raises(SystemExit) as ended:
            app_module.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of factories in the current folder, which is not on the path."""
    (tmp_path / "networks_of_mine.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "networks_of_mine", raising=False)
    return "networks_of_mine"


def test_sites_of_resnet18_are_a_line_each_and_a_total(command: Command) -> None:
    code, out, err = command("torchvision:resnet18", "--input-size", "64")

    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert ["name", "kind", "channels", "dim", "size", "stage", "role"] in lines
    assert ["layer2.0.relu_2", "relu", "128", "1", "8x8", "2", "outer"] in lines
    assert sum(line[-1] in ("stem", "inner", "outer") for line in lines if line) == 17
    assert out.splitlines()[-1].endswith("at 3x64x64, 11,689,512 parameters: 17 call sites (9 modules)")


def test_sites_with_placement_show_what_a_swap_replaces_and_costs(command: Command) -> None:
    code, out, _ = command("torchvision:resnet18", "--input-size", "32", "--placement", "inner")

    lines = out.splitlines()
    assert code == 0
    assert any(line.split()[-3:] == ["leni", "+640", "+40,960"] for line in lines)
    assert any(line.rstrip().endswith("not chosen (stem)") for line in lines)
    assert "leni at 8 of 17 call sites (placement inner), +19,200 parameters" in lines[-1]


def test_sites_of_wide_table_do_not_wrap_in_a_pipe(command: Command) -> None:
    _, out, _ = command("torchvision:mobilenet_v3_small", "--activation", "prelu", "--input-size", "64")

    lines = [line.split() for line in out.splitlines()]
    assert ["features.1.block.1.activation", "relu", "8", "1", "1x1", "1", "gate", "not", "chosen", "(gate)"] in lines
    assert sum(line[0].startswith(("features.", "classifier.")) for line in lines if line) == 33


def test_sites_as_json_and_csv_say_the_same(command: Command, own: str) -> None:
    _, as_json, _ = command(f"{own}:small", "--activation", "leni", "--json")
    _, as_csv, _ = command(f"{own}:small", "--activation", "leni", "--csv")

    first, second = json.loads(as_json)
    assert (first["name"], first["channels"], first["size"], first["params"]) == ("1", 6, [7, 6], 60)
    assert (second["kind"], second["activation"], second["macs"]) == ("gelu", "leni", 10 * 2 * 5 * 4)
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert [row["name"] for row in rows] == ["1", "3"]
    assert list(rows[0]) == list(first)
    assert (rows[0]["size"], rows[0]["params"]) == ("7x6", "60")


def test_sites_of_own_network_take_its_size_or_another(command: Command, own: str) -> None:
    assert json.loads(command(f"{own}:small", "--json")[1])[0]["size"] == [7, 6]
    assert json.loads(command(f"{own}:small", "--json", "--input-size", "20")[1])[0]["size"] == [18, 18]
    assert json.loads(command(f"{own}:small", "--json", "--input-size", "1,10,20")[1])[0]["size"] == [8, 18]


REFUSED = {
    "unknown network": (["torchvision:resnet81"], "near: resnet18"),
    "no source": (["resnet18"], "near: torchvision:resnet18"),
    "unknown module": (["no_such_module:f"], "there is no module 'no_such_module'"),
    "unknown word": (["torchvision:resnet18", "--placement", "stem+iner"], "cannot read 'iner' at column 6"),
    "word without site": (["torchvision:resnet18", "--placement", "stem+gate"], "'gate' matches none"),
    "unknown activation": (["torchvision:resnet18", "--activation", "lenni"], "leni"),
    "untraceable": (["networks_of_mine:stopped", "--input-size", "1,8,8"], "cannot trace Branch"),
    "channels": (["torchvision:resnet18", "--input-size", "4,32,32"], "stopped in conv1 (Conv2d)"),
    "size": (["torchvision:resnet18", "--input-size", "3x32"], "must be H or C,H,W in pixels"),
    "no size": (["torchvision:resnet18", "--input-size", "0"], "no number below 1"),
    "two forms": (["torchvision:resnet18", "--json", "--csv"], "not both"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sites_refuse_in_one_line(command: Command, own: str, case: str) -> None:
    words, sentence = REFUSED[case]

    code, out, err = command(*words)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("leni-search: ")
    assert sentence in err


@pytest.mark.parametrize("text", ["", "a", "1,2", "1,2,3,4", "-5", "8.5", "3,0,8"])
def test_input_size_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--input-size must"):
        network._size(text)
