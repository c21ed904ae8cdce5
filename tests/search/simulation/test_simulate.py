import itertools
from dataclasses import replace

import moocore
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from scipy.stats import spearmanr

from leni.errors import SpecError
from search.simulation import simulate as module
from search.simulation.simulate import Judge, Setting, Trace, knowledge_of_table, mean_of, simulate
from search.simulation.table import Row, Table

EPOCHS = 4
SETTING = Setting(12, known=("params",), log=("params",))


def made(rows=None, *, epochs=EPOCHS):
    generator = np.random.default_rng(0)
    rows = rows or []
    for a, b in () if rows else itertools.product(range(5), range(4)):
        accuracy = 0.5 + 0.08 * a - 0.02 * b + 0.01 * generator.standard_normal(3)
        curves = tuple(np.linspace(0.1, final, epochs) for final in accuracy)
        values = np.column_stack([accuracy, np.full(3, 10.0 * (1 + a) ** 2 + b)])
        rows.append(Row({"a": a, "b": b}, values, curves, np.array([4.0, 8.0, 12.0])))
    distributions = {"a": CategoricalDistribution(range(5)), "b": CategoricalDistribution(range(4))}
    return Table(rows, {"accuracy": "maximize", "params": "minimize"}, distributions, epochs)


@pytest.fixture(autouse=True)
def _quiet_optuna():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Cutter:
    """Stops every trial of an odd number at its second epoch, and remembers what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, number, costs, recipe):
        self.told.append(("begin", number, tuple(costs)))

    def report(self, number, epoch, value):
        self.told.append(("report", number, epoch))
        return number % 2 == 1 and epoch >= 2

    def end(self, number, state, values=None):
        self.told.append(("end", number, state))

    def given_away(self):
        return None


@pytest.fixture
def cutter(monkeypatch):
    pruner = Cutter()
    monkeypatch.setattr(module, "pruner", lambda name, **_: None if name == "none" else pruner)
    return pruner


def test_share_is_that_of_the_tables_hypervolume_by_the_means():
    table = made()
    judge = Judge(table, SETTING)
    means = table.means()
    logs = np.log10(means[:, 1])
    best, worst = means[:, 0].max(), means[:, 0].min()
    unit = np.column_stack([(best - means[:, 0]) / (best - worst), (logs - logs.min()) / np.ptp(logs)])
    whole = moocore.hypervolume(unit, ref=[1.01, 1.01])
    for count, row in enumerate([7, 3, 3, 19, 0], start=1):
        share = judge.add(row)
        assert share == pytest.approx(moocore.hypervolume(unit[[7, 3, 3, 19, 0][:count]], ref=[1.01, 1.01]) / whole)
    assert max(judge.add(row) for row in range(len(means))) == pytest.approx(1.0)


def test_bounds_of_the_user_set_the_scale_and_leave_out_what_is_beyond():
    table = made()
    setting = Setting(3, known=("params",), bounds={"accuracy": (0.7, 0.9), "params": (0.0, 300.0)})
    judge = Judge(table, setting)
    assert judge.add(0) == 0.0  # its accuracy is 0.5
    with pytest.raises(SpecError, match="no candidate of the table lies within the bounds"):
        Judge(table, Setting(3, bounds={"accuracy": (2.0, 3.0)}))


def test_trials_epochs_and_time_are_counted():
    trace = simulate(made(), SETTING, sampler_name="random", seed=0)
    assert len(trace.shares) == 12
    assert trace.epochs.tolist() == [EPOCHS * count for count in range(1, 13)]
    assert (np.diff(trace.shares) >= 0).all()
    assert set(np.diff(np.append(0.0, trace.times)).round(6)) <= {4.0, 8.0, 12.0}
    assert 1 <= trace.distinct <= 12


def test_workers_share_the_time_and_no_worker_waits():
    one = simulate(made(), SETTING, sampler_name="known-cost", seed=0)
    many = simulate(made(), Setting(12, 4, ("params",), ("params",)), sampler_name="known-cost", seed=0)
    assert many.times[-1] < 0.5 * one.times[-1]
    assert (np.diff(many.times) >= 0).all()
    assert many.distinct == 12


@pytest.mark.parametrize("name", ["known-cost", "tpe", "nsga2"])
def test_same_seed_gives_the_same_search(name):
    first, second = (simulate(made(), SETTING, sampler_name=name, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.shares, second.shares)
    assert not np.array_equal(first.shares, simulate(made(), SETTING, sampler_name=name, seed=6).shares)


def test_known_cost_tries_each_candidate_once_and_reaches_all():
    trace = simulate(made(), Setting(20, known=("params",), log=("params",)), sampler_name="known-cost", seed=0)
    assert trace.distinct == 20
    assert trace.shares[-1] == pytest.approx(1.0)
    assert trace.shares[13] > 0.97


def test_stopped_trials_save_epochs_and_do_not_count(cutter):
    trace = simulate(made(), SETTING, sampler_name="random", pruner_name="fake", seed=0)
    assert trace.stopped == 6
    assert trace.epochs[-1] == 6 * EPOCHS + 6 * 2
    assert trace.shares[1] == trace.shares[0]
    assert [event for event in cutter.told if event[1] == 1] == [
        ("begin", 1, cutter.told[[e[:2] for e in cutter.told].index(("begin", 1))][2]),
        ("report", 1, 1), ("report", 1, 2), ("end", 1, "stopped"),
    ]  # fmt: skip
    assert [event[2] for event in cutter.told if event[:2] == ("report", 0)] == [1, 2, 3, 4]


def test_pruner_sees_the_epochs_of_workers_in_the_order_of_the_clock(cutter):
    simulate(made(), Setting(4, 4, ("params",)), sampler_name="random", pruner_name="fake", seed=0)
    begun = [event[1] for event in cutter.told[:4]]
    assert begun == [0, 1, 2, 3]
    numbers = [event[1] for event in cutter.told if event[0] == "report"]
    assert numbers != sorted(numbers)


def test_stopped_trial_frees_its_worker_early(cutter):
    whole = simulate(made(), SETTING, sampler_name="random", seed=0)
    cut = simulate(made(), SETTING, sampler_name="random", pruner_name="fake", seed=0)
    assert cut.times[-1] < whole.times[-1]


def test_cost_that_is_maximised_is_told_to_the_pruner_with_its_sign_turned(cutter):
    table = made()
    table = Table(table.rows, {"accuracy": "maximize", "params": "maximize"}, table.distributions, EPOCHS)
    simulate(table, Setting(3, known=("params",)), sampler_name="random", pruner_name="fake", seed=0)
    assert all(event[2][0] < 0 for event in cutter.told if event[0] == "begin")


def test_table_with_holes_is_answered_by_its_nearest_candidate():
    whole = made()
    table = Table(whole.rows[::3], whole.objectives, whole.distributions, EPOCHS)
    for name in ("tpe", "known-cost"):
        trace = simulate(table, Setting(7, known=("params",)), sampler_name=name, seed=0)
        assert len(trace.shares) == 7
    assert trace.distinct == 7


def test_sampler_may_know_the_known_alone():
    knowledge = knowledge_of_table(made(), SETTING)
    assert list(knowledge.costs) == [1]
    assert knowledge.costs[1]({"b": 2, "a": 1}) == 42.0
    assert np.isnan(knowledge.costs[1]({"a": 9, "b": 2}))
    assert knowledge.logarithmic == [1]
    assert len(knowledge.candidates) == 20


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(0), "trials must be at least 1, got 0"),
        (Setting(1, 0), "workers must be at least 1, got 0"),
        (Setting(1, known=("size",)), "known must be of the objectives accuracy, params, got 'size'"),
        (
            Setting(1, known=("accuracy",)),
            "accuracy cannot be known: its value differs between the seeds of 20 of",
        ),
        (Setting(1, bounds={"accuracy": (1.0, 0.5)}), "bounds of accuracy must be finite with least < greatest"),
        (Setting(1, log=("params",), bounds={"params": (0.0, 9.0)}), "log needs values above 0, and params has 0"),
    ],
)
def test_impossible_setting_is_refused(setting, message):
    with pytest.raises(SpecError, match=message):
        setting.check(made())


def test_first_trial_and_epoch_of_each_level_are_found():
    trace = Trace(np.array([0.5, 0.95, 0.95, 0.985]), np.array([4, 6, 10, 14]), np.arange(4.0), 3, 1)
    found = trace.summary()
    assert found["first_trial"] == {"0.90": 2, "0.95": 2, "0.98": 4, "0.99": None}
    assert found["first_epoch"] == {"0.90": 6, "0.95": 6, "0.98": 14, "0.99": None}
    assert (found["trials"], found["distinct"], found["stopped"], found["epochs"]) == (4, 3, 1, 14)


def test_mean_of_a_level_needs_every_repeat():
    first = Trace(np.array([0.9, 0.99]), np.array([1, 2]), np.array([1.0, 2.0]), 2, 0).summary()
    second = Trace(np.array([0.5, 0.92]), np.array([1, 4]), np.array([1.0, 3.0]), 2, 0).summary()
    mean = mean_of([first, second])
    assert mean["first_trial"] == {"0.90": 1.5, "0.95": None, "0.98": None, "0.99": None}
    assert mean["first_epoch"]["0.90"] == 2.5
    assert mean["reached"] == {"0.90": 2, "0.95": 1, "0.98": 1, "0.99": 1}
    assert (mean["epochs"], mean["simulated_time"]) == (3.0, 2.5)


def test_known_cost_that_differs_in_a_few_candidates_is_known_by_its_mean():
    table = made()
    table.rows[3].values[0, 1] += 30.0
    told = []
    run = module._Simulation(table, Setting(20, known=("params",)), "known-cost", "none", 0)
    tell = run.engine.asker.tell
    run.engine.asker.tell = lambda asked, state, values, **how: (
        told.append(values[1]),
        tell(asked, state, values, **how),
    )
    run.run(lambda: None)
    means = {float(row.values[:, 1].mean()) for row in table.rows}
    assert set(told) == means
    assert knowledge_of_table(table, SETTING).costs[1](table.rows[3].parameters) in means


def test_proxies_and_earlier_searches_become_hints_in_the_objective_s_direction():
    plain = made()
    rows = [replace(row, proxies=np.array([row.values[:, 0].mean(), -row.values[:, 0].mean()])) for row in plain.rows]
    table = replace(plain, rows=rows, proxies={"good": "maximize", "bad": "minimize"})
    losses = {"accuracy": "minimize", "params": "minimize"}
    for objectives, sign in ((plain.objectives, 1.0), (losses, -1.0)):
        setting = replace(SETTING, earlier={"before": plain})
        found = knowledge_of_table(replace(table, objectives=objectives), setting).hints
        assert [(hint.name, hint.objective) for hint in found] == [("good", 0), ("bad", 0), ("before", 0)]
        candidates = [row.parameters for row in rows]
        means = plain.means()[:, 0]
        np.testing.assert_allclose(found[0].values(candidates), sign * means)
        np.testing.assert_allclose(found[1].values(candidates), sign * means)
        assert spearmanr(found[2].values(candidates), means).statistic > 0.9


def test_a_candidate_that_the_table_does_not_have_has_no_proxy():
    table = made()
    table = replace(
        table, rows=[replace(row, proxies=np.array([1.0])) for row in table.rows], proxies={"p": "maximize"}
    )
    assert np.isnan(knowledge_of_table(table, SETTING).hints[0].values([{"a": 77, "b": 0}])).all()


def test_proxies_need_an_objective_that_is_not_known():
    table = replace(made(), proxies={"p": "maximize"})
    with pytest.raises(SpecError, match="not known before a trial"):
        replace(SETTING, known=("accuracy", "params"), log=()).check(table)
