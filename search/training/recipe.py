"""The training recipe: SGD with Nesterov momentum, warm-up and cosine, weight decay on weights alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from leni.errors import SpecError

__all__ = ["Recipe", "Sgd", "learning_rate", "parameter_groups"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training part.
        batch_size: images a step; a last, smaller batch is left out.
        lr: peak learning rate at factor 1.
        momentum: of SGD, Nesterov's where it is above 0.
        weight_decay: on weights, not on biases, norms or what an activation asks to be spared.
        warmup: epochs of linear warm-up, then a cosine to 0.
        label_smoothing: in [0, 1).
        clip: largest norm of the gradient, 0 for none.
        amp: bf16 autocast and channels_last on CUDA.
        cuda_graph: on CUDA, capture the step once and replay it, which small networks, bound by launches, gain from.

    Raises:
        SpecError: a value out of its range.
    """

    epochs: int = 12
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 1.0
    label_smoothing: float = 0.0
    clip: float = 0.0
    amp: bool = True
    cuda_graph: bool = True

    def __post_init__(self) -> None:
        kinds: dict[Any, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
        for item in fields(self):
            value = getattr(self, item.name)
            wrong = isinstance(value, bool) != (item.type == "bool") or not isinstance(value, kinds[item.type])
            if wrong:
                raise SpecError(f"{item.name} must be of type {item.type}, got {value!r}")
            if not math.isfinite(value):
                raise SpecError(f"{item.name} must be finite, got {value!r}")
        bounds = [
            (self.epochs >= 1, "epochs must be at least 1"),
            (self.batch_size >= 1, "batch_size must be at least 1"),
            (self.lr > 0, "lr must be above 0"),
            (0 <= self.momentum < 1, "momentum must be in [0, 1)"),
            (self.weight_decay >= 0, "weight_decay must not be below 0"),
            (self.warmup >= 0, "warmup must not be below 0"),
            (0 <= self.label_smoothing < 1, "label_smoothing must be in [0, 1)"),
            (self.clip >= 0, "clip must not be below 0"),
        ]
        for holds, sentence in bounds:
            if not holds:
                raise SpecError(f"{sentence}, got {getattr(self, sentence.split()[0])}")


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of one step, at factor 1.

    Args:
        recipe: peak rate, epochs and warm-up.
        step: counted from 0 over the whole training.
        steps_per_epoch: how many steps one epoch has.

    Returns:
        Linear to the peak over the warm-up, then half a cosine that would reach 0 one step after the last
        (Loshchilov & Hutter, 1608.03983, without restarts).
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(recipe.warmup, recipe.epochs / 2) * steps_per_epoch
    if step < warmup:
        return recipe.lr * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, total - warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with and without weight decay.

    Without it: biases, norms and whatever has one dimension, and what a module's `no_weight_decay()` names among its
    own parameters (timm's convention; LENI's K and w1 are of those).
    """
    spared = set()
    for module in network.modules():
        names: set[str] = getattr(module, "no_weight_decay", set)()
        spared |= {id(module.get_parameter(name)) for name in names}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in network.parameters():
        (decayed if parameter.ndim > 1 and id(parameter) not in spared else free).append(parameter)
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class Sgd:
    """SGD with Nesterov momentum over parameters that hold R replicas side by side in their first dimension.

    Each replica has its own norm of the gradient, and may have its own weight decay and learning rate. The learning
    rate is set before every step; on CUDA it is a tensor, so that a captured step reads it.

    Args:
        parameters: of all replicas.
        decays: the weight decay of each parameter, R values.
        momentum: Nesterov's where it is above 0.
        clip: largest norm of a replica's gradient, 0 for none.
        factors: on the learning rate, R values.

    Source: Sutskever et al. (ICML 2013) in the form of torch.optim.SGD, which it equals replica by replica.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        decays: Sequence[Sequence[float]],
        *,
        momentum: float,
        clip: float,
        factors: Sequence[float],
    ) -> None:
        self.parameters, self.momentum, self.clip = list(parameters), momentum, clip
        self.count = len(factors)
        self.lr = torch.zeros((), device=self.parameters[0].device)
        self.rate = 0.0  # the same number, for the CPU
        self.buffers = [torch.zeros_like(parameter) for parameter in self.parameters] if momentum else []
        same = len(set(factors)) == 1
        self.common = factors[0] if same else 1.0
        self.factors = None if same else [_spread(factors, parameter) for parameter in self.parameters]
        self.groups: dict[float, list[int]] = {}  # decay -> the parameters that have it in every replica
        for index, values in enumerate(decays):
            self.groups.setdefault(values[0], []).append(index)
        self.spread: list[Tensor] | None = None
        if any(len(set(values)) > 1 for values in decays):
            self.spread = [_spread(*pair) for pair in zip(decays, self.parameters, strict=True)]

    def set_learning_rate(self, rate: float) -> None:
        """The learning rate of the steps to come, at factor 1."""
        self.rate = rate * self.common
        if self.lr.is_cuda:
            self.lr.fill_(self.rate)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step; the gradients are left as they are, for torch may give one tensor for two parameters."""
        moves = list(gradients)
        if self.clip > 0:
            moves = self._clipped(moves)
        moves = self._decayed(moves)
        if self.buffers:
            torch._foreach_mul_(self.buffers, self.momentum)
            torch._foreach_add_(self.buffers, moves)
            moves = list(torch._foreach_add(moves, self.buffers, alpha=self.momentum))
        if self.factors is not None:
            moves = list(torch._foreach_mul(moves, self.factors))
        if self.lr.is_cuda:
            torch._foreach_sub_(self.parameters, torch._foreach_mul(moves, self.lr))
        else:
            torch._foreach_add_(self.parameters, moves, alpha=-self.rate)

    def _decayed(self, moves: list[Tensor]) -> list[Tensor]:
        """With the decay of each added; nothing is read where there is none."""
        if self.spread is not None:
            return list(torch._foreach_addcmul(moves, self.parameters, self.spread))
        for decay, chosen in self.groups.items():
            if decay:
                values = [self.parameters[index] for index in chosen]
                added = torch._foreach_add([moves[index] for index in chosen], values, alpha=decay)
                for index, move in zip(chosen, added, strict=True):
                    moves[index] = move
        return moves

    def _clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """Each replica's gradient with a norm of `clip` at the most, as torch.nn.utils.clip_grad_norm_ does it."""
        split = [gradient.unflatten(0, (self.count, -1)) for gradient in gradients]
        norms = [torch.linalg.vector_norm(part, dim=tuple(range(1, part.dim()))) for part in split]
        total = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        scale = (self.clip / (total + 1e-6)).clamp(max=1.0)
        return [(part * scale.view(-1, *[1] * (part.dim() - 1))).flatten(0, 1) for part in split]

    def state_dict(self) -> list[Tensor]:
        """A copy of the momentum."""
        return [buffer.clone() for buffer in self.buffers]

    def load_state_dict(self, state: Sequence[Tensor]) -> None:
        """Go on with a momentum that `state_dict` gave, in the memory that is there."""
        for buffer, value in zip(self.buffers, state, strict=True):
            buffer.copy_(value)


def _spread(values: Sequence[float], parameter: Tensor) -> Tensor:
    """R values as a tensor of the parameter's form, each where its replica is."""
    result = torch.empty_like(parameter)
    for part, value in zip(result.detach().unflatten(0, (len(values), -1)), values, strict=True):
        part.fill_(value)
    return result.detach()
