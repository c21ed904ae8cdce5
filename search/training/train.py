"""One training, epoch by epoch, that can be stopped and taken up again between any two.

`Lockstep` trains R networks of one candidate as one (see `search.training.folding`); `Training` is the case R = 1, in
which the network is the candidate's own. Which of them a candidate with several seeds gets is decided in
`search.training.replicas`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import EvaluationError
from search.training.augment import augment, normalise
from search.training.data import Data, Part
from search.training.folding import fold, unfold
from search.training.graph import CapturedStep
from search.training.recipe import Recipe, Sgd, learning_rate, parameter_groups
from spaces import Candidate, build

__all__ = ["Epoch", "Lockstep", "Resident", "Training"]

EVALUATION_BATCH = 1024
EVALUATION_PIXELS = 2**20  # of a batch, at most: larger images come in smaller batches


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        accuracy: on the validation part, 0..1.
        loss: mean training loss of the epoch.
    """

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Resident:
    """A data set's training and validation part on the device, where several trainings share them."""

    data: Data
    train: Part
    validation: Part

    @classmethod
    def on(cls, device: torch.device, data: Data) -> Resident:
        """Both parts, moved if they are elsewhere; the test part is not touched."""
        parts = (Part(part.images.to(device), part.labels.to(device)) for part in (data.train, data.validation))
        return cls(data, *parts)


class Lockstep:
    """R networks of one candidate that take each step together, as one network of R times the channels.

    Each replica has its own initial weights, order of images and augmentation, which its seed decides, and ends where
    `Training` with that seed ends, but for rounding.

    Args:
        candidate: what to train.
        resident: the data set on the device.
        recipe: how.
        seeds: R of them, of everything random.
        device: where; "cuda" takes bf16 autocast and channels_last unless the recipe says otherwise.
        dtype: of weights and images; float64 is for checks.
        lr_factors: one a replica, on the learning rate that the candidate would have; None for 1.
        weight_decays: one a replica, in place of the recipe's; None for the recipe's.

    Raises:
        InfeasibleWidth: as `spaces.build` does.
    """

    def __init__(
        self,
        candidate: Candidate,
        resident: Resident,
        recipe: Recipe,
        *,
        seeds: Sequence[int],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        lr_factors: Sequence[float] | None = None,
        weight_decays: Sequence[float] | None = None,
    ) -> None:
        self.candidate, self.resident, self.data, self.recipe = candidate, resident, resident.data, recipe
        self.device, self.dtype, self.seeds, self.count = torch.device(device), dtype, tuple(seeds), len(seeds)
        self.fast = self.device.type == "cuda" and recipe.amp
        # On the CPU channels_last is up to a quarter faster with one replica, and up to a third with four.
        self.memory = torch.channels_last if self.fast or self.device.type == "cpu" else torch.contiguous_format
        networks = [self._build(seed) for seed in self.seeds]
        network = networks[0] if self.count == 1 else fold(networks)
        decays = weight_decays or [recipe.weight_decay] * self.count
        names = [dict(_decays(networks[0], decay)) for decay in decays]
        self.network = self._placed(network)
        parameters = dict(self.network.named_parameters())
        self.optimiser = Sgd(
            list(parameters.values()),
            [[values[name] for values in names] for name in parameters],
            momentum=recipe.momentum,
            clip=recipe.clip,
            factors=[candidate.lr_factor * factor for factor in lr_factors or [1.0] * self.count],
        )
        self.orders = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.noises = [torch.Generator(self.device).manual_seed(seed + 1) for seed in self.seeds]
        self.images, self.labels = resident.train.images, resident.train.labels
        self.batch = min(recipe.batch_size, len(self.labels))
        self.epochs = 0
        self.chosen = torch.zeros((self.batch, self.count), dtype=torch.int64, device=self.device)
        self.total = torch.zeros(self.count, dtype=self.dtype, device=self.device)
        self.take_step = self._step
        # A graph reads the GPU's memory alone, and images that do not fit there are read from disk at every step.
        if self.device.type == "cuda" and recipe.cuda_graph and isinstance(self.images, Tensor):
            self.take_step = CapturedStep(self._step, self.noises)

    def _build(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(self.candidate, in_channels=self.data.input_shape[0], classes=self.data.classes)

    def _placed(self, network: nn.Module) -> nn.Module:
        """On the device, in the dtype and memory format that steps are taken in."""
        network = network.to(self.device, self.dtype)
        for parameter in network.parameters():
            if parameter.dim() == 4:  # stacked ones may have 5, which `to(memory_format=...)` refuses
                parameter.data = parameter.data.contiguous(memory_format=self.memory)
        return network

    @property
    def done(self) -> bool:
        """Whether all of the recipe's epochs are behind it."""
        return self.epochs >= self.recipe.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch; a last, smaller batch is left out, so that shapes are static."""
        return len(self.labels) // self.batch

    def run_epoch(self) -> list[float]:
        """Train one epoch; the mean loss of each replica.

        Raises:
            EvaluationError: a loss is not finite; the message has the seed.
        """
        self.network.train()
        orders = [torch.randperm(len(self.labels), generator=order) for order in self.orders]
        rows = torch.stack(orders, 1).to(self.device)
        self.total.zero_()
        with self._seeded():
            for step in range(self.steps_per_epoch):
                self.step(rows[step * self.batch : (step + 1) * self.batch], step)
        losses = [total / self.steps_per_epoch for total in self.total.tolist()]
        self.epochs += 1
        for seed, loss in zip(self.seeds, losses, strict=True):
            if not math.isfinite(loss):
                raise EvaluationError(
                    f"the training loss became {loss} in epoch {self.epochs} (seed {seed})",
                    code="LS-EVALUATION-DIVERGED",
                )
        return losses

    def step(self, rows: Tensor, step: int) -> None:
        """One optimiser step, without waiting for the device.

        Args:
            rows: (batch, R), which images each replica sees.
            step: counted from 0 in this epoch.
        """
        self.chosen.copy_(rows)
        at = self.epochs * self.steps_per_epoch + step
        self.optimiser.set_learning_rate(learning_rate(self.recipe, at, self.steps_per_epoch))
        self.take_step()

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch's global generator, which RReLU and dropout draw from, as a function of seed and epoch alone."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seeds[0] * 1_000_003 + self.epochs)
            yield

    def _step(self) -> None:
        """One step on the images `chosen`, at the optimiser's learning rate; the losses are added to `total`."""
        logits = self._logits(self._batch())
        losses = F.cross_entropy(
            logits.flatten(0, 1),
            self.labels[self.chosen].flatten(),
            label_smoothing=self.recipe.label_smoothing,
            reduction="none",
        )
        means = losses.view(self.batch, self.count).mean(0)
        self.optimiser.step(torch.autograd.grad(means.sum(), self.optimiser.parameters, materialize_grads=True))
        self.total += means.detach()

    def _batch(self) -> Tensor:
        """The images `chosen`, (batch, R, C, H, W), augmented."""
        images = self.images[self.chosen]
        kind = self.data.augmentation
        if kind == "none":
            return images
        pairs = zip(images.unbind(1), self.noises, strict=True)
        return torch.stack([augment(part, kind, generator=noise) for part, noise in pairs], 1)

    def _logits(self, images: Tensor) -> Tensor:
        """(N, R, classes) from bytes (N, R, C, H, W)."""
        prepared = normalise(images.flatten(0, 1), self.data.mean, self.data.std).to(self.dtype)
        folded = prepared.view(len(images), -1, *images.shape[3:]).contiguous(memory_format=self.memory)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
            logits = self.network(folded)
        return logits.to(self.dtype).view(len(images), self.count, -1)

    def rehearse(self) -> tuple[float, list[float]]:
        """Take a step and measure a few images, and leave everything as it was.

        Returns:
            Seconds that the step took, and its loss in each replica; the images are the same at every call.
        """
        state = self.state_dict()
        self.network.train()
        self.chosen.copy_(torch.arange(self.batch, device=self.device)[:, None].expand(-1, self.count))
        self.total.zero_()
        self.optimiser.set_learning_rate(learning_rate(self.recipe, 0, self.steps_per_epoch))
        started = time.perf_counter()
        with self._seeded():
            self._step()
            losses = self.total.tolist()
        elapsed = time.perf_counter() - started
        self.network.eval()
        with torch.no_grad():
            self._logits(self.images[self.chosen[:2]])
        self.load_state_dict(state)
        return elapsed, losses

    @torch.no_grad()
    def accuracies(self, part: Part | None = None) -> list[float]:
        """Share of the validation part, or of another one, that each replica gets right, 0..1."""
        self.network.eval()
        part = part or self.resident.validation
        right = torch.zeros(self.count, dtype=torch.int64, device=self.device)
        batch = min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS // part.images.shape[2:].numel()))
        for images, labels in zip(part.images.split(batch), part.labels.split(batch), strict=True):
            every = images.to(self.device)[:, None].expand(-1, self.count, -1, -1, -1)
            right += (self._logits(every).argmax(2) == labels.to(self.device)[:, None]).sum(0)
        return [count / len(part.labels) for count in right.tolist()]

    def networks(self) -> list[nn.Module]:
        """The network of each replica, in the order of the seeds."""
        if self.count == 1:
            return [self.network]
        fresh = [self._build(seed).to(self.device, self.dtype) for seed in self.seeds]
        return [unfold(self.network, network, index, self.count) for index, network in enumerate(fresh)]

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; a copy, which further epochs leave as it is."""
        return {
            "epochs": self.epochs,
            "network": deepcopy(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "orders": [order.get_state() for order in self.orders],
            "noises": [noise.get_state() for noise in self.noises],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave."""
        self.epochs = state["epochs"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for generators, states in ((self.orders, state["orders"]), (self.noises, state["noises"])):
            for generator, value in zip(generators, states, strict=True):
                generator.set_state(value)


class Training(Lockstep):
    """A candidate's training.

    On the CPU the numbers are a function of (candidate, data, recipe, seed, torch's thread count); `seed` decides the
    initial weights, the order of the images and their augmentation.

    Args:
        candidate: what to train.
        data: its training part is learned, its validation part measured; its test part is not touched.
        recipe: how.
        seed: of everything random.
        device: where; "cuda" takes bf16 autocast and channels_last unless the recipe says otherwise.
        dtype: of weights and images; float64 is for checks.

    Raises:
        InfeasibleWidth: as `spaces.build` does.

    Example:
        training = Training(candidate, load("digits"), Recipe(epochs=8), seed=0)
        for epoch in training: print(epoch.accuracy)
    """

    def __init__(
        self,
        candidate: Candidate,
        data: Data,
        recipe: Recipe,
        *,
        seed: int,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        resident = Resident.on(torch.device(device), data)
        super().__init__(candidate, resident, recipe, seeds=(seed,), device=device, dtype=dtype)

    def __iter__(self) -> Iterator[Epoch]:
        while not self.done:
            yield self.epoch()

    def epoch(self) -> Epoch:
        """Train one epoch, then measure.

        Raises:
            EvaluationError: the loss is not finite.
        """
        (loss,) = self.run_epoch()
        return Epoch(self.epochs, self.accuracy(), loss)

    def accuracy(self) -> float:
        """Share of the validation part that the network gets right, 0..1."""
        (accuracy,) = self.accuracies()
        return accuracy


def _decays(network: nn.Module, weight_decay: float) -> Iterator[tuple[str, float]]:
    """Each parameter's name with its weight decay."""
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in parameter_groups(network, weight_decay):
        for parameter in group["params"]:  # type: ignore[attr-defined]
            yield named[id(parameter)], float(group["weight_decay"])  # type: ignore[arg-type]
