from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.recording import tensors_in
from leni.tracing import trace


@dataclass
class Output:
    logits: Tensor
    hidden: tuple[Tensor, ...]
    loss: float | None = None


def test_tensors_in_looks_into_containers_of_all_kinds() -> None:
    a, b, c, d = (torch.zeros(index) for index in range(4))

    found = list(tensors_in([{"x": a}, Output(b, (c,)), SimpleNamespace(y=d), "text", None]))

    assert [tensor.numel() for tensor in found] == [0, 1, 2, 3]


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 4, 1), nn.Linear(4, 2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Output:
        x = F.relu(self.conv(x))
        pooled = x.mean((2, 3))
        return Output(self.a(pooled), (self.b(pooled), x))


def test_trace_knows_what_made_each_output() -> None:
    outputs = trace(Heads(), torch.empty(1, 3, 2, 2)).outputs

    assert [getattr(node.target, "__name__", node.target) for node in outputs] == ["a", "b", "relu"]


class Unseen(nn.Module):
    """Its activation runs on what torch.vmap made of the input, out of a trace's sight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 1), nn.ReLU()
        self.table = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.tanh(self.table).sum()
        return torch.vmap(lambda image: self.act(self.conv(image)))(x) * scale


def test_trace_loses_no_activation_and_counts_none_of_parameters_alone() -> None:
    assert [call.kind for call in trace(Unseen(), torch.empty(1, 3, 2, 2)).calls] == ["relu"]


def test_trace_steps_hold_what_depends_on_parameters_alone_too() -> None:
    steps = trace(Unseen(), torch.empty(1, 3, 2, 2)).steps

    assert "tanh" in [getattr(step.target, "__name__", step.target) for step in steps]
    assert "act" in [step.target for step in steps]
