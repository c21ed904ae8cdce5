"""The checklist for experiments in neural architecture search, answered from what a run's folder shows.

Source: Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search, JMLR 21 (243), 2020;
their questions in our words. What a folder cannot show is left to the author, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "Known", "checklist"]

YES, PARTLY, NO, AUTHOR = "yes", "partly", "no", "for the author"


@dataclass(frozen=True)
class Answer:
    """One question: its group, its text, "yes", "partly", "no" or "for the author", and what that rests on."""

    group: str
    question: str
    answer: str
    because: str


@dataclass(frozen=True)
class Known:
    """What a run's folder shows.

    Attributes:
        environment: environment.json.
        spec: spec.toml as a table; empty where it is missing.
        seeds: that every candidate was trained with in the search.
        confirmed_seeds: fresh ones of the confirmed front; 0 where there is none.
        ablated: whether an ablation study was run.
        hours: wall hours of the trainings of the search, added up.
        device: what was trained on.
    """

    environment: Mapping[str, Any]
    spec: Mapping[str, Any]
    seeds: int
    confirmed_seeds: int
    ablated: bool
    hours: float
    device: str


def checklist(known: Known) -> tuple[Answer, ...]:
    """Every question with its answer."""
    return (*_code(known), *_comparison(known), *_reporting(known))


def _code(known: Known) -> Iterator[Answer]:
    group = "Code"
    revision = str(known.environment.get("git_revision") or "")
    if not revision:
        state, because = PARTLY, "leni-search is released, but no git revision is recorded: it ran outside a checkout"
    elif revision.endswith("-dirty"):
        state, because = PARTLY, f"revision {revision[:12]} with changes that were not committed"
    else:
        state, because = YES, f"leni-search, revision {revision[:12]}"
    for question in (
        "Is the code of the training pipeline that evaluated the final networks released?",
        "Is the code of the search space released?",
        "Is the code of the search method released?",
    ):
        yield Answer(group, question, state, because)
    evaluator = known.spec.get("evaluator")
    recipe = known.spec.get("training")
    yield Answer(
        group,
        "Are the hyperparameters of the final training and its random seeds released?",
        PARTLY if evaluator or not recipe else YES,
        f"the evaluator {evaluator} has its own" if evaluator
        else "the recipe and the seeds are below" if recipe else "spec.toml is missing",
    )  # fmt: skip
    seed = known.environment.get("seed")
    yield Answer(
        group,
        "Are the hyperparameters and seeds of the search method released?",
        YES if known.spec and seed is not None else PARTLY,
        f"sampler {known.spec.get('sampler', 'unknown')}, seed {seed}, spec below" if known.spec else "no spec.toml",
    )


def _comparison(known: Known) -> Iterator[Answer]:
    group, own = "Comparison", bool(known.spec.get("evaluator"))
    split = None if own else known.spec.get("split_seed")
    yield Answer(
        group,
        "Do all candidates share the data set, its splits, the search space and the training code?",
        YES if split is not None else PARTLY,
        f"one data set, one split (seed {split}), one recipe with a learning-rate factor of each candidate's own"
        if split is not None
        else "one evaluator for all candidates",
    )
    yield Answer(
        group,
        "Are confounding factors controlled (hardware, versions, running times)?",
        YES if known.environment.get("versions") else PARTLY,
        f"every trial ran with the versions below, on {known.device}",
    )
    yield Answer(
        group,
        "Was an ablation study run?",
        YES if known.ablated else NO,
        "see the ablation above" if known.ablated
        else "an evaluator's parts are its author's to leave out" if own
        else "`leni-search ablate DIR` runs one",
    )  # fmt: skip
    yield Answer(
        group,
        "Is the evaluation protocol the same for all, and is the test split kept out of the search?",
        AUTHOR if own else YES if known.confirmed_seeds else PARTLY,
        "one evaluator measured all; what it measured on is its author's to say" if own
        else "validation chose; the test split was read once, for the confirmed front: "
        f"{known.confirmed_seeds} new seeds"
        if known.confirmed_seeds
        else "validation chose; nothing has been measured on the test split yet, `leni-search confirm DIR` does",
    )  # fmt: skip
    yield Answer(
        group, "Is performance compared over time?", YES, "hypervolume after each completed trial, above",
    )  # fmt: skip
    sampler = known.spec.get("sampler")
    yield Answer(
        group,
        "Is the method compared with random search?",
        AUTHOR,
        "this run is a random search" if sampler == "random"
        else "one run shows one sampler; the same spec with --sampler random gives the other",
    )  # fmt: skip
    several = max(known.seeds, known.confirmed_seeds)
    yield Answer(
        group,
        "Are there several runs, and are their seeds reported?",
        PARTLY,
        f"{several} seed{'' if several == 1 else 's'} of each final candidate, one run of the search",
    )
    yield Answer(
        group,
        "Are tabular or surrogate benchmarks used for an evaluation in depth?",
        AUTHOR,
        "not in a run of trainings" if not known.spec.get("evaluator") else "depends on the evaluator",
    )


def _reporting(known: Known) -> Iterator[Answer]:
    group = "Reporting"
    yield Answer(
        group,
        "Is it said how hyperparameters were tuned, and what that took?",
        PARTLY,
        "what the space searches is in the cost; how the rest of what the evaluator does was chosen is for the author "
        "to say"
        if known.spec.get("evaluator")
        else "what the space searches (learning-rate factor, start, decay) is in the cost; how the rest of the recipe "
        "was chosen is for the author to say",
    )
    yield Answer(
        group,
        "Is the time of the whole method reported, and not the search's alone?",
        YES,
        f"{known.hours:.3g} hours of trials in the search; confirmation and ablation stand beside it under cost",
    )
    yield Answer(
        group,
        "Are all details of the setup reported?",
        YES if known.spec and known.environment.get("versions") else PARTLY,
        "spec, versions, hardware and seeds are below",
    )
