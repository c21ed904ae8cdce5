"""The front again: its members and the references trained from fresh seeds, and measured on the test split.

The references are those of the space, and the first of them (ReLU everywhere, at full width) at every learning rate
that a member of the front has: a comparison of members with a reference at another rate than theirs is not fair.

Nothing of the search has read the test split. What comes out stands in confirmed.csv beside what the search has of the
same candidates, and the trained networks are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import results
from leni.errors import FolderError
from results.analyses.confirmation import FRONT, REFERENCE, Confirmation, confirmation
from results.analyses.noninferiority import NEAR
from search.followup.recorded import keyed, trained_spec
from search.followup.retrain import fixed_spec, fresh_seed, train_fixed
from search.spec import Spec
from search.store.folder import RunFolder, write_text
from spaces import Candidate

__all__ = ["confirm", "references_for"]

SEEDS = 5


def confirm(
    path: str | Path,
    *,
    seeds: int | None = None,
    quiet: bool = False,
    console: Console | None = None,
    **how: Any,
) -> Confirmation:
    """Train the front's members and the reference candidates again, measure them on the test split, keep the networks.

    An interrupted confirmation is continued; one of a front that has grown since trains what is new.

    Args:
        path: the run's folder.
        seeds: of each candidate, at once where that pays; None for those of an earlier confirmation, or 5.
        quiet: whether no progress is shown.
        console: where progress goes; None for standard error.
        how: workers, address, cpus_per_trial, gpus_per_trial, where they differ from the run's.

    Returns:
        Both fronts side by side; confirmed.csv has the same.

    Raises:
        FolderError: the folder holds no run, nothing has completed in it, or an earlier confirmation had other seeds.
        SpecError: trials are calls of a user's function, which has no test split.
        LeniSearchError: as `search.run`.
        RunUnreadable: there are no records in the folder.
    """
    folder = RunFolder(path)
    folder.check_run()
    spec = trained_spec(folder)
    run = results.load(folder.path)
    searched = _chosen(run, spec)
    if seeds is None:
        before = RunFolder(folder.confirm).spec
        seeds = Spec.read(before).seeds if before.is_file() else SEEDS
    candidates = [Candidate.from_json(text) for text in searched["candidate"]]
    given = {name: value for name, value in how.items() if value is not None}
    again = fixed_spec(
        spec, candidates, folder.confirm, seeds=seeds, seed=fresh_seed(spec), test=True, keep_weights=True, **given
    )
    trained = train_fixed(again, quiet=quiet, console=console)
    ended = trained.trials
    if trained.environment["ended"] != "complete":  # what was cut off has not failed
        ended = ended[ended["state"] == "completed"]
    images = trained.images("test")
    found = confirmation(searched, _confirmed(ended), objectives=run.objectives, images=images)
    write_text(folder.confirmed, results.to_csv(found.rows))
    return found


def _chosen(run: results.Run, spec: Spec) -> pd.DataFrame:
    """The front's records, then those of the references that are not on it; each candidate once."""
    front = run.front_records()
    if front.empty:
        raise FolderError(f"{run.folder} has no completed trial, so there is no front to confirm", code="LS-TRIAL")
    front = keyed(front).drop_duplicates("candidate").assign(role=FRONT)
    members = [Candidate.from_json(text) for text in front["candidate"]]
    own = [candidate for candidate in spec.search_space().references() if isinstance(candidate, Candidate)]
    references = [candidate.to_json() for candidate in references_for(members, own)]
    wanted = [text for text in dict.fromkeys(references) if text not in set(front["candidate"])]
    done = keyed(run.trials[run.trials["state"] == "completed"]).drop_duplicates("candidate")
    there = done[done["candidate"].isin(wanted)].assign(role=REFERENCE)
    missing = [{"candidate": text, "role": REFERENCE} for text in wanted if text not in set(there["candidate"])]
    rows = [*front.to_dict("records"), *there.to_dict("records"), *missing]
    return pd.DataFrame(rows, columns=list(front.columns)).convert_dtypes()


def references_for(members: Sequence[Candidate], references: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The references, and the first of them at the learning rate of each member.

    Args:
        members: of a front.
        references: of the space, ReLU first.

    Returns:
        Each once; a member's rate that is within a factor of 1.5 of one that is there adds none.
    """
    found = list(references)
    if not found:
        return ()
    rates = [found[0].lr_factor]
    for rate in sorted({member.lr_factor for member in members}):
        if min(abs(math.log(rate / other)) for other in rates) > math.log(NEAR):
            rates.append(rate)
            found.append(replace(found[0], lr_factor=rate))
    return tuple(dict.fromkeys(found))


def _confirmed(trials: pd.DataFrame) -> pd.DataFrame:
    """One record a candidate: the completed one, else the last."""
    frame = keyed(trials)
    for name in ("test_accuracy", "test_accuracy_std", "test_accuracies"):
        if name not in frame.columns:  # where nothing has completed
            frame[name] = pd.NA
    order = (frame["state"] == "completed").astype(int)
    return frame.assign(order=order).sort_values("order", kind="stable").drop_duplicates(
        "candidate", keep="last").drop(columns="order").sort_values("number")  # fmt: skip
