"""A training step as a CUDA graph: captured once, then launched whole.

A step of a small network is some hundreds of kernels of a few microseconds, each launched from Python; a graph is one
launch. It reads and writes the same memory at every replay, so the step takes what changes from buffers that stay:
which images, the learning rate, the sum of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

__all__ = ["CapturedStep"]

WARM = 3  # steps outside of the graph first: libraries choose and allocate then, which a capture does not allow


class CapturedStep:
    """Does a step at every call: the first few as they are, all others by replaying a graph.

    Args:
        step: without argument and result; its shapes, and the memory it reads, are the same at every call.
        generators: what it draws from besides torch's global generator; a replay moves them on as the step does.

    Attributes:
        reason: why the step is not captured, one sentence; "" where it is, or is yet to be.
    """

    def __init__(self, step: Callable[[], None], generators: Sequence[torch.Generator] = ()) -> None:
        self.step, self.generators = step, tuple(generators)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream()
        self.calls = 0
        self.reason = ""

    def __call__(self) -> None:
        """Do one step, without waiting for it."""
        self.calls += 1
        if self.graph is None and self.calls > WARM and not self.reason:
            self._capture()
        if self.graph is not None:
            self.graph.replay()
        else:
            self._aside()

    def _aside(self) -> None:
        """The step on a stream of its own, as a capture's warm-up must be."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.step()
        torch.cuda.current_stream().wait_stream(self.stream)

    def _capture(self) -> None:
        """Record the step; nothing of it is done yet."""
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.step()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # an operation that waits for the device, in a user's activation for instance
            torch.cuda.synchronize()
            self.reason = f"the step cannot be captured: {' '.join(str(error).split())[:200]}"
            return
        self.graph = graph
