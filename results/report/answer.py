"""The question that a run asks, and the answer its data give, in three sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from results.analyses.confirmation import Confirmation
from results.fronts import minimised
from results.names import plain_name
from results.runs import Run
from results.text import counted
from results.user_view import is_evaluators

__all__ = ["answer", "question"]

WORDS = {"params": "parameters", "macs": "multiply-adds", "latency_ms": "milliseconds", "accuracy": "accuracy"}


def question(run: Run, spec: Mapping[str, Any]) -> str:
    """What was asked, in one sentence."""
    names = list(run.objectives)
    others = [_word(name) for name in names if name != "accuracy"]
    data = run.environment.get("data") or spec.get("data")
    where = f" on {data}" if data and not spec.get("evaluator") else ""
    if "accuracy" not in names:
        return f"Which settings are best in {' and '.join(map(_word, names))}?"
    price = f" for what number of {' and '.join(others)}" if others else ""
    activations = sorted(set(run.trials["activation"].dropna())) if "activation" in run.trials.columns else []
    last = f", and which of {', '.join(activations)} buys it" if len(activations) > 1 else ""
    return f"What accuracy can be had{where}{price}{last}?"


def _word(name: str) -> str:
    """An objective in a sentence."""
    return WORDS.get(name, plain_name(name))


def answer(run: Run, confirmed: Confirmation | None, worth: Sequence[str] = ()) -> tuple[str, ...]:
    """Three sentences: the front, what the activations are worth, how sure it is. Fewer where the data have less.

    Args:
        run: what `results.load` gives.
        confirmed: its front, confirmed; None where it is not.
        worth: what compensation says, sentence by sentence.
    """
    front = run.front_records()
    if front.empty:
        return ("No trial has completed, so nothing can be said yet.",)
    return tuple(filter(None, (_front(run, front, confirmed), _activations(worth), _certainty(run, confirmed))))


def _front(run: Run, front: pd.DataFrame, confirmed: Confirmation | None) -> str:
    rows, column = front, "accuracy"
    what = "The front as searched"
    if confirmed is not None and len(confirmed.front()):
        rows, column, what = confirmed.front(), "test_accuracy", "The confirmed front"
    cost = next((name for name in run.objectives if name != "accuracy"), None)
    if "accuracy" not in run.objectives or cost is None or cost not in rows.columns:
        return f"{what} has {counted(len(rows), 'member')}."
    split = "test" if column == "test_accuracy" else "validation"
    order = rows.iloc[minimised(rows, {cost: run.objectives[cost]})[:, 0].argsort(kind="stable")]
    least, most = order.iloc[0], order.iloc[-1]
    text = f"{what} has {counted(len(rows), 'member')}, {_point(least, column, cost)}"
    if len(rows) == 1:
        return f"{text} ({split} split)."
    return f"{text} to {_point(most, column, cost)} ({split} split)."


def _point(row: pd.Series[Any], column: str, cost: str) -> str:
    name = row.get("activation")
    who = f" ({name})" if isinstance(name, str) else ""
    interval = ""
    if column == "test_accuracy" and pd.notna(row.get("test_low")):
        interval = f" [{row['test_low']:.4f}, {row['test_high']:.4f}]"
    return f"{row[column]:.4f}{interval} at {row[cost]:,.6g} {_word(cost)}{who}"


def _activations(worth: Sequence[str]) -> str:
    """What is said of LENI first, else of any other activation."""
    named = [text for text in worth if "leni" in text.lower()]
    first = next(iter([*named, *worth]), "")
    return first if not first or first.endswith(".") else f"{first}."


def _certainty(run: Run, confirmed: Confirmation | None) -> str:
    done = run.trials[run.trials["state"] == "completed"]
    if confirmed is None:
        seeds = done["seeds"].dropna()
        values = "values" if is_evaluators(done) else "validation accuracies"
        trained = f", each from {counted(int(seeds.min()), 'seed')}" if len(seeds) else ""
        return (
            f"Not confirmed: these are {values} of the best of {counted(len(done), 'candidate')}{trained}, "
            "and choosing the best makes them optimistic."
        )
    members = confirmed.rows[(confirmed.rows["role"] == "front") & (confirmed.rows["state"] == "completed")]
    if members.empty:
        return "No member of the searched front has been confirmed."
    fall = 100 * float(members["optimism"].astype(float).mean())
    volumes = confirmed.hypervolumes
    return (
        f"Trained again from {counted(int(members['seeds'].min()), 'fresh seed')}, the searched front's members are "
        f"{abs(fall):.2f} points {'below' if fall >= 0 else 'above'} what the search recorded for them on the "
        f"same split, "
        f"and the hypervolume of {volumes['searched']:.4f} is {volumes['test']:.4f} on the test split."
    )
