"""What importing and the light commands leave unloaded, in one new process that goes from the lightest to the rest."""

import json
import subprocess
import sys

import pytest
import torch

from spaces import Candidate, Exported, build
from spaces.exported import to_bytes

STEPS = """
import json, sys

def command(*words):
    import search.cli.app as app
    sys.argv = ["leni-search", *words]
    try:
        app.main()
    except SystemExit as ended:
        assert not ended.code

def help():
    command("--help")

def remote():
    command("token", "--help")
    import search.cli.remote

def leni():
    import leni, leni.kernels
    from leni import registry
    assert not registry._STATE["entry points read"]

def data():
    import search.training.data

def exported():
    import spaces, torch
    network = spaces.load_exported("network.pt")
    assert network(torch.zeros(2, 3, 9, 6, dtype=torch.uint8)).shape == (2, 4)

def counting():
    from spaces import Candidate, cost
    for activation in ("relu", "prelu", "gelu", "silu", "leni"):
        cost(Candidate("resnet8", (4, 8, 16), activation), input_shape=(1, 8, 8), classes=10)

loaded = {}
for step in (help, remote, leni, data, exported, counting):
    before = set(sys.modules)
    step()
    loaded[step.__name__] = sorted(set(sys.modules) - before)
print(json.dumps(loaded))
"""
# Whatever an earlier step has loaded may not be loaded either by the later ones that forbid it.
FORBIDDEN = {
    "help": {"torch", "ray", "optuna", "pandas", "numpy"},
    "remote": {"torch", "ray", "optuna", "fastapi"},
    "leni": {"numba", "leni.kernels.triton", "optuna", "spaces", "search.spec"},
    "data": {"torchvision", "sklearn", "scipy", "PIL", "ray"},
    "exported": {"ray", "optuna", "search.spec"},
    "counting": {"torch._dynamo"},
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, set[str]]:
    """Step -> the modules that were loaded when it was over."""
    folder = tmp_path_factory.mktemp("imports")
    candidate = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5})
    torch.manual_seed(11)
    state = build(candidate, in_channels=3, classes=4).state_dict()
    network = Exported(candidate, in_channels=3, classes=4, mean=(0.2, 0.5, 0.7), std=(0.1, 0.3, 0.9), state=state)
    (folder / "network.pt").write_bytes(to_bytes(network))
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    found, total = {}, set()
    for step, names in json.loads(done.stdout.splitlines()[-1]).items():
        total |= set(names)
        found[step] = set(total)
    return found


@pytest.mark.parametrize("step", FORBIDDEN)
def test_step_loads_nothing_heavy(loaded, step):
    assert loaded[step] & FORBIDDEN[step] == set()


def test_steps_load_what_they_are_about(loaded):
    assert {"search.cli.app", "typer"} <= loaded["help"]
    assert {"leni.kernels", "torch"} <= loaded["leni"] - loaded["remote"]
    assert "spaces.exported" in loaded["exported"] - loaded["data"]
