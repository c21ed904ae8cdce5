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
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from leni.errors import EvaluationError
from search.training.augment import KINDS, augment, normalise
from search.training.data import Data, Part
from search.training.drop_rates import set_drop_rates
from search.training.folding import fold, unfold
from search.training.graph import CapturedStep
from search.training.image_policies import Mixing, Policies, check_channels
from search.training.losses import sample_losses
from search.training.optimisers import make_optimiser
from search.training.recipe import Recipe
from search.training.schedules import learning_rate
from search.training.scores import ClassScores
from search.training.trained_start import activation_parameters, start_from
from spaces import Candidate, backbone, build

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
        recipe: how, where the candidate's `training` has no value of its own.
        seeds: R of them, of everything random.
        device: where; "cuda" takes bf16 autocast and channels_last unless the recipe says otherwise.
        dtype: of weights and images; float64 is for checks.
        lr_factors: one a replica, on the learning rate that the candidate would have; None for 1.
        weight_decays: one a replica, in place of the recipe's; None for the recipe's.

    Raises:
        InfeasibleWidth: as `spaces.build` does.
        SpecError: the recipe does not fit the data, or torch does not have its optimizer.
        EvaluationError: the recipe sets the rates of dropout layers, and the network has none.
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
        recipe = recipe.changed(dict(candidate.training))
        self.candidate, self.resident, self.data, self.recipe = candidate, resident, resident.data, recipe
        self.device, self.dtype, self.seeds, self.count = torch.device(device), dtype, tuple(seeds), len(seeds)
        self.fast = self.device.type == "cuda" and recipe.amp
        # On the CPU channels_last is up to a quarter faster with one replica, and up to a third with four.
        self.memory = torch.channels_last if self.fast or self.device.type == "cpu" else torch.contiguous_format
        networks = [self._build(seed) for seed in self.seeds]
        network = networks[0] if self.count == 1 else fold(networks)
        self.network = self._placed(network)
        self.frozen = recipe.freeze == "backbone"
        trained = activation_parameters(networks[0], candidate) if self.frozen else None
        self.optimiser = make_optimiser(
            recipe,
            networks[0],
            {
                name: parameter
                for name, parameter in self.network.named_parameters()
                if trained is None or name in trained
            },
            decays=weight_decays or [recipe.weight_decay or 0.0] * self.count,
            factors=[candidate.lr_factor * factor for factor in lr_factors or [1.0] * self.count],
        )
        self.average = _average(self.network, recipe.ema)
        self.orders = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.noises = [torch.Generator(self.device).manual_seed(seed + 1) for seed in self.seeds]
        self.images, self.labels = resident.train.images, resident.train.labels
        self.batch = min(recipe.batch_size, len(self.labels))
        self.epochs = 0
        check_channels(recipe, self.data.input_shape[0])
        self.kind = self.data.augmentation if recipe.augmentation == "data" else recipe.augmentation
        self.policies = Policies.of(recipe, self.kind, size=self.data.input_shape[1:], mean=self.data.mean)
        self.mixing = Mixing.of(recipe, self.data.classes)
        self.chosen = torch.zeros((self.batch, self.count), dtype=torch.int64, device=self.device)
        self.total = torch.zeros(self.count, dtype=self.dtype, device=self.device)
        self.take_step = self._step
        # A graph reads the GPU's memory alone, and images that do not fit there are read from disk at every step.
        if self.device.type == "cuda" and self._capturable and isinstance(self.images, Tensor):
            self.take_step = CapturedStep(self._step, self.noises)

    def _build(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            shape, classes = self.data.input_shape, self.data.classes
            network = build(self.candidate, in_channels=shape[0], classes=classes)
        if self.recipe.weights:
            start_from(network, self.candidate, self.recipe.weights, shape=shape, classes=classes)
        set_drop_rates(network, dropout=self.recipe.dropout, drop_path=self.recipe.drop_path)
        return network

    @property
    def _capturable(self) -> bool:
        """Whether a step draws, allocates and moves only what a CUDA graph can repeat."""
        recipe = self.recipe
        plain = recipe.optimizer == "sgd" and recipe.accumulate == 1 and not recipe.ema
        return recipe.cuda_graph and plain and self.policies is None and self.mixing is None

    def _placed(self, network: nn.Module) -> nn.Module:
        """On the device, in the dtype and memory format that steps are taken in."""
        network = network.to(self.device, self.dtype)
        for parameter in network.parameters():
            if parameter.dim() == 4:  # stacked ones may have 5, which `to(memory_format=...)` refuses
                parameter.data = parameter.data.contiguous(memory_format=self.memory)
        return network

    def _train_mode(self) -> None:
        """Training mode; where only activations are trained, the rest of the network works as in evaluation."""
        self.network.train(not self.frozen)
        if self.frozen:
            for site in backbone(self.candidate.backbone).sites:
                module = dict(self.network.named_modules()).get(site.name)
                if module is not None:
                    module.train()

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
        self._train_mode()
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
        if self.average is not None:
            self.average.update_parameters(self.network)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch's global generator, which RReLU and dropout draw from, as a function of seed and epoch alone."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seeds[0] * 1_000_003 + self.epochs)
            yield

    def _step(self) -> None:
        """One step on the images `chosen`, at the optimiser's learning rate; the losses are added to `total`."""
        prepared = self._prepared(self._batch())
        targets = self.labels[self.chosen]
        if self.mixing is not None:
            prepared, targets = self.mixing(prepared, targets, self.noises)
        count = self.recipe.accumulate
        if count == 1:
            self.optimiser.step(self._gradients(prepared, targets, 1.0))
            return
        summed: list[Tensor] = []
        for part, wanted in zip(prepared.chunk(count), targets.chunk(count), strict=True):
            found = self._gradients(part, wanted, len(part) / len(prepared))
            summed = list(torch._foreach_add(summed, found)) if summed else list(found)
        self.optimiser.step(summed)

    def _gradients(self, prepared: Tensor, targets: Tensor, weight: float) -> tuple[Tensor, ...]:
        """Gradients of the mean loss of images (N, R, C, H, W), times a weight; the losses are added to `total`."""
        logits = self._forward(prepared)
        losses = sample_losses(
            logits.flatten(0, 1), targets.flatten(0, 1), self.recipe.loss, label_smoothing=self.recipe.label_smoothing
        )
        means = losses.view(len(prepared), self.count).mean(0)
        means = means if weight == 1.0 else weight * means
        self.total += means.detach()
        if not self.optimiser.parameters:
            return ()
        return torch.autograd.grad(means.sum(), self.optimiser.parameters, materialize_grads=True)

    def _batch(self) -> Tensor:
        """The images `chosen`, (batch, R, C, H, W), augmented."""
        images = self.images[self.chosen]
        kind = self.kind if self.kind in KINDS else "none"  # torchvision's crops are among the policies
        if kind == "none" and self.policies is None:
            return images
        parts = [
            augment(part, kind, generator=noise) for part, noise in zip(images.unbind(1), self.noises, strict=True)
        ]
        if self.policies is not None:
            parts = [self.policies(part, noise) for part, noise in zip(parts, self.noises, strict=True)]
        return torch.stack(parts, 1)

    def _prepared(self, images: Tensor) -> Tensor:
        """Bytes (N, R, C, H, W) as normalised numbers."""
        return normalise(images.flatten(0, 1), self.data.mean, self.data.std).to(self.dtype).view(images.shape)

    def _forward(self, prepared: Tensor, network: nn.Module | None = None) -> Tensor:
        """(N, R, classes) from normalised images (N, R, C, H, W)."""
        folded = prepared.flatten(1, 2).contiguous(memory_format=self.memory)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
            logits = (network or self.network)(folded)
        return logits.to(self.dtype).view(len(prepared), self.count, -1)

    def rehearse(self) -> tuple[float, list[float]]:
        """Take a step and measure a few images, and leave everything as it was.

        Returns:
            Seconds that the step took, and its loss in each replica; the images are the same at every call.
        """
        state = self.state_dict()
        self._train_mode()
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
            self._forward(self._prepared(self.images[self.chosen[:2]]))
        self.load_state_dict(state)
        return elapsed, losses

    def accuracies(self, part: Part | None = None) -> list[float]:
        """Share of the validation part, or of another one, that each replica gets right, 0..1."""
        right = torch.zeros(self.count, dtype=torch.int64, device=self.device)
        part = part or self.resident.validation
        for logits, labels in self._measured(part):
            right += (logits.argmax(2) == labels[:, None]).sum(0)
        return [count / len(part.labels) for count in right.tolist()]

    def scores(self) -> list[dict[str, float]]:
        """`search.training.scores` of each replica on the validation part."""
        found = [ClassScores(self.data.classes, self.device) for _ in self.seeds]
        for logits, labels in self._measured(self.resident.validation):
            for one, replica in zip(found, logits.unbind(1), strict=True):
                one.add(replica, labels)
        return [one.result() for one in found]

    @torch.no_grad()
    def _measured(self, part: Part) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits (N, R, classes) and labels (N,) of a part, batch by batch."""
        network = self.evaluated.eval()
        batch = min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS // part.images.shape[2:].numel()))
        for images, labels in zip(part.images.split(batch), part.labels.split(batch), strict=True):
            every = images.to(self.device)[:, None].expand(-1, self.count, -1, -1, -1)
            yield self._forward(self._prepared(every), network), labels.to(self.device)

    @property
    def evaluated(self) -> nn.Module:
        """What is measured: the network, or the moving average of its weights."""
        return self.network if self.average is None else self.average.module

    def networks(self) -> list[nn.Module]:
        """The network of each replica as it is measured, in the order of the seeds."""
        if self.count == 1:
            return [self.evaluated]
        fresh = [self._build(seed).to(self.device, self.dtype) for seed in self.seeds]
        return [unfold(self.evaluated, network, index, self.count) for index, network in enumerate(fresh)]

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; a copy, which further epochs leave as it is."""
        state = {
            "epochs": self.epochs,
            "network": deepcopy(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "orders": [order.get_state() for order in self.orders],
            "noises": [noise.get_state() for noise in self.noises],
        }
        if self.average is not None:
            state["average"] = deepcopy(self.average.state_dict())
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave."""
        self.epochs = state["epochs"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
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


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential moving average of weights and buffers; None where the decay is 0."""
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
