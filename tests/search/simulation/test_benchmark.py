import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from leni.errors import SpecError
from search.simulation.benchmark import compare
from search.simulation.simulate import Setting
from search.simulation.table import Row, Table

SETTING = Setting(6, known=("params",))


def made():
    rows = [
        Row({"a": a}, np.array([[0.1 * a, 10.0 + a], [0.1 * a + 0.01, 10.0 + a]]), (), np.ones(2)) for a in range(8)
    ]
    return Table(rows, {"accuracy": "maximize", "params": "minimize"}, {"a": CategoricalDistribution(range(8))}, 1)


def run(**keys):
    options = {"samplers": ["known-cost", "random"], "pruners": ["none"], "repeats": 3, "seed": 1, **keys}
    return compare(made(), SETTING, **options)


def test_every_pair_is_repeated_and_counted():
    calls = []
    found = run(done=lambda: calls.append(1))
    assert [(one.sampler, one.pruner, len(one.traces)) for one in found] == [
        ("known-cost", "none", 3), ("random", "none", 3),
    ]  # fmt: skip
    assert len(calls) == 6
    every = found[0].to_dict()
    assert every["mean"]["trials"] == 6
    assert len(every["repeats"]) == 3


def test_repeats_differ_and_the_seed_repeats_all_of_them():
    first, second, other = run(), run(), run(seed=2)
    assert [trace.summary() for trace in first[1].traces] == [trace.summary() for trace in second[1].traces]
    assert [trace.summary() for trace in first[1].traces] != [trace.summary() for trace in other[1].traces]
    assert len({tuple(trace.shares) for trace in first[1].traces}) > 1


def test_processes_give_what_one_process_gives():
    alone, together = run(), run(jobs=2)
    for one, two in zip(alone, together, strict=True):
        for left, right in zip(one.traces, two.traces, strict=True):
            np.testing.assert_array_equal(left.shares, right.shares)


def test_frame_has_a_row_a_trial():
    frame = run()[0].frame(name="ours", steps="trials")
    assert frame.columns.tolist() == ["search", "repeat", "step", "share"]
    assert frame["step"].tolist() == [1, 2, 3, 4, 5, 6] * 3
    assert run()[0].frame(name="ours", steps="epochs")["step"].tolist() == [1, 2, 3, 4, 5, 6] * 3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"samplers": ["known-coast"]}, "no sampler 'known-coast'; did you mean 'known-cost'"),
        ({"pruners": ["halving"]}, "pruner 'halving' needs learning curves"),
        ({"pruners": ["halt"]}, "no pruner 'halt'"),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
    ],
)
def test_impossible_comparison_is_refused_before_anything_runs(keys, message):
    with pytest.raises(SpecError, match=message):
        run(**keys, done=lambda: pytest.fail("something ran"))
