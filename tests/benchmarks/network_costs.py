"""Whether costs that are counted without building equal those of the built networks, and how long they take.

    python tests/benchmarks/network_costs.py torchvision:resnet18 timm:mobilenetv3_small_100 ...

For each network: random widths, activations and placements, each counted by `spaces.cost`, then built and counted by
torch's own counter. One JSON line a network: candidates that can be built, those whose parameters and multiply-adds are
equal, seconds of the trace, and microseconds of a cost after it.
"""

from __future__ import annotations

import json
import random
import sys
import time

import torch

from leni.errors import CandidateError, LeniSearchError
from spaces import Candidate, backbone, build, cost
from spaces.macs_counter import MacsCounter

ACTIVATIONS = (
    ("own", ()), ("leni", ()), ("prelu", ()), ("frelu", ()), ("leni", (("compression", "none"),)),
)  # fmt: skip
PLACEMENTS = ("all", "every:2", "first")
CLASSES, WIDTHS = 10, 2


def survey(name: str, side: int, generator: random.Random) -> dict[str, object]:
    """What one network gives."""
    started = time.perf_counter()
    row = backbone(name)
    shape = (3, side, side)
    cost(Candidate(row.name, row.full_widths, "own"), input_shape=shape, classes=CLASSES)
    found: dict[str, object] = {"network": name, "groups": len(row.full_widths), "sites": len(row.sites)}
    found["trace_s"] = round(time.perf_counter() - started, 2)
    equal = total = infeasible = 0
    seconds: list[float] = []
    for _ in range(WIDTHS):
        pairs = list(zip(row.full_widths, row.units, strict=True))
        widths = tuple(unit * generator.randint(max(1, full // unit // 8), full // unit) for full, unit in pairs)
        for activation, options in ACTIVATIONS if row.sites else ACTIVATIONS[:1]:
            for placement in PLACEMENTS if activation != "own" else ("all",):
                candidate = Candidate(row.name, widths, activation, placement, options)
                try:
                    known = cost(candidate, input_shape=shape, classes=CLASSES)
                except CandidateError:
                    infeasible += 1
                    continue
                again = time.perf_counter()
                cost(candidate, input_shape=shape, classes=CLASSES)
                seconds.append(time.perf_counter() - again)
                total += 1
                equal += counted(candidate, shape) == (known.params, known.macs)
    seconds.sort()
    microseconds = round(1e6 * seconds[len(seconds) // 2]) if seconds else None
    return {**found, "equal": equal, "built": total, "infeasible": infeasible, "cost_us": microseconds}


def counted(candidate: Candidate, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Parameters and multiply-adds of the built network."""
    network = build(candidate, in_channels=shape[0], classes=CLASSES).eval().to("meta")
    counter = MacsCounter()
    with torch.no_grad(), counter, torch.device("meta"):
        network(torch.empty(1, *shape))
    return sum(parameter.numel() for parameter in network.parameters()), counter.macs


def main() -> None:
    """Survey the networks that are named, at 64 pixels, or at as many as follow an @: NAME@224."""
    for argument in sys.argv[1:]:
        name, _, side = argument.partition("@")
        try:
            line = survey(name, int(side or 64), random.Random(name))
        except LeniSearchError as error:
            line = {"network": name, "error": str(error)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
