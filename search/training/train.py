"""One training, epoch by epoch, that can be stopped and taken up again between any two."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import EvaluationError
from search.training.augment import augment, normalise
from search.training.data import Data
from search.training.recipe import Recipe, learning_rate, optimiser
from spaces import Candidate, build

__all__ = ["Epoch", "Training"]

EVALUATION_BATCH = 1024


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


class Training:
    """A candidate's training.

    On the CPU the numbers are a function of (candidate, data, recipe, seed, torch's thread count); `seed` decides the
    initial weights, the order of the images and their augmentation.

    Args:
        candidate: what to train.
        data: its training part is learned, its validation part measured; its test part is not touched.
        recipe: how.
        seed: of everything random.
        device: where; "cuda" takes bf16 autocast and channels_last unless the recipe says otherwise.

    Raises:
        InfeasibleWidth: as `spaces.build` does.

    Example:
        training = Training(candidate, load("digits"), Recipe(epochs=8), seed=0)
        for epoch in training: print(epoch.accuracy)
    """

    def __init__(
        self, candidate: Candidate, data: Data, recipe: Recipe, *, seed: int, device: str | torch.device = "cpu"
    ) -> None:
        self.data, self.recipe, self.device = data, recipe, torch.device(device)
        self.seed, self.factor = seed, candidate.lr_factor
        self.fast = self.device.type == "cuda" and recipe.amp
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(candidate, in_channels=data.input_shape[0], classes=data.classes)
        memory = torch.channels_last if self.fast else torch.contiguous_format
        self.network: nn.Module = network.to(self.device).to(memory_format=memory)
        self.optimiser = optimiser(self.network, recipe, fused=self.device.type == "cuda")
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(self.device).manual_seed(seed + 1)
        self.images, self.labels = data.train.images.to(self.device), data.train.labels.to(self.device)
        self.batch = min(recipe.batch_size, len(self.labels))
        self.epochs = 0

    def __iter__(self) -> Iterator[Epoch]:
        while not self.done:
            yield self.epoch()

    @property
    def done(self) -> bool:
        """Whether all of the recipe's epochs are behind it."""
        return self.epochs >= self.recipe.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch; a last, smaller batch is left out, so that shapes are static."""
        return len(self.labels) // self.batch

    def epoch(self) -> Epoch:
        """Train one epoch, then measure.

        Raises:
            EvaluationError: the loss is not finite.
        """
        self.network.train()
        order = torch.randperm(len(self.labels), generator=self.order).to(self.device)
        total = torch.zeros((), device=self.device)
        with self._seeded():
            for step in range(self.steps_per_epoch):
                self._set_learning_rate(self.epochs * self.steps_per_epoch + step)
                total += self._step(order[step * self.batch : (step + 1) * self.batch])
        loss = float(total) / self.steps_per_epoch
        self.epochs += 1
        if not math.isfinite(loss):
            raise EvaluationError(f"the training loss became {loss} in epoch {self.epochs}")
        return Epoch(self.epochs, self.accuracy(), loss)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch's global generator, which RReLU and dropout draw from, as a function of seed and epoch alone."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seed * 1_000_003 + self.epochs)
            yield

    def _set_learning_rate(self, step: int) -> None:
        rate = self.factor * learning_rate(self.recipe, step, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def _step(self, chosen: Tensor) -> Tensor:
        """One optimiser step on the images at `chosen`; the loss, without waiting for the device."""
        images = self._prepare(self.images[chosen], augmentation=self.data.augmentation)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
            logits = self.network(images)
        loss = F.cross_entropy(logits.float(), self.labels[chosen], label_smoothing=self.recipe.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        return loss.detach()

    def _prepare(self, images: Tensor, augmentation: str = "none") -> Tensor:
        """Normalised (and augmented) images in the device's memory format."""
        prepared = normalise(augment(images, augmentation, generator=self.noise), self.data.mean, self.data.std)
        return prepared.contiguous(memory_format=torch.channels_last) if self.fast else prepared

    @torch.no_grad()
    def accuracy(self) -> float:
        """Share of the validation part that the network gets right, 0..1."""
        self.network.eval()
        right = 0
        part = self.data.validation
        for images, labels in zip(
            part.images.split(EVALUATION_BATCH), part.labels.split(EVALUATION_BATCH), strict=True
        ):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
                logits = self.network(self._prepare(images.to(self.device)))
            right += int((logits.argmax(1) == labels.to(self.device)).sum())
        return right / len(part.labels)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; a copy, which further epochs leave as it is."""
        return {
            "epochs": self.epochs,
            "network": deepcopy(self.network.state_dict()),
            "optimiser": deepcopy(self.optimiser.state_dict()),
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave."""
        self.epochs = state["epochs"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(deepcopy(state["optimiser"]))  # it would train on in the state's own memory
        self.order.set_state(state["order"])
        self.noise.set_state(state["noise"])
