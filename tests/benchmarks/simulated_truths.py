"""How often intervals and verdicts are right where the truth is known: the table of docs/statistics.md.

    python tests/benchmarks/simulated_truths.py [--repeats 200] [--only noninferiority,ablation] [--markdown]

Each row draws data whose truth is known, asks what a user would ask of it, and counts. A count of 200 has a standard
error of 1.5 hundredths at 0.05.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from results.analyses.ablation import PREFIX, ablation
from results.analyses.comparison import compare
from results.analyses.compensation import compensation
from results.analyses.confirmed_band import confirmed_band
from results.analyses.noninferiority import narrowest
from results.stats.sampled import sampled_interval

PARAMS = np.array([2965, 5142, 11284, 19810, 30720, 44014, 59692, 77754])
RATES = {0.3: -0.020, 1.0: -0.005, 3.0: 0.0}
"""Learning rates, and what each does to the accuracy of every network."""


@dataclass(frozen=True)
class Row:
    """What was measured of one case.

    Attributes:
        case: in words.
        measure: what was counted.
        least: that it should be, None for no limit.
        most: likewise.
        found: the share.
        repeats: draws of data.
    """

    case: str
    measure: str
    least: float | None
    most: float | None
    found: float
    repeats: int

    def kept(self, errors: float = 2.5) -> bool:
        """Whether the limits hold, but for so many standard errors of the count."""
        slack = errors * np.sqrt(0.25 * min(1.0, 4 * max(self.found * (1 - self.found), 0.01)) / self.repeats)
        return (self.least is None or self.found >= self.least - slack) and (
            self.most is None or self.found <= self.most + slack
        )

    def promised(self) -> str:
        """The limits in words."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"


def record(activation: str, params: int, values: np.ndarray, **more: Any) -> dict[str, Any]:
    """A completed trial."""
    listed = json.dumps(np.asarray(values).tolist())
    return {"state": "completed", "backbone": "resnet8", "activation": activation, "placement": "all",
            "params": int(params), "accuracy": float(np.mean(values)), "accuracies": listed, "seeds": len(values),
            **more}  # fmt: skip


def images(rng: np.random.Generator, level: float, spread: float, seeds: int, count: int = 359) -> np.ndarray:
    """Accuracies of seeds in whole images, at most all right."""
    return np.minimum(np.round(level * count + rng.normal(0, spread, seeds)), count) / count


def noninferiority(repeats: int) -> Iterator[Row]:
    """43 candidates against the reference: false claims on the margin's edge, and power."""
    for seeds in (3, 4, 5, 8):
        for spread in (0.7, 1.5):
            false = 0
            for repeat in range(repeats):
                rng = np.random.default_rng([repeat, seeds])
                rows = [record("relu", 78_000, images(rng, 0.99, spread, seeds))]
                rows += [record("leni", 60_000 - 1000 * k, images(rng, 0.988, spread, seeds)) for k in range(43)]
                false += bool(narrowest(pd.DataFrame(rows), margin=0.002)["holds"].any())
            case = f"43 candidates worse by the margin exactly, 359 images, deviation {spread} images, {seeds} seeds"
            yield Row(case, "any false claim", None, 0.05, false / repeats, repeats)
    for seeds in (3, 4, 5, 6, 8, 12):
        shown = 0
        for repeat in range(repeats):
            rng = np.random.default_rng([repeat, seeds])
            rows = [record("relu", 78_000, 0.99 + rng.normal(0, 0.001, seeds))]
            for k in range(43):
                level = 0.9935 if k == 21 else 0.98
                rows.append(record("leni", 60_000 - 1000 * k, level + rng.normal(0, 0.001, seeds)))
            shown += bool(narrowest(pd.DataFrame(rows), margin=0.002)["holds"].iloc[21])
        case = f"one of 43 candidates better by 0.35 points, deviation 0.1 points, {seeds} seeds"
        yield Row(case, "power", 0.9 if seeds >= 5 else 0.0, None, shown / repeats, repeats)


def curve(params: Any) -> Any:
    """Accuracy of every activation at its best recipe."""
    return 0.893 - 2.2 * np.asarray(params, float) ** -0.42


def trials(
    rng: np.random.Generator, activation: str, rates: list[float], shared: np.ndarray, *, between: float = 0.002,
    effect: Callable[[float], float] = RATES.__getitem__, options: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """Candidates of an activation at these rates: LENI is worth what ReLU is."""
    rows = []
    for rate in rates:
        params = int(rng.choice(PARAMS))
        level, more = curve(params) + effect(rate) + between * rng.normal(), {}
        if options:
            start, decay = int(rng.integers(3)), bool(rng.integers(2))
            level -= 0.003 * start + 0.003 * decay
            more = {"init_std": (0.01, 0.0, 0.1)[start], "decay": decay}
        rows.append(record(activation, params, level + shared + 0.003 * rng.normal(size=3), lr_factor=rate, **more))
    return rows


def drawn_rates(rng: np.random.Generator, count: int) -> list[float]:
    """Rates as a search draws them."""
    return [float(rate) for rate in rng.choice(list(RATES), count)]


def every_activation_alike(name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Records of one case, in all of which the ratio is 1 and the gain 0."""
    shared = rng.normal(0, 0.004, 3)
    if name == "both at three rates":
        rows = trials(rng, "relu", drawn_rates(rng, 32), shared) + trials(rng, "leni", drawn_rates(rng, 32), shared)
    elif name == "the reference with one candidate at a rate":
        few = [0.3] + [1.0] * 5 + [3.0] * 4
        rows = trials(rng, "relu", few, shared) + trials(rng, "leni", drawn_rates(rng, 40), shared)
    elif name == "LENI at three starts and two decays":
        rows = trials(rng, "relu", drawn_rates(rng, 24), shared)
        rows += trials(rng, "leni", drawn_rates(rng, 48), shared, options=True)
    elif name == "continuous rates":
        rows = []
        for activation, steep in (("relu", 1.0), ("leni", 0.4)):
            rates = np.exp(rng.uniform(np.log(0.1), np.log(10), 32)).tolist()

            def effect(rate: float, steep: float = steep) -> float:
                return -0.008 * steep * (np.log(rate) - np.log(3.0)) ** 2

            rows += trials(rng, activation, rates, shared, effect=effect)
    elif name == "no effect of the rate, 12 candidates against 72":
        rows = trials(rng, "relu", list(RATES) * 4, shared, between=0.006, effect=lambda _: 0.0)
        rows += trials(rng, "leni", drawn_rates(rng, 72), shared, between=0.006, effect=lambda _: 0.0)
    else:
        rows = trials(rng, "relu", drawn_rates(rng, 48), shared)
        rows += trials(rng, "leni", drawn_rates(rng, 48), shared, between=0.008)
        frame = pd.DataFrame(rows)
        over = frame["accuracy"] - curve(frame["params"]) + rng.normal(0, 0.003, len(frame))
        return frame.assign(state=np.where(over > over.median(), "completed", "stopped"))
    return pd.DataFrame(rows)


CASES = (
    "both at three rates", "the reference with one candidate at a rate", "LENI at three starts and two decays",
    "continuous rates", "no effect of the rate, 12 candidates against 72", "the worst half of all trials stopped",
)  # fmt: skip


def compensations(repeats: int) -> Iterator[Row]:
    """Coverage of gains and ratios, and runs with any false verdict."""
    for name in CASES:
        gains, ratios, better, fewer = [], [], 0, 0
        for repeat in range(repeats):
            frame = every_activation_alike(name, np.random.default_rng(1000 + repeat))
            found = compensation(frame, draws=600, seed=repeat)
            known = found.ratios[found.ratios["ratio"].notna()]
            gains += list((found.gains["low"] <= 0) & (found.gains["high"] >= 0))
            ratios += list((known["low"] <= 1) & (known["high"] >= 1))
            better += bool((found.gains["verdict"] != "open").any())
            fewer += bool(known["verdict"].isin(["fewer", "more"]).any())
        yield Row(name, "coverage of gains", 0.93, 0.97, float(np.mean(gains)), repeats)
        yield Row(name, "coverage of ratios", 0.93, 0.97, float(np.mean(ratios)), repeats)
        yield Row(name, "any false 'better' or 'worse'", None, 0.05, better / repeats, repeats)
        yield Row(name, "any false 'fewer' or 'more'", None, 0.05, fewer / repeats, repeats)


def cells(values: np.ndarray) -> pd.DataFrame:
    """A plan of one factor at a time: the base first."""
    rows = [record("leni", 1000, each) | {f"{PREFIX}part": f"p{at}"} for at, each in enumerate(values)]
    return pd.DataFrame(rows)


def ablations(repeats: int) -> Iterator[Row]:
    """Error and power of eight comparisons; parts at the base's recipe and at their own."""
    for seeds in (6, 8, 10):
        false = shown = 0
        for repeat in range(repeats):
            rng = np.random.default_rng([repeat, seeds])
            values = 0.9 + 0.003 / np.sqrt(2) * rng.normal(size=(9, seeds))
            false += bool((ablation(cells(values)).effects["verdict"] != "open").any())
            values[3] += 1.5 * 0.003
            shown += ablation(cells(values)).effects["verdict"].iloc[2] == "better"
        case = f"no part of eight is worth anything, {seeds} seeds"
        yield Row(case, "any false verdict", None, 0.05, false / repeats, repeats)
        case = f"one part of eight is worth 1.5 deviations of a difference, {seeds} seeds"
        yield Row(case, "power", 0.6 if seeds >= 8 else 0.0, None, shown / repeats, repeats)
    for own in (False, True):
        called = 0
        for repeat in range(repeats):
            rng = np.random.default_rng(repeat)
            true = 0.98 + 0.002 * rng.normal(size=(5, 18))  # 18 recipes of the base and of four parts
            seen = true + 0.0015 * rng.normal(size=true.shape)
            at = seen.argmax(axis=1) if own else np.full(5, seen[0].argmax())
            values = true[np.arange(5), at][:, None] + 0.003 * rng.normal(size=(5, 8))
            called += int((ablation(cells(values)).effects["verdict"] == "worse").sum())
        where = "each part at its own best of 18 (--retune 18)" if own else "all parts at the base's recipe"
        yield Row(f"no part is worth anything, recipes differ by 0.2 points, {where}", "parts called worse", None,
                  0.08 if own else 1.0, called / (4 * repeats), 4 * repeats)  # fmt: skip


def bands(repeats: int) -> Iterator[Row]:
    """Costs at which the band of a confirmed front holds the true one."""
    objectives = {"accuracy": "maximize", "params": "minimize"}
    for candidates in (24, 96, 300):
        for level in (0.5, 0.95):
            inside: list[bool] = []
            for repeat in range(repeats):
                rng = np.random.default_rng(repeat)
                params = rng.choice(PARAMS, candidates) + rng.integers(0, 300, candidates)
                true = curve(params) - np.abs(0.006 * rng.normal(size=candidates))
                seen = true + 0.004 / np.sqrt(3) * rng.normal(size=candidates)
                order = np.lexsort((-seen, params))
                best = np.maximum.accumulate(seen[order])
                kept = order[np.concatenate([[True], best[1:] > best[:-1]])]
                fresh = true[kept][:, None] + 0.004 * rng.normal(size=(len(kept), 5))
                frame = pd.DataFrame(
                    {"params": params[kept], "test_accuracies": [json.dumps(v.tolist()) for v in fresh]}
                )
                band = confirmed_band(frame, objectives=objectives, level=level, draws=500, seed=repeat)
                costs = np.unique(params[kept])
                front = np.array([true[kept][params[kept] <= cost].max() for cost in costs])
                inside += list((band["low"] <= front) & (front <= band["high"]))
            yield Row(f"confirmed front of a search of {candidates} candidates, 5 fresh seeds, {level:.0%} band",
                      "costs at which it holds the true front", level - 0.05, level + 0.05, float(np.mean(inside)),
                      len(inside) // 5)  # fmt: skip


def intervals(repeats: int) -> Iterator[Row]:
    """Confirmed accuracies over seeds and test images, and differences of repeated runs."""
    covered = 0
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        level = rng.binomial(360, 0.97) / 360
        found = sampled_interval(level + 0.004 * rng.normal(size=5), step=1 / 360)
        covered += found.low <= 0.97 <= found.high
    yield Row("test accuracy of 0.97, 360 test images, 5 seeds", "coverage of confirm's interval", 0.93, 0.97,
              covered / repeats, repeats)  # fmt: skip
    for runs in (3, 5, 10):
        covered = 0
        for repeat in range(repeats):
            rng = np.random.default_rng(repeat)
            sides = {
                name: [pd.DataFrame({"accuracy": [level + 0.01 * rng.normal()], "params": [1]}) for _ in range(runs)]
                for name, level in (("a", 0.9), ("b", 0.88))
            }
            row = compare(sides, seed=repeat).measures.iloc[0]
            covered += row["low"] <= 0.02 <= row["high"]
        yield Row(f"two searches, each repeated {runs} times", "coverage of the difference in hypervolume", 0.93, 1.0,
                  covered / repeats, repeats)  # fmt: skip


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "noninferiority": noninferiority, "compensation": compensations, "ablation": ablations, "bands": bands,
    "intervals": intervals,
}  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    given = parser.parse_args()
    print("| case | measure | should be | is |\n|---|---|---:|---:|")
    for name in given.only.split(","):
        for row in PARTS[name](given.repeats):
            print(f"| {row.case} | {row.measure} | {row.promised()} | {row.found:.3f} |", flush=True)


if __name__ == "__main__":
    main()
