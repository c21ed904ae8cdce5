import time

import torch
from torch import nn

from search.training import latency


class Slow(nn.Module):
    """Three milliseconds a pass by a clock of its own; half a second for the first."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.calls, self.modes = clock, 0, set()

    def forward(self, image):
        self.calls += 1
        self.modes.add((self.training, torch.is_grad_enabled(), tuple(image.shape)))
        self.clock[0] += 0.5 if self.calls == 1 else 0.003
        return image


def test_latency_is_the_median_of_passes_after_warming_up(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    network = Slow(clock).train()
    assert round(latency.latency_ms(network, (1, 8, 6), "cpu"), 6) == 3.0
    assert network.modes == {(False, False, (1, 1, 8, 6))}
    assert network.training
