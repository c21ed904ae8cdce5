"""What a backbone says of itself: its widths and their stages, its call sites, how it is built and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from leni.errors import CandidateError, InfeasibleWidth
from spaces.backbones.sites import PLAIN, BackboneSite, SiteActivations

__all__ = ["PER", "Backbone"]

PER = ("network", "stage", "group")
Count = Callable[[tuple[int, ...], SiteActivations, tuple[int, int, int], int], tuple[int, int]]


def _no_notes(in_channels: int, classes: int) -> tuple[str, ...]:
    """What is to be said of a backbone that needs no change."""
    return ()


@dataclass(frozen=True)
class Backbone:
    """A frozen row of the table of backbones.

    Attributes:
        name: as a space names it, `resnet8`.
        full_widths: channels at width 1: of each stage, or of each group of layers whose channels go together.
        sites: call sites in the order of the forward pass.
        build: (widths, activations, in_channels, classes) -> network.
        source: paper, and what differs from it.
        stages: stage of each width; () for one width per stage, counted from 1.
        units: what each width is a multiple of; () for 1, and then widths may be above the full ones.
        layers: of each width, the layer that it is the outputs of; () for a stage's whole.
        plain: name of the activation that all sites have where no other one is placed: relu, or own.
        round_to: what widths are rounded to a multiple of, unless a space says otherwise.
        kept: why layers keep their outputs, by path.
        left: why call sites keep their activation, by name.
        count: (widths, activations, input shape, classes) -> parameters and multiply-adds; None to count the built
            network.
        notes: (in_channels, classes) -> what is changed for them, a sentence each.
    """

    name: str
    full_widths: tuple[int, ...]
    sites: tuple[BackboneSite, ...]
    build: Callable[[tuple[int, ...], SiteActivations, int, int], nn.Module]
    source: str
    stages: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    plain: str = PLAIN
    round_to: int = 1
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)
    left: Mapping[str, str] = field(default_factory=dict, hash=False)
    count: Count | None = None
    notes: Callable[[int, int], tuple[str, ...]] = _no_notes

    @property
    def width_stages(self) -> tuple[int, ...]:
        """Stage of each width."""
        return self.stages or tuple(range(1, len(self.full_widths) + 1))

    def knobs(self, per: str) -> tuple[int, ...]:
        """Numbers of the ratios that can be chosen: 0 for the network, its stages, or its groups from 1 on.

        Args:
            per: one of `PER`.
        """
        if per == "network":
            return (0,)
        return tuple(sorted(set(self.width_stages))) if per == "stage" else tuple(range(1, len(self.full_widths) + 1))

    def members(self, per: str, knob: int) -> tuple[int, ...]:
        """Places of the widths that one ratio decides."""
        if per == "network":
            return tuple(range(len(self.full_widths)))
        if per == "group":
            return (knob - 1,)
        return tuple(place for place, stage in enumerate(self.width_stages) if stage == knob)

    def widths(self, *ratios: float, per: str | None = None, round_to: int | None = None) -> tuple[int, ...]:
        """Channels at one ratio for all, at one ratio per stage, or at one ratio per group.

        Args:
            ratios: numbers in (0, 1]; a whole number above 1 is channels of the widest of its group, the others in
                proportion.
            per: "network", "stage" or "group"; None to tell by their number.
            round_to: widths are multiples of it where they are not full; None for the backbone's own.

        Raises:
            InfeasibleWidth: a ratio is outside (0, 1], their number is wrong, or a stage would have no channel.
        """
        if per is None:
            per = next((each for each in PER if len(self.knobs(each)) == len(ratios)), "stage")
        knobs = self.knobs(per)
        if len(ratios) != len(knobs):
            raise InfeasibleWidth(f"{self.name} has {len(knobs)} {per}s, got {len(ratios)} widths")
        found = [0] * len(self.full_widths)
        for knob, ratio in zip(knobs, ratios, strict=True):
            members = self.members(per, knob)
            for place, width in zip(members, self.part(members, ratio, round_to=round_to), strict=True):
                found[place] = width
        return tuple(found)

    def part(self, members: Sequence[int], ratio: float, *, round_to: int | None = None) -> tuple[int, ...]:
        """Channels of some widths at one ratio.

        Args:
            members: places of the widths.
            ratio: as for `widths`.
            round_to: as for `widths`.

        Raises:
            InfeasibleWidth: as `widths`.
        """
        ratio = ratio if isinstance(ratio, int) and ratio > 1 else float(ratio)
        most = max((self.full_widths[place] for place in members), default=1)
        fraction = ratio / most if isinstance(ratio, int) else ratio
        if not 0 < fraction <= 1:
            bounds = f"up to {most} channels" if isinstance(ratio, int) else "in (0, 1]"
            raise InfeasibleWidth(f"width must be {bounds}, got {ratio}")
        found = tuple(self._rounded(place, fraction, round_to or self.round_to) for place in members)
        if 0 in found:
            place = members[found.index(0)]
            raise InfeasibleWidth(
                f"width {ratio} leaves stage {place + 1} of {self.name} no channel; "
                f"the smallest that leaves one is {0.5 / self.full_widths[place]}"
            )
        return found

    def _rounded(self, place: int, fraction: float, round_to: int) -> int:
        """The nearest multiple of the unit, as timm's make_divisible; 0 only where there is neither unit nor rounding.

        Source: make_divisible of MobileNet: the result is at least one unit, and no more than a tenth below.
        """
        full, unit = self.full_widths[place], math.lcm(self.units[place] if self.units else 1, round_to)
        if unit > full:
            unit = self.units[place] if self.units else 1
        wanted = full * fraction
        if unit == 1:
            width = int(wanted + 0.5)
            return max(width, 1) if self.units else width
        width = max(unit, int(wanted / unit + 0.5) * unit)
        if width < 0.9 * wanted:
            width += unit
        return min(width, full)

    def nearest(self, widths: Sequence[float]) -> tuple[int, ...]:
        """The widths that can be had nearest to given ones."""
        found = []
        for width, full, unit in zip(widths, self.full_widths, self.units or [1] * len(self.full_widths), strict=True):
            rounded = max(1, int(width / unit + 0.5)) * unit
            found.append(min(rounded, full) if self.units else rounded)
        return tuple(found)

    def check(self, widths: Sequence[int]) -> None:
        """Refuse widths that the network cannot have.

        Raises:
            CandidateError: their number is wrong, or one is no positive whole number.
            InfeasibleWidth: one is above the full width, or no multiple of its unit.
        """
        if not isinstance(widths, (tuple, list)) or len(widths) != len(self.full_widths):
            raise CandidateError(f"widths must be {len(self.full_widths)} numbers for {self.name}, got {widths!r}")
        for width in widths:
            if not isinstance(width, int) or isinstance(width, bool) or width < 1:
                raise CandidateError(f"widths must be whole numbers of at least 1, got {widths!r}")
        for place, (width, unit) in enumerate(zip(widths, self.units, strict=False)):
            if width > self.full_widths[place] or width % unit:
                multiple = f" in multiples of {unit}" if unit > 1 else ""
                raise InfeasibleWidth(
                    f"{self.name}: the width of {self.layers[place]} must be up to "
                    f"{self.full_widths[place]}{multiple}, got {width}"
                )
