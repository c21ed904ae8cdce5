"""Syne Tune's local backend over a list of candidates, as its documentation writes it. Run as a script: one trial."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from leni.errors import SpecError
from spaces import Candidate

__all__ = ["syne_tune"]


def syne_tune(candidates: Sequence[Candidate], seeds: tuple[int, ...], workers: int, *, folder: Path) -> float:
    """Train every candidate once, one process per trial.

    Args:
        candidates: what to train.
        seeds: of each.
        workers: processes at once.
        folder: an empty one for its files.

    Returns:
        Seconds from the first training's beginning to the last one's end. A process starts up for each trial, which
        counts but for the first.

    Raises:
        SpecError: where Syne Tune is not installed.
    """
    try:
        from syne_tune import StoppingCriterion, Tuner
        from syne_tune.backend import LocalBackend
        from syne_tune.config_space import choice
        from syne_tune.optimizer.baselines import RandomSearch
    except ImportError:
        raise SpecError("the way syne-tune needs Syne Tune: pip install syne-tune", code="LS-PACKAGE-MISSING") from None
    configs = [{"index": index} for index in range(len(candidates))]
    listed = folder / "candidates.json"
    listed.write_text(json.dumps({"candidates": [each.to_dict() for each in candidates], "seeds": seeds}))
    setting = {"SYNETUNE_FOLDER": str(folder), "LENI_SEARCH_BENCH": str(listed), "OMP_NUM_THREADS": "1"}
    with patch.dict(os.environ, setting):
        tuner = Tuner(
            trial_backend=LocalBackend(__file__),
            scheduler=RandomSearch(
                {"index": choice(list(range(len(candidates))))}, ["accuracy"], do_minimize=False,
                points_to_evaluate=configs,
            ),
            stop_criterion=StoppingCriterion(max_num_trials_started=len(candidates)), n_workers=workers,
            print_update_interval=1e9, results_update_interval=1e9, sleep_time=0.1, save_tuner=False,
            wait_trial_completion_when_stopping=True,
        )  # fmt: skip
        tuner.run()
    spans = [json.loads(path.read_text()) for path in folder.glob("span-*.json")]
    if len(spans) != len(candidates):
        raise RuntimeError(f"Syne Tune trained {len(spans)} of {len(candidates)} candidates; its logs: {folder}")
    return max(ended for _, ended in spans) - min(began for began, _ in spans)


def _trial(index: int) -> None:
    import torch
    from syne_tune import Reporter

    from search.bench.engine import train
    from search.training.data import load

    torch.set_num_threads(1)
    listed = Path(os.environ["LENI_SEARCH_BENCH"])
    given = json.loads(listed.read_text())
    data = load("digits")
    began = time.time()
    accuracy = train(data, Candidate.from_dict(given["candidates"][index]), tuple(given["seeds"]))
    listed.with_name(f"span-{index}.json").write_text(json.dumps([began, time.time()]))
    Reporter()(accuracy=accuracy)


if __name__ == "__main__":
    _trial(int(sys.argv[sys.argv.index("--index") + 1]))
