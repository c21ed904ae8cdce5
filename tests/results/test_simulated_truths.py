"""Intervals and verdicts against simulated truths, `make simulation`; reduced versions stand beside each analysis."""

import importlib.util
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[1] / "benchmarks" / "simulated_truths.py"
REPEATS = 120


def benchmark():
    """The benchmark as a module; tests/ is no package."""
    spec = importlib.util.spec_from_file_location("simulated_truths", PLACE)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["simulated_truths"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.simulation
@pytest.mark.parametrize("part", ["noninferiority", "compensation", "ablation", "bands", "intervals"])
def test_simulated_truths_are_kept(part):
    rows = list(benchmark().PARTS[part](REPEATS))
    assert rows
    broken = [f"{row.case}: {row.measure} {row.found:.3f}, {row.promised()}" for row in rows if not row.kept()]
    assert not broken


def test_simulated_truths_of_few_repeats_are_counted():
    rows = list(benchmark().PARTS["intervals"](3))
    assert len(rows) == 4
    assert all(0.0 <= row.found <= 1.0 for row in rows)
