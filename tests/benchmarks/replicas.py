"""What four seeds cost over one, side by side in one run: python tests/benchmarks/replicas.py [threads ...]

For each network a training step of one seed, of four seeds fused, of four seeds with the whole network under
torch.func.vmap, and of four seeds one after another; then whole trainings, the choice of the way and the measuring of
the accuracy included. The steps of all ways take turns, and the fastest of each counts, so a busy machine changes the
ratios little. With one thread the clock is the processor's, with more the wall's.
"""

import sys
import time
from unittest.mock import patch

import torch

from search.training import folding
from search.training.data import Data, Part, load
from search.training.recipe import Recipe
from search.training.replicas import Replicas
from search.training.train import Lockstep, Resident
from spaces import Candidate

SEEDS = (0, 1, 2, 3)
ROUNDS = 12
WIDTHS = (4, 6, 8, 16)


def grey(size: int, count: int) -> Data:
    """Random grey images of ten classes: a step's time does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, size, size), generator=generator, dtype=torch.uint8)
    part = Part(images, torch.arange(count) % 10)
    return Data("grey", 10, (1, size, size), (0.5,), (0.3,), part, part, part, augmentation="none")


def steps(candidate: Candidate, data: Data, batch: int, clock) -> dict[str, float]:
    """Seconds a step, the fastest of each way."""
    resident, recipe = Resident.on(torch.device("cpu"), data), Recipe(batch_size=batch)
    ways = {
        "one": Lockstep(candidate, resident, recipe, seeds=SEEDS[:1]),
        "fused": Lockstep(candidate, resident, recipe, seeds=SEEDS),
    }
    with patch("search.training.train.fold", lambda networks: folding._Vmapped(networks, {})):
        ways["vmap"] = Lockstep(candidate, resident, recipe, seeds=SEEDS)
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(ROUNDS):
        for name, way in ways.items():
            rows = torch.arange(batch)[:, None].expand(-1, way.count)
            started = clock()
            way.step(rows, 0)
            if turn > 1:
                best[name] = min(best[name], clock() - started)
    return best


def trainings(candidate: Candidate, data: Data, clock) -> str:
    """Four seeds over one, each a whole training."""
    recipe = Recipe(epochs=6, batch_size=32, lr=0.05)
    seconds, how = [], ""
    for seeds in (SEEDS[:1], SEEDS):
        started = clock()
        replicas = Replicas(candidate, data, recipe, seeds=seeds)
        for _ in replicas:
            pass
        seconds.append(clock() - started)
        how = replicas.how
    return f"{seconds[1] / seconds[0]:.2f} ({how})"


def main() -> None:
    """Print a table for each number of threads."""
    digits = load("digits")
    for threads in map(int, sys.argv[1:] or ("1", "2")):
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        print(f"\n{threads} thread(s), four seeds over one: a step fused, vmapped, one after another; digits trainings")
        for data, batch, label in ((digits, 32, "8x8, batch 32"), (grey(28, 512), 128, "28x28, batch 128")):
            for activation in ("relu", "leni"):
                for width in WIDTHS:
                    candidate = Candidate("resnet8", (width, 2 * width, 4 * width), activation)
                    best = steps(candidate, data, batch, clock)
                    line = f"{label}, {activation}, width {width:2}: one {best['one'] * 1e3:6.2f} ms; "
                    line += f"{best['fused'] / best['one']:.2f}, {best['vmap'] / best['one']:.2f}, {len(SEEDS):.2f}"
                    print(line + (f"; {trainings(candidate, data, clock)}" if data is digits else ""), flush=True)


if __name__ == "__main__":
    main()
