"""Optimizers by name: torch.optim's, over the parameters of one network or of several fused replicas.

`sgd` is `search.training.sgd.Sgd`, which equals torch.optim.SGD for each replica and can be captured in a CUDA graph.
All others are torch's own classes. Since these work element by element, one of them serves all replicas of a fused
network; `muon`, which works on whole matrices in bfloat16, does not (`unfusable`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from leni.errors import SpecError
from search.training.recipe import Recipe
from search.training.sgd import Sgd, clipped

__all__ = ["Optimiser", "TorchOptimisers", "make_optimiser", "parameter_groups", "unfusable"]


class Optimiser(Protocol):
    """What a training needs of an optimizer."""

    parameters: list[Tensor]

    def set_learning_rate(self, rate: float) -> None:
        """The learning rate of the steps to come, at factor 1."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step with a gradient for each parameter."""

    def state_dict(self) -> Any:
        """A copy of what the next step depends on."""

    def load_state_dict(self, state: Any) -> None:
        """Go on from a state that `state_dict` gave."""


def make_optimiser(
    recipe: Recipe,
    network: nn.Module,
    parameters: Mapping[str, Tensor],
    *,
    decays: Sequence[float],
    factors: Sequence[float],
) -> Optimiser:
    """The recipe's optimizer.

    Args:
        recipe: its name and options.
        network: of one replica; its parameters' names, shapes and roles are read.
        parameters: of all R replicas, by the same names, side by side in the first dimension; those that are trained.
        decays: the weight decay of each replica.
        factors: on the learning rate of each replica.

    Raises:
        SpecError: torch has no optimizer of this name.
    """
    if not parameters:
        return Idle()
    named = [dict(_decays(network, decay)) for decay in decays]
    each = [[values[name] for values in named] for name in parameters]
    if recipe.optimizer == "sgd":
        return Sgd(
            list(parameters.values()), each, momentum=recipe.momentum or 0.0, clip=recipe.clip, factors=factors,
            nesterov=bool(recipe.nesterov),
        )  # fmt: skip
    return TorchOptimisers(recipe, network, parameters, decays=each, factors=factors)


def unfusable(recipe: Recipe) -> str:
    """Why replicas cannot be trained as one network with the recipe; "" where they can."""
    if recipe.optimizer == "muon":
        return "muon works in bfloat16 on whole matrices, so fused replicas would end elsewhere"
    if recipe.freeze != "none":
        return "only the activations are trained"
    return ""


class Idle:
    """The optimizer of a network of which nothing is trained."""

    def __init__(self) -> None:
        self.parameters: list[Tensor] = []

    def set_learning_rate(self, rate: float) -> None:
        """Nothing."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Nothing."""

    def state_dict(self) -> list[Tensor]:
        """Nothing."""
        return []

    def load_state_dict(self, state: Any) -> None:
        """Nothing."""


class TorchOptimisers:
    """One of torch.optim's optimizers; for muon two of them.

    `torch.optim.Muon` takes matrices alone. It gets the weights of convolutions, as matrices (out, in x height x
    width), and of linear layers, but for the last linear layer and for what is without weight decay; all other
    parameters get AdamW at the same learning rate. Muon's updates are scaled to the size of AdamW's
    (`adjust_lr_fn="match_rms_adamw"`), so that one learning rate and one weight decay fit both.

    Args:
        recipe: name and options.
        network: of one replica.
        parameters: of all replicas.
        decays: the weight decay of each parameter, R values.
        factors: on the learning rate, R values.

    Raises:
        SpecError: this version of torch does not have the optimizer.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        parameters: Mapping[str, Tensor],
        *,
        decays: Sequence[Sequence[float]],
        factors: Sequence[float],
    ) -> None:
        self.parameters, self.clip, self.count = list(parameters.values()), recipe.clip, len(factors)
        shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
        matrices = _matrices(network) if recipe.optimizer == "muon" else set()
        self.places: list[list[Tensor]] = []  # of each parameter, the tensors that the optimizer moves
        self.columns: list[tuple[int, ...] | None] = []  # of each matrix, the order of dimensions in its columns
        self.split = len(set(factors)) > 1 or any(len(set(values)) > 1 for values in decays)
        groups: dict[tuple[bool, float, float], list[Tensor]] = {}
        for (name, parameter), values in zip(parameters.items(), decays, strict=True):
            parts = self._parts(parameter.detach(), shapes[name])
            matrix = name in matrices
            order = _memory_order(parts[0]) if matrix else None
            parts = [part.permute(order).view(len(part), -1) if order else part for part in parts]
            self.places.append(parts)
            self.columns.append(order)
            for part, decay, factor in zip(parts, values, factors, strict=False):
                groups.setdefault((matrix, decay, factor), []).append(part)
        self.optimisers = [
            _torchs(recipe, "muon" if matrix else "adamw" if recipe.optimizer == "muon" else recipe.optimizer, found)
            for matrix in (True, False)
            if (found := {key[1:]: value for key, value in groups.items() if key[0] is matrix})
        ]

    def _parts(self, parameter: Tensor, shape: torch.Size) -> list[Tensor]:
        """The parameter in memory that it shares: whole where all replicas are alike, else each replica's part."""
        if not self.split or self.count == 1:
            return [parameter]
        return [part.view(shape) for part in parameter.unflatten(0, (self.count, -1)).unbind(0)]

    def set_learning_rate(self, rate: float) -> None:
        """The learning rate of the steps to come, at factor 1."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step; the gradients are left as they are."""
        moves = list(gradients)
        if self.clip > 0:
            moves = clipped(moves, self.clip, count=self.count)
        for parts, order, move in zip(self.places, self.columns, moves, strict=True):
            split = [move] if len(parts) == 1 else move.unflatten(0, (self.count, -1)).unbind(0)
            for part, one in zip(parts, split, strict=True):
                part.grad = (one.permute(order) if order else one).reshape(part.shape)
        for optimiser in self.optimisers:
            optimiser.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """A copy of each optimizer's state."""
        return [deepcopy(optimiser.state_dict()) for optimiser in self.optimisers]

    def load_state_dict(self, state: Sequence[dict[str, Any]]) -> None:
        """Go on from states that `state_dict` gave."""
        for optimiser, values in zip(self.optimisers, state, strict=True):
            optimiser.load_state_dict(deepcopy(values))
            moved = [part for group in optimiser.param_groups for part in group["params"]]
            for index, entry in values["state"].items():  # torch casts NAdam's products to the type of the weights
                counts = {key: value.clone() for key, value in entry.items() if value.dim() == 0}
                optimiser.state[moved[index]].update(counts)


def _torchs(recipe: Recipe, name: str, groups: Mapping[tuple[float, float], list[Tensor]]) -> torch.optim.Optimizer:
    """torch's optimizer of a name over groups of (weight decay, factor); `adamw` in the muon recipe is its rest."""
    rows = [
        {"params": parts, "weight_decay": decay, "factor": factor, "lr": (recipe.lr or 0.0) * factor}
        for (decay, factor), parts in groups.items()
    ]
    options: dict[str, Any] = {key: value for key, value in recipe.values().items() if value is not None}
    if name == "muon":
        muon = getattr(torch.optim, "Muon", None)
        if muon is None:
            raise SpecError(f"optimizer 'muon' needs torch.optim.Muon, which torch {torch.__version__} does not have")
        taken = {key: options[key] for key in ("momentum", "nesterov", "ns_steps")}
        return muon(rows, adjust_lr_fn="match_rms_adamw", **taken)
    if name == "rmsprop":
        taken = {key: options[key] for key in ("alpha", "eps", "momentum", "centered")}
        return torch.optim.RMSprop(rows, foreach=True, **taken)
    betas, eps = (options["beta1"], options["beta2"]), options["eps"]
    if name == "nadam":
        return torch.optim.NAdam(rows, betas=betas, eps=eps, momentum_decay=options["momentum_decay"], foreach=True)
    return torch.optim.AdamW(rows, betas=betas, eps=eps, foreach=True)


def _matrices(network: nn.Module) -> set[str]:
    """Names of the weights that Muon moves, as `TorchOptimisers` says."""
    found, last = set(), ""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            found.add(f"{name}.weight".lstrip("."))
            last = f"{name}.weight".lstrip(".") if isinstance(module, nn.Linear) else last
    return {name for name, decay in _decays(network, 1.0) if decay and name in found and name != last}


def _memory_order(weight: Tensor) -> tuple[int, ...]:
    """The order of a weight's dimensions in which it is a matrix (out, all others) in the same memory.

    Muon's orthogonalisation does not depend on the order of columns.
    """
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return (0, 2, 3, 1)
    return tuple(range(weight.dim()))


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


def _decays(network: nn.Module, weight_decay: float) -> Iterator[tuple[str, float]]:
    """Each parameter's name with its weight decay."""
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in parameter_groups(network, weight_decay):
        for parameter in group["params"]:  # type: ignore[attr-defined]
            yield named[id(parameter)], float(group["weight_decay"])  # type: ignore[arg-type]
