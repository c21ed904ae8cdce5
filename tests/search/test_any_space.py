"""Any space of parameters that is accepted ends in records that load, a front, a report and a resume."""

import json
import math
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import plugin_evaluators
import tomli_w
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import results
from leni.errors import LeniSearchError
from results.names import RESERVED, parameter_column, plain_name
from results.report.page import report
from search.driver.known_costs import known_costs
from search.driver.prepare import make_budget, make_sampler
from search.engine.asker import Asker
from search.engine.core import Engine
from search.engine.replay import replay
from search.spec import Spec
from search.store.trials import StudyStore
from search.training.function_run import FunctionEvaluator
from spaces import Configuration

TRIALS = 3
OTHERS = {"x", "y", "size", "loss", "param:x", "metric:x", "trial:number", "seed", "a:b, c"}
OURS = st.sampled_from(sorted(RESERVED | OTHERS))
NAMES = OURS | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
WHOLE = st.integers(-(2**70), 2**70) | st.sampled_from([2**63, 2**64 - 1, 1, 0])
NUMBERS = WHOLE | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
CHOICES = st.lists(SCALARS, min_size=1, max_size=4, unique_by=lambda value: (value, isinstance(value, bool)))


@st.composite
def ranges(draw: Callable[[Any], Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["float", "whole", "log", "steps"]))
    if kind == "whole":
        low = draw(st.integers(-(2**40), 2**40))
        return {"low": low, "high": low + draw(st.integers(0, 500))}
    if kind == "log":
        return {"low": 10.0 ** draw(st.integers(-300, 0)), "high": 10.0 ** draw(st.integers(1, 300)), "log": True}
    if kind == "steps":
        return {"low": -1.0, "high": draw(st.integers(0, 9)) / 2, "step": draw(st.sampled_from([0.25, 0.5, 0.1]))}
    low, high = sorted(draw(st.tuples(*[st.floats(-1e300, 1e300)] * 2)))
    return {"low": low, "high": high}


@st.composite
def tables(draw: Callable[[Any], Any]) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    parameters = {name: draw(CHOICES | ranges()) for name in names}
    first, last = names[0], names[-1]
    table: dict[str, Any] = {"name": draw(st.sampled_from(["any", "a/b", "é"])), "parameters": parameters}
    if first != last and isinstance(parameters[first], list) and draw(st.booleans()):
        table["when"] = {last: {first: parameters[first][:1]}}
    return table


def searched(folder: Path, spec: Spec) -> list[Configuration]:
    """Run a search without Ray, or go on with it; what was tried in it, in order."""
    store = StudyStore(folder / "study.db", spec.directions())
    asker = Asker(
        spec.search_space(), make_sampler(spec, known_costs(spec, None)), directions=list(spec.directions().values()),
        seed=0, check=lambda _: {}, duplicates="allow",
    )  # fmt: skip
    engine = Engine(asker, store, costs=lambda _: {}, budget=make_budget(spec), slots=1)
    replay(engine, store)
    evaluator = FunctionEvaluator(spec.evaluator, spec.recipe(), (0,), tuple(spec.directions()), spec.columns())
    tried = []
    while (task := engine.next(0.0)) is not None:
        tried.append(Configuration.from_dict(json.loads(json.dumps(task.asked.candidate.to_dict()))))
        evaluation = evaluator.evaluate(tried[-1])
        engine.report(task.number, evaluation.curve, done=True)
        engine.complete(task.number, evaluation.metrics, 0.0, notes=evaluation.notes)
    results.write(results.to_frame(store.records()), folder / "trials.parquet")
    results.write(results.to_curves(store.curves()), folder / "curves.parquet")
    store.close()
    facts = {"objectives": spec.directions(), "chosen": spec.columns(), "ended": "complete"}
    (folder / "environment.json").write_text(json.dumps(facts))
    (folder / "spec.toml").write_text(spec.to_toml(), encoding="utf-8")
    return tried


def check_records(run: results.Run, tried: list[Configuration], objectives: list[str]) -> None:
    trials = run.trials
    assert (trials["state"] == "completed").all()
    for at, name in enumerate(objectives):
        assert trials[run.column(name)].tolist() == [0.5 * number + at for number in range(len(trials))]
    for name in dict(pair for point in tried for pair in point.values):
        column = trials[parameter_column(name, taken=run.objectives)]
        given_values = [dict(point.values).get(name) for point in tried]
        assert column.notna().tolist() == [value is not None for value in given_values]
        assert column.nunique() == len({json.dumps(value) for value in given_values if value is not None})


def check_front(run: results.Run, objectives: list[str], folder: Path) -> None:
    front = run.front()
    assert list(front.columns[1:3]) == objectives
    assert not front.isna().all().any()
    assert len(set(front.columns)) == len(front.columns)
    results.save_table(front, folder / "front.csv")
    assert len(pd.read_csv(folder / "front.csv").columns) == len(front.columns)
    results.front_table(run.front_records(), objectives=run.objectives)
    assert len(report(folder)) > 1000


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(tables(), st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_any_space_ends_in_records_a_front_a_report_and_a_resume(table, objectives):
    assume(not any(name != name.strip() for name in objectives))
    text = tomli_w.dumps({"space": table, "objectives": [f"{name}:min" for name in objectives]})
    try:
        spec = Spec(evaluator="plugin_evaluators:given", trials=TRIALS, **tomllib.loads(text))
    except LeniSearchError:
        assume(False)
    calls: list[Any] = []

    def function(config: dict[str, Any], report: Callable[[float], None]) -> dict[str, Any]:
        calls.append(config)
        report(math.nan)
        return {**config, **{name: 0.5 * (len(calls) - 1) + at for at, name in enumerate(objectives)}}

    plugin_evaluators.given = function
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tried = searched(folder, spec)
        run = results.load(folder)
        check_records(run, tried, objectives)
        check_front(run, objectives, folder)
        tried += searched(folder, Spec.read(folder / "spec.toml", trials=TRIALS + 2))
        assert len(tried) == TRIALS + 2
        check_records(results.load(folder), tried, objectives)
    assert {plain_name(column) for column in run.environment["chosen"]} == set(table["parameters"])
