"""Times of several functions side by side: in turns, so that a machine's mood meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from search.training.cpus import usable_cpus

__all__ = ["side_by_side", "torch_threads"]

WARM_UP = 2
LEAST_TURNS = 5


def side_by_side(
    functions: Mapping[str, Callable[[], object]], *, seconds: float, device: str = "cpu"
) -> dict[str, float]:
    """The shortest time of each function, in seconds.

    Args:
        functions: what to time, by name; called in turns.
        seconds: to spend in all; every function is called at least five times.
        device: "cuda" waits for the GPU around every call.
    """
    wait = torch.cuda.synchronize if device.startswith("cuda") else _nothing
    for _ in range(WARM_UP):
        for function in functions.values():
            function()
    best = dict.fromkeys(functions, float("inf"))
    end, turns = time.perf_counter() + seconds, 0
    while turns < LEAST_TURNS or time.perf_counter() < end:
        turns += 1
        for name, function in functions.items():
            wait()
            started = time.perf_counter()
            function()
            wait()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _nothing() -> None:
    """The CPU has nothing to wait for."""


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """Run torch on `threads` threads for the length of a block; gives their number.

    None takes torch's own number, which knows no control group's quota, or the usable CPUs where they are fewer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, usable_cpus()) if threads is None else threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
