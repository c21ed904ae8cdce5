"""The functions of docs/own-training.md do what the page says of them."""

import random
import re
import sys
import tomllib
import types
from pathlib import Path

import pytest

from search.driver.known_costs import known_costs
from search.driver.trial_resources import trial_resources
from search.engine.needs import Needs
from search.spec import Spec
from search.store.checkpoints import Checkpoints
from search.training.function_run import FunctionEvaluator, FunctionRun
from search.training.recipe import Recipe
from spaces import Configuration

PAGE = (Path(__file__).parents[3] / "docs" / "own-training.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
CONFIG = Configuration({"rate": 0.25})


def started(monkeypatch, code: str, objectives: tuple[str, ...], state=None, **keys) -> FunctionRun:
    module = types.ModuleType("page")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "page", module)
    evaluator = FunctionEvaluator("page:evaluate", Recipe(epochs=12), (3,), objectives, checkpoint_s=0.0)
    return evaluator.start(CONFIG, state, **keys)


def ended(run: FunctionRun) -> FunctionRun:
    while not run.advance(0.0):
        pass
    return run


def test_first_function_and_its_spec_fit(monkeypatch, tmp_path):
    table = TABLES[0]
    (tmp_path / "spec.toml").write_text(table)
    spec = Spec.read(tmp_path / "spec.toml")
    run = ended(started(monkeypatch, CODE[0], tuple(spec.directions())))
    expected = [0.001 + 0.999 * 0.75**epoch for epoch in range(1, 13)]
    assert [point["loss"] for point in run.evaluation.curve] == pytest.approx(expected)
    assert run.evaluation.metrics == {"loss": pytest.approx(expected[-1]), "cost": 4.0}


@pytest.mark.parametrize("code", CODE[1:3])
def test_accuracy_of_the_others_grows_to_the_end(monkeypatch, code):
    run = ended(started(monkeypatch, code, ("accuracy", "size")))
    assert run.evaluation.metrics["accuracy"] == pytest.approx(1 - 0.75**12)
    assert len(run.evaluation.curve) == 12


def test_function_with_checkpoints_goes_on_with_the_same_numbers(monkeypatch, tmp_path):
    store = Checkpoints(str(tmp_path))
    whole = ended(started(monkeypatch, CODE[3], ("score", "size"), keep=lambda state: store.save(0, state)))
    state = store.load(0)
    state["curve"] = state["curve"][:5]
    state["reports"]["step"] = 5
    value = sum(random.Random(f"3 {step}").gauss(0, 1) for step in range(5))
    state["checkpoint"] = {"state": {"step": 5, "value": value}}
    assert ended(started(monkeypatch, CODE[3], ("score", "size"), state)).evaluation == whole.evaluation


def test_known_costs_limits_and_resources_of_the_page_are_accepted():
    _, known, resources = map(tomllib.loads, TABLES)
    parameters = {"width": [32, 64, 96], "depth": 2, "kind": ["attention", "conv"], "heads": [2, 4]}
    space = {"parameters": parameters, "when": {"heads": {"kind": "attention"}}, "known": known["space"]["known"]}
    made = Spec(
        space=space,
        evaluator="plugin_evaluators:by_width",
        objectives=("loss:min",),
        limits=known["limits"],
        **resources,
    )
    costs = known_costs(made, None)
    attention, conv = (
        {"kind": "attention", "width": 64, "depth": 2, "heads": 4},
        {"kind": "conv", "width": 32, "depth": 2},
    )
    assert costs.allowed(Configuration(attention)) == {"params": 73728, "cells": 12}
    assert costs.allowed(Configuration(conv))["cells"] == 1
    needs = trial_resources(made, costs, gpus=0.0)
    assert [needs(Configuration(point)) for point in (attention, conv)] == [Needs(2, 4), Needs(2, 1)]
