"""What a run's pruner gave away, in one sentence."""

from __future__ import annotations

from results.runs import Run

__all__ = ["pruning_sentence"]


def pruning_sentence(run: Run) -> str:
    """The pruner's own estimate of what stopped trials were worth; nothing where it has none.

    Args:
        run: whose environment says it under "pruning", as the driver writes it.
    """
    pruning = run.environment.get("pruning") or {}
    given_away, keep = pruning.get("given_away"), pruning.get("keep")
    if given_away is None:
        return ""
    asked = "" if keep is None else f" (keep {keep:g})"
    return (
        f"pruning gave away an estimated {given_away:.2%} of the hypervolume: what the stopped trials are expected to "
        f"have added to the front{asked}"
    )
