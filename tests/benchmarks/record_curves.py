"""Recorded learning curves, a table for the simulator: python tests/benchmarks/record_curves.py NAME

Trains distinct random candidates of a preset without Ray and writes one row per candidate: its parameters as an Optuna
study of the preset would hold them, params, macs, accuracy (of the last epoch, 0..1) and curve (accuracy on validation
images after each epoch). The tables tests/data/curves-NAME.parquet were made by

    nice -n 15 python tests/benchmarks/record_curves.py NAME

with each NAME of SETTINGS; digits was interrupted after 150 trainings.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch

from search.decide.samplers import sampler
from search.engine.asker import Asked, Asker
from search.training.data import Data, Part, load
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate, cost
from spaces.presets import space

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Setting:
    """What is trained, and how.

    Attributes:
        candidates: how many are drawn.
        recipe: of every training.
        data: name of the data set.
        preset: name of the search space.
        fixed: dimensions of the preset that are narrowed.
        train_size: images of the training part, None for all.
        validate: every which image of the validation part is measured.
    """

    candidates: int
    recipe: Recipe
    data: str = "digits"
    preset: str = "channel-compensation"
    fixed: dict[str, Any] = field(default_factory=dict)
    train_size: int | None = None
    validate: int = 1


DIGITS = Recipe(epochs=12, batch_size=32, lr=0.05)
FASHION = Setting(
    60,
    Recipe(epochs=16, batch_size=128, lr=0.1),
    data="fashion-mnist",
    fixed={"width": [0.1875, 0.25, 0.375, 0.5]},
    train_size=6000,
    validate=3,
)
SETTINGS = {
    "digits": Setting(200, replace(DIGITS, epochs=27)),
    "digits-activations": Setting(60, DIGITS, preset="activations"),
    "digits-vgg": Setting(
        60,
        replace(DIGITS, epochs=16),
        fixed={
            "placement": ["all", "inner", "stem"],
            "backbone": "vgg16_bn",
            "width": [0.0625, 0.09375, 0.125, 0.1875, 0.25],
        },
    ),
    "fashion-mnist": FASHION,
    "fashion-mnist-activations": replace(FASHION, recipe=DIGITS, preset="activations", train_size=1000, validate=6),
}

SHAPE = (1, 8, 8)  # of an image; whether a candidate can be built depends on its channels alone

_worker: tuple[Data, Recipe]


def candidates(setting: Setting, *, seed: int) -> list[Asked]:
    """Distinct candidates that can be built, each dimension drawn uniformly."""
    asker = Asker(
        space(setting.preset).fix(setting.fixed),
        sampler("random", seed=seed),
        directions=["maximize"],
        seed=seed,
        check=lambda candidate: cost(candidate, input_shape=SHAPE, classes=10),
    )
    asked = (asker.ask() for _ in range(setting.candidates))
    return [answer for answer in asked if answer is not None]


def prepare(name: str) -> None:
    """A worker: one thread, the data in memory."""
    global _worker
    torch.set_num_threads(1)
    setting = SETTINGS[name]
    data = load(setting.data, train_size=setting.train_size)
    part = data.validation
    shown = Part(part.images[:: setting.validate], part.labels[:: setting.validate])
    _worker = replace(data, validation=shown), setting.recipe


def train(candidate: Candidate) -> dict[str, Any]:
    """What a candidate costs, and how its training went."""
    data, recipe = _worker
    curve = [epoch.accuracy for epoch in Training(candidate, data, recipe, seed=0)]
    counted = cost(candidate, input_shape=data.input_shape, classes=data.classes)
    return {"params": counted.params, "macs": counted.macs, "accuracy": curve[-1], "curve": curve}


def main() -> None:
    """Record one table, or go on with it: it is written again after every fifth training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=SETTINGS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = candidates(SETTINGS[flags.data], seed=flags.seed)
    out = flags.out or DATA / f"curves-{flags.data}.parquet"
    out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[Any, Any]] = pd.read_parquet(out).to_dict("records") if out.exists() else []
    left = asked[len(rows) :]
    with multiprocessing.get_context("spawn").Pool(flags.processes, prepare, (flags.data,)) as pool:
        for answer, row in zip(left, pool.imap(train, [answer.candidate for answer in left]), strict=True):
            rows.append({**answer.parameters, **row})
            if len(rows) % 5 == 0 or len(rows) == len(asked):
                pd.DataFrame(rows).to_parquet(out, index=False, compression="zstd")
                print(f"{out.name}: {len(rows)} of {len(asked)}", flush=True)


if __name__ == "__main__":
    main()
