"""The studies under docs/studies, each by one command: python tests/benchmarks/study.py digits [--out FOLDER]

Runs what a user would: a search, its confirmation on the test split, compensation, an ablation of LENI's parts and the
report, in FOLDER; then copies the figures and writes the tables as they are printed to docs/studies/NAME.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

import results
from search.spec import Spec
from spaces import Candidate

DOCS = Path(__file__).parents[2] / "docs" / "studies"
TABLES = """# Study: {name}

Made by `python tests/benchmarks/study.py {name}` from [{name}.toml](../{name}.toml).

## Front of the search

![front](front.svg)

{0}

## Compensation

![compensation](compensation.svg)

{1}

## Confirmed on the test split

{2}

## Ablation

![ablation](ablation.png)

{3}
"""
COLUMNS = {
    "number": "trial", "role": "role", "activation": "activation", "widths": "widths", "params": "params",
    "searched": "validation, search", "accuracy": "validation, fresh seeds", "test_accuracy": "test",
    "test_low": "95% from", "test_high": "to",
}  # fmt: skip
FACTORS = {
    "digits": ("branch", "frozen", "kernel", "compression", "norm", "start"),
    "fashion-mnist": ("branch", "frozen", "kernel"),
}
CONFIRMED = {"digits": 5, "fashion-mnist": 3}  # fresh seeds
SEEDS = {"digits": 8, "fashion-mnist": 6}  # of the ablation; six pairs can reach p = 0.03


def command(*words: object) -> str:
    """What a command prints; its progress goes to the terminal."""
    print(f"$ leni-search {' '.join(map(str, words))}", file=sys.stderr, flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "search.cli", *map(str, words)], check=True, text=True, stdout=subprocess.PIPE
    )
    return made.stdout


def base(run: Path) -> int:
    """The number of the most accurate network that has LENI everywhere, apart from the full-width reference."""
    trials = results.load(run).trials.query("state == 'completed' and activation == 'leni' and placement == 'all'")
    trials = trials[trials["params"] < trials["params"].max()]
    return int(trials.sort_values("accuracy").iloc[-1]["number"])


def references(spec: Path) -> list[Candidate]:
    """ReLU at full width at every learning rate of the space: claims against it need it at the others' rates."""
    space = Spec.read(spec).search_space()
    relu = space.references()[0]
    rates = space.lr_factor.values() or (relu.lr_factor,)
    return [replace(relu, lr_factor=rate) for rate in rates if rate != relu.lr_factor]


def study(name: str, out: Path) -> None:
    """Run all of it; what was run before is not run again."""
    run, docs, spec = out / "run", DOCS / name, DOCS / f"{name}.toml"
    docs.mkdir(parents=True, exist_ok=True)
    if not (run / "trials.parquet").exists():
        out.mkdir(parents=True, exist_ok=True)
        (out / "references.jsonl").write_text("\n".join(each.to_json() for each in references(spec)) + "\n")
        command("run", spec, "--out", run, "--enqueue", out / "references.jsonl")
    if not (run / "confirmed.csv").exists():
        command("confirm", run, "--seeds", CONFIRMED[name])
    if not (run / "ablation" / "ablation.md").exists():
        factors = [word for factor in FACTORS[name] for word in ("--factors", factor)]
        command("ablate", run, "--trial", base(run), "--seeds", SEEDS[name], *factors)
    command("report", run)
    said = [
        command("front", run, "--figure", docs / "front.svg"),
        command("compensation", run, "--figure", docs / "compensation.svg"),
    ]
    said[1] += "\nFrom fresh seeds, the front's members and the reference at their rates:\n\n"
    said[1] += command("compensation", run / "confirm")
    confirmed = pd.read_csv(run / "confirmed.csv")[list(COLUMNS)].round(4)
    rows = [COLUMNS.values(), ["---"] * len(COLUMNS), *confirmed.astype(str).to_numpy()]
    said.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    shutil.copy(run / "ablation" / "ablation.png", docs)
    table = (run / "ablation" / "ablation.md").read_text()
    blocks = [
        text if text.startswith("|") else f"```\n{text.rstrip()}\n```"
        for text in (text.replace(f"{docs}/", "") for text in said)
    ]
    (docs / "tables.md").write_text(TABLES.format(*blocks, table, name=name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(SEEDS))
    parser.add_argument("--out", type=Path, default=Path("runs") / "studies")
    given = parser.parse_args()
    study(given.name, given.out / given.name)
