"""A set of call sites in the words of the placement language."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

from leni.placement import FEATURE_ROLES, PlacedSite

__all__ = ["placement_of"]

Label = TypeVar("Label", bound=Hashable)


def placement_of(sites: Sequence[PlacedSite], places: Collection[int]) -> str:
    """The placement that selects some call sites: by role or stage where these words say it, else by name.

    Args:
        sites: of the network, in the order of the forward pass.
        places: indices of those that are selected.

    Returns:
        A placement in canonical form.

    Example:
        >>> from spaces.backbones import backbone
        >>> placement_of(backbone("resnet8").sites, {0, 1, 3, 5})
        'stem+inner'
    """
    chosen = set(places)
    if not chosen:
        return "none"
    if chosen == {place for place, site in enumerate(sites) if site.role in FEATURE_ROLES}:
        return "all"
    roles = _full_groups(sites, chosen, [site.role for site in sites])
    if roles is not None:
        order = ("stem", "inner", "outer", "gate", "head")
        return "+".join(role for role in order if role in roles)
    features = [site.stage if site.role in FEATURE_ROLES else -1 for site in sites]
    stages = _full_groups(sites, chosen, features)
    if stages is not None and -1 not in stages:
        return "+".join(_ranges(sorted(stages)))
    return "sites:" + ",".join(sites[place].name for place in sorted(chosen))


def _full_groups(sites: Sequence[PlacedSite], chosen: set[int], labels: Sequence[Label]) -> set[Label] | None:
    """The labels of which all sites are chosen, if these are all that is chosen."""
    found = {labels[place] for place in chosen}
    return found if chosen == {place for place in range(len(sites)) if labels[place] in found} else None


def _ranges(stages: Sequence[int]) -> list[str]:
    """Neighbouring stages as one word: 1, 2, 4 as stage:1-2 and stage:4."""
    found: list[list[int]] = []
    for number in stages:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return [f"stage:{run[0]}" if len(run) == 1 else f"stage:{run[0]}-{run[-1]}" for run in found]
