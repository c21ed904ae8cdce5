"""A simulation over a table asks for what a run under Ray asks for, trial for trial."""

import itertools

import numpy as np
import plugin_evaluators
import pytest
from optuna.distributions import CategoricalDistribution

import search
from search.driver.prepare import PLUGIN_SHAPE
from search.simulation.simulate import Setting, _Simulation, simulate
from search.simulation.table import Row, Table, read_table
from spaces import SearchSpace, cost

TRIALS = 16


class Order:
    """Candidates in the order in which they began."""

    def __init__(self) -> None:
        self.begun_ones: list = []

    def begun(self, number, candidate) -> None:
        self.begun_ones.append(dict(candidate.values))

    def reported(self, number, epoch) -> None: ...

    def ended(self, number, candidate, costs, outcome) -> None: ...


def simulated(table, setting, sampler) -> list[dict]:
    run, order = _Simulation(table, setting, sampler, "none", seed=3), Order()
    run.engine.observers.append(order)
    run.run(lambda: None)
    return order.begun_ones


def row_of(parameters, values) -> Row:
    return Row(parameters, np.array([values], dtype=float), (), np.array([1.0]))


def assert_same(tmp_path, sampler) -> None:
    values = {"x": [0, 1, 2, 3, 4], "y": [0, 1, 2, 3]}
    points = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    rows = [row_of(point, list(plugin_evaluators.smooth(point, None).values())) for point in points]
    distributions = {name: CategoricalDistribution(choices) for name, choices in values.items()}
    table = Table(rows, {"loss": "minimize", "size": "minimize"}, distributions, 1)
    run = search.run(
        evaluator="plugin_evaluators:smooth", objectives=["loss:min", "size:min"], space={"parameters": values},
        sampler=sampler, seed=3, trials=TRIALS, workers=1, out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    ran = [{"x": int(row.x), "y": int(row.y)} for row in run.trials.itertuples()]
    assert ran == simulated(table, Setting(TRIALS), sampler)


@pytest.mark.usefixtures("ray_session")
def test_simulation_of_a_users_function_asks_for_what_a_run_on_ray_asks_for(tmp_path):
    assert_same(tmp_path, "tpe")


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("sampler", ["gp", "nsga2"])
def test_simulation_of_a_users_function_asks_for_what_the_run_asks_for(tmp_path, sampler):
    assert_same(tmp_path, sampler)


@pytest.mark.usefixtures("ray_session")
def test_simulation_with_known_costs_asks_for_what_the_run_asks_for(tmp_path):
    space = SearchSpace("tiny", "resnet8", "relu", "all", [0.25, 0.375, 0.5, 0.75, 1.0], lr_factor=[0.3, 1.0, 3.0])
    rows = []
    for candidate in space.candidates():
        accuracy = plugin_evaluators.wide(candidate.to_dict(), None)["accuracy"]
        params = cost(candidate, input_shape=PLUGIN_SHAPE[0], classes=PLUGIN_SHAPE[1]).params
        rows.append(row_of(space.parameters(candidate)[0], [accuracy, params]))
    table = Table(rows, {"accuracy": "maximize", "params": "minimize"}, distributions_of(space), 1)
    run = search.run(
        evaluator="plugin_evaluators:wide", space=space, references=False, sampler="known-cost", seed=3,
        trials=12, workers=1, out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    ran = [(row.widths, row.lr_factor) for row in run.trials.itertuples()]
    names = {frozenset(space.parameters(one)[0].items()): one for one in space.candidates()}
    asked = [
        names[frozenset(point.items())] for point in simulated(table, Setting(12, known=("params",)), "known-cost")
    ]
    assert ran == [("-".join(map(str, one.widths)), one.lr_factor) for one in asked]


def distributions_of(space) -> dict:
    return {name: one.distribution() for name, one in space.dimensions().items() if one.distribution() is not None}


@pytest.mark.usefixtures("without_ray")
def test_simulation_of_recorded_curves_predicts_the_epochs_of_a_run_that_stops_functions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"x": [0, 1, 2, 3], "y": [0, 1, 2, 3]}
    keys = {
        "objectives": ["loss:min", "size:min"], "space": {"parameters": values}, "sampler": "tpe", "seed": 3,
        "trials": TRIALS, "epochs": 9, "workers": 1, "quiet": True,
    }  # fmt: skip
    recorded = search.run(evaluator="live_evaluators:at_once", pruner="none", out=tmp_path / "recorded", **keys)
    table = read_table(
        recorded.folder, parameters=list(values), objectives=recorded.objectives, curve="curve", judged="loss"
    )
    predicted = simulate(table, Setting(TRIALS), sampler_name="tpe", pruner_name="halving", seed=3)
    run = search.run(evaluator="live_evaluators:at_leisure", pruner="halving", out=tmp_path / "run", **keys)
    states = run.trials["state"].value_counts()
    assert states["stopped"] == predicted.stopped >= 5
    assert run.trials["epochs"].sum() == predicted.epochs[-1]
    assert states["completed"] == sum(len(path.read_text().split()) for path in tmp_path.glob("x*.txt"))
