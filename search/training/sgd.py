"""SGD over parameters that hold several replicas side by side, as fused replicas need it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Sgd", "clipped"]


class Sgd:
    """SGD with momentum over parameters that hold R replicas side by side in their first dimension.

    Each replica has its own norm of the gradient, and may have its own weight decay and learning rate. The learning
    rate is set before every step; on CUDA it is a tensor, so that a captured step reads it.

    Args:
        parameters: of all replicas.
        decays: the weight decay of each parameter, R values.
        momentum: 0 for none.
        clip: largest norm of a replica's gradient, 0 for none.
        factors: on the learning rate, R values.
        nesterov: whether the momentum is Nesterov's.

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
        nesterov: bool = True,
    ) -> None:
        self.parameters, self.momentum, self.clip = list(parameters), momentum, clip
        self.nesterov = nesterov
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
            moves = clipped(moves, self.clip, count=self.count)
        moves = self._decayed(moves)
        if self.buffers:
            torch._foreach_mul_(self.buffers, self.momentum)
            torch._foreach_add_(self.buffers, moves)
            if self.nesterov:
                moves = list(torch._foreach_add(moves, self.buffers, alpha=self.momentum))
            else:
                moves = self.buffers
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

    def state_dict(self) -> list[Tensor]:
        """A copy of the momentum."""
        return [buffer.clone() for buffer in self.buffers]

    def load_state_dict(self, state: Sequence[Tensor]) -> None:
        """Go on with a momentum that `state_dict` gave, in the memory that is there."""
        for buffer, value in zip(self.buffers, state, strict=True):
            buffer.copy_(value)


def clipped(gradients: Sequence[Tensor], limit: float, *, count: int) -> list[Tensor]:
    """Each replica's gradient with a norm of `limit` at the most, as torch.nn.utils.clip_grad_norm_ does it.

    Args:
        gradients: one a parameter, the replicas side by side in the first dimension.
        limit: the largest norm.
        count: R.
    """
    split = [gradient.unflatten(0, (count, -1)) for gradient in gradients]
    norms = [torch.linalg.vector_norm(part, dim=tuple(range(1, part.dim()))) for part in split]
    total = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    scale = (limit / (total + 1e-6)).clamp(max=1.0)
    return [(part * scale.view(-1, *[1] * (part.dim() - 1))).flatten(0, 1) for part in split]


def _spread(values: Sequence[float], parameter: Tensor) -> Tensor:
    """R values as a tensor of the parameter's form, each where its replica is."""
    result = torch.empty_like(parameter)
    for part, value in zip(result.detach().unflatten(0, (len(values), -1)), values, strict=True):
        part.fill_(value)
    return result.detach()
