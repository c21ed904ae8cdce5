"""Trainables of Ray Tune and objectives of Optuna, as their documentations write them."""

import json
import os
import tempfile
import time
from pathlib import Path

import optuna
from ray import tune


def tune_function(config):
    """Reports a curve, as Tune's function API has it; returns nothing."""
    for step in range(8):
        tune.report({"score": config["a"] * (1 - 0.5 ** (step + 1)) - config["b"], "size": config["b"]})


def tune_checkpoints(config):
    """Goes on from its last checkpoint, and ends its process once, in the middle."""
    start, total = 0, 0.0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            start, total = json.loads(Path(folder, "state.json").read_text())
    for step in range(start, 6):
        total += config["a"] * (step + 1)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "state.json").write_text(json.dumps([step + 1, total]))
            tune.report({"score": total, "started": start}, checkpoint=tune.Checkpoint.from_directory(folder))
        mark = Path(config["marks"], str(config["a"]))
        if step == 3 and not mark.exists():
            mark.write_text("died")
            os._exit(1)


class Stepper(tune.Trainable):
    """As Tune's class API has it."""

    def setup(self, config):
        self.value, self.rate = 0.0, config["a"]

    def step(self):
        self.value += self.rate
        return {"score": self.value, "done": self.value >= 9.0}

    def save_checkpoint(self, checkpoint_dir):
        return {"value": self.value}

    def load_checkpoint(self, checkpoint):
        self.value = checkpoint["value"]


def objective(trial):
    """A conditional space and one value, as Optuna's documentation has it."""
    x = trial.suggest_float("x", -10, 10)
    if trial.suggest_categorical("kind", ["linear", "square"]) == "linear":
        return abs(x - 2) * trial.suggest_int("factor", 1, 4)
    return (x - 2) ** 2


def two_objectives(trial: optuna.Trial):
    """Optuna's multi-objective example; it reports both while it runs, which Optuna itself cannot judge."""
    x, y = trial.suggest_float("x", 0, 5), trial.suggest_float("y", 0, 3)
    trial.set_user_attr("sum", x + y)
    for step in range(6):
        trial.report((4 * x**2 + 4 * y**2 + 6 - step, (x - 5) ** 2 + (y - 5) ** 2), step + 1)
        time.sleep(0.1)
        if trial.should_prune():
            raise optuna.TrialPruned
    return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2


def prunes_itself(trial):
    """Raises TrialPruned where its own value says so."""
    if trial.suggest_int("n", 0, 9) % 2:
        raise optuna.TrialPruned
    return trial.params["n"]
