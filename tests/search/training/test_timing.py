"""Functions take turns, every one at least five times, and the shortest time counts."""

import time

import torch

from search.training.timing import LEAST_TURNS, WARM_UP, side_by_side, torch_threads


def test_functions_take_turns():
    calls = []
    times = side_by_side({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0.0)
    assert calls == ["a", "b"] * (WARM_UP + LEAST_TURNS)
    assert list(times) == ["a", "b"]
    assert all(0 <= value < float("inf") for value in times.values())


def test_shortest_time_counts(monkeypatch):
    clock = iter([0.0] + [value for turn in (9, 2, 5, 4, 3) for value in (0.0, float(turn))] + [1.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    ends = side_by_side({"a": lambda: None}, seconds=-1.0)
    assert ends == {"a": 2.0}


def test_threads_are_put_back_after_an_error():
    before = torch.get_num_threads()
    try:
        with torch_threads(before + 1) as used:
            assert used == torch.get_num_threads() == before + 1
            raise KeyError
    except KeyError:
        pass
    assert torch.get_num_threads() == before
