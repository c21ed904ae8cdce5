"""What a compensation analysis says in words: what was found, how it was compared, and what can bias it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.analyses.accuracy_curves import Family

__all__ = ["caveats", "how_compared", "left_out", "what_is_said"]

SPREAD_EVENLY = frozenset({"random", "qmc", "grid", "sobol"})
"""Samplers whose candidates do not follow from earlier results."""


def left_out(records: pd.DataFrame) -> dict[str, int]:
    """How many trials have each state other than completed."""
    if "state" not in records.columns:
        return {}
    counts = records["state"].value_counts()
    return {str(state): int(count) for state, count in counts.items() if state not in ("completed", "extended")}


def caveats(lost: Mapping[str, int], sampler: str | None) -> Iterator[str]:
    """What the choice of trials can do to the curves.

    Args:
        lost: state -> number of trials that did not complete.
        sampler: that proposed the candidates, None where it is not known.
    """
    failed = {state: count for state, count in lost.items() if state != "stopped"}
    if failed:
        told = " and ".join(f"{count:,} {state}" for state, count in sorted(failed.items()))
        yield (f"Left out: {told} trials. Where failing goes with accuracy (diverging at a high learning rate), "
               "what is left is too good.")  # fmt: skip
    if sampler is not None and sampler not in SPREAD_EVENLY:
        yield (f"The candidates were proposed by the sampler {sampler}, which follows earlier results: it tries more "
               "near what looked good, by luck too, so that its curves are flattered where it went on; candidates from "
               "`--sampler qmc` are spread evenly.")  # fmt: skip


def how_compared(family: Family, reference: str, untried: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """At which recipe curves are drawn, what was averaged over, and which trials took part.

    Args:
        family: of `accuracy_curves`.
        reference: the activation compared with.
        untried: recipe values that the reference at full width was not tried at.
    """
    if family.adjusted:
        each = "; ".join(
            f"{name[0]} ({name[1]}) at " + ", ".join(f"{key} {value}" for key, value in best.items())
            for name, best in zip(family.groups, family.best, strict=True)
            if best
        )
        yield f"Adjusted for {', '.join(family.adjusted)}, every curve at its own best: {each}."
    for name, reason in family.averaged.items():
        yield (f"No curve is adjusted for {name}, since {reason}: they are averages over the values tried, and an "
               "activation that was tried at fewer values can gain or lose by it.")  # fmt: skip
    if family.stopped:
        yield (f"{family.stopped:,} stopped trials take part as trials of unknown accuracy, which a trial with a lower "
               "one is likelier to have; this takes deviations from the curves to be normal.")  # fmt: skip
    for name, values in untried.items():
        told = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:6])
        told += ", ..." if len(values) > 6 else ""
        yield (
            f"{reference} at full width was not tried at {name} {told}: no claim of non-inferiority is made for "
            "candidates trained at it; `leni-search confirm` trains the reference at the learning rates of the front's "
            "members, and `leni-search compensation DIR/confirm` tests those."
        )


def what_is_said(found: Mapping[str, pd.DataFrame], reference: str, margin: float, level: float) -> Iterator[str]:
    """The frames in words: one sentence per curve, one an activation."""
    ratios, claims = found["ratios"], found["claims"]
    if not len(ratios):
        yield f"No completed candidate has another activation than {reference}, so there is nothing to compare."
        return
    for (activation, placement), rows in ratios.groupby(["activation", "placement"], sort=True):
        yield _ratio_sentence(f"{activation} ({placement})", rows, reference, level)
    for activation, rows in claims.groupby("activation", sort=True):
        yield _claim_sentence(str(activation), rows, reference, margin)
    for activation in sorted(set(ratios["activation"]) - set(claims["activation"])):
        yield f"No candidate with {activation} has fewer parameters than {reference} at full width."


def _ratio_sentence(name: str, rows: pd.DataFrame, reference: str, level: float) -> str:
    """The middle one of the accuracies at which a ratio is known."""
    known = rows[rows["ratio"].notna()]
    if not len(known):
        return f"{name} and {reference} reach no accuracy in common, so their parameters cannot be compared."
    row = known.iloc[len(known) // 2]
    end = "no limit" if math.isinf(row["high"]) else f"{row['high']:.2f}"
    claim = (f"{name} needs {row['ratio']:.2f} times the parameters of {reference} for an accuracy of "
             f"{row['accuracy']:.1%} ({level:.0%} interval {row['low']:.2f} to {end})")  # fmt: skip
    if row["verdict"] != "open":
        return f"{claim}: {row['verdict']}."
    more = "more candidates would, more seeds would not" if pd.isna(row["needed"]) else (
        f"about {int(row['needed']):,} seeds a candidate would settle it")  # fmt: skip
    return f"{claim}: the data do not say whether that is fewer or more; {more}."


def _claim_sentence(activation: str, rows: pd.DataFrame, reference: str, margin: float) -> str:
    """The narrowest that is not inferior, or what it would take."""
    held = rows[rows["narrowest"]]
    points = f"{100 * margin:.2g} points"
    if len(held):
        row = held.iloc[0]
        return (f"The narrowest {activation} network not inferior to {reference} at full width by more than {points} "
                f"has {int(row['params']):,} parameters and saves {int(row['saved']):,} ({row['saved_share']:.0%}); "
                f"difference {100 * row['difference']:+.2f} points, bound {100 * row['bound']:+.2f}, "
                f"n = {int(row['n'])} seeds.")  # fmt: skip
    start = f"No {activation} network with fewer parameters is shown to be within {points} of {reference} at full width"
    if not rows["tried"].any():
        return f"{start}: {reference} at full width was not tried at the recipe of any of them."
    hopeful = rows[rows["needed"].notna() & rows["tried"]]
    if not len(hopeful):
        return f"{start}: all are worse by more, or have one seed."
    row = hopeful.iloc[int(np.argmin(hopeful["needed"].to_numpy(dtype=np.int64)))]
    return (f"{start}; about {int(row['needed']):,} seeds would show it for the one with {int(row['params']):,} params "
            f"if its difference of {100 * row['difference']:+.2f} points is real, it has {int(row['n'])}.")  # fmt: skip
