"""Augmentation by torchvision.transforms.v2: crops with resizing, policies and erasing per image, mixing per batch.

torchvision draws from torch's global generator. Here it is seeded for each batch by a draw from the replica's own
generator and put back afterwards, so that a training is a function of its seed and can be taken up again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision.transforms import v2

from leni.errors import SpecError
from search.training.recipe import Recipe

__all__ = ["Mixing", "Policies", "check_channels", "seeded"]


def check_channels(recipe: Recipe, channels: int) -> None:
    """See that the recipe's policy can change images of so many channels.

    Raises:
        SpecError: it cannot.
    """
    if recipe.policy != "none" and channels not in (1, 3):
        raise SpecError(f"policy {recipe.policy!r} needs images of 1 or 3 channels, and these have {channels}")


class Policies:
    """What torchvision does to each image by itself, with draws of its own for every image.

    Args:
        transforms: one after another.
    """

    def __init__(self, transforms: Sequence[v2.Transform]) -> None:
        self.transform = v2.Compose(list(transforms))

    @classmethod
    def of(cls, recipe: Recipe, kind: str, *, size: tuple[int, int], mean: Sequence[float]) -> Policies | None:
        """The transforms of a recipe, in this order: crop and flip, policy, erasing; None where there are none.

        Args:
            recipe: its policy and its probability of erasing.
            kind: augmentation, of which "resized-crop" and "resized-crop-flip" are meant here.
            size: (height, width), pixels.
            mean: colour of what is erased, for each channel, in units where 255 is 1.
        """
        found: list[v2.Transform] = []
        if kind.startswith("resized-crop"):
            found.append(v2.RandomResizedCrop(size, antialias=True))
            found += [v2.RandomHorizontalFlip()] if kind.endswith("-flip") else []
        if recipe.policy == "randaugment":
            found.append(v2.RandAugment(recipe.policy_operations, recipe.policy_magnitude))
        elif recipe.policy == "trivialaugment":
            found.append(v2.TrivialAugmentWide())
        if recipe.erasing:
            found.append(v2.RandomErasing(recipe.erasing, value=[round(255 * value) for value in mean]))
        return cls(found) if found else None

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) of bytes, each transformed by itself."""
        with seeded(generator):
            return torch.stack([self.transform(image) for image in images])


class Mixing:
    """Mixup or cutmix of a batch with itself, shifted by one; where both are asked for, one of them for each batch.

    Args:
        transform: torchvision's, of a batch and its labels.
    """

    def __init__(self, transform: v2.Transform) -> None:
        self.transform = transform

    @classmethod
    def of(cls, recipe: Recipe, classes: int) -> Mixing | None:
        """The mixing of a recipe; None where there is none."""
        found: list[v2.Transform] = []
        if recipe.mixup:
            found.append(v2.MixUp(alpha=recipe.mixup, num_classes=classes))
        if recipe.cutmix:
            found.append(v2.CutMix(alpha=recipe.cutmix, num_classes=classes))
        if not found:
            return None
        return cls(found[0] if len(found) == 1 else v2.RandomChoice(found))

    def __call__(self, images: Tensor, labels: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Mix the batch of each replica.

        Args:
            images: (N, R, C, H, W), of a floating type.
            labels: (N, R), classes.
            generators: one a replica.

        Returns:
            Images, and probabilities of the classes (N, R, classes).
        """
        mixed = []
        for part, wanted, generator in zip(images.unbind(1), labels.unbind(1), generators, strict=True):
            with seeded(generator):
                mixed.append(self.transform(part, wanted))
        pictures, targets = zip(*mixed, strict=True)
        return torch.stack(pictures, 1), torch.stack(targets, 1).to(images.dtype)


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Torch's generator of the CPU as a function of the next draw of another one, and afterwards as it was."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)
