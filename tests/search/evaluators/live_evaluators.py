"""Evaluators that report while they run, for tests; each leaves a file in the command's folder when it returns."""

import json
import math
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

import search


def trace(config, text):
    """Add a line to the trial's file."""
    with Path(f"x{config['x']}.txt").open("a") as stream:
        stream.write(f"{text}\n")


def looking(config, report):
    """Looks at what report returns."""
    for epoch in range(1, config["epochs"] + 1):
        time.sleep(0.02)
        if report({"score": config["x"] * epoch, "loss": -config["x"]}):
            trace(config, "told")
            return None
    trace(config, "returned")
    return {"score": config["x"] * config["epochs"], "size": 2.0}


def dropping(config, report):
    """Does not look, and is unwound."""
    try:
        for epoch in range(1, config["epochs"] + 1):
            time.sleep(0.02)
            report({"score": config["x"] * epoch})
        trace(config, "returned")
    finally:
        trace(config, "unwound")
    return {"score": config["x"] * config["epochs"], "size": 2.0}


def yielding(config, report):
    """A generator, whose last values are its result."""
    for epoch in range(1, config["epochs"] + 1):
        time.sleep(0.02)
        yield {"score": config["x"] * epoch, "size": 2.0}
    trace(config, "returned")


def hanging(config, report):
    """Does not end where it is told to."""
    for epoch in range(1, config["epochs"] + 1):
        time.sleep(0.02)
        if report({"score": config["x"] * epoch}):
            while True:
                time.sleep(0.02)
    trace(config, "returned")
    return {"score": config["x"] * config["epochs"], "size": 2.0}


def _walk(config, report, value, first, kept):
    """Ten steps of a sum of random numbers, whose generator is part of the state."""
    generator = np.random.default_rng(config["seed"] + config["x"])
    if kept is not None:
        generator.bit_generator.state = kept
    for step in range(first, 11):
        time.sleep(0.1)
        value += float(generator.normal())
        yield step, value, generator.bit_generator.state


def keeping_state(config, report):
    """Goes on from a mapping."""
    state = search.get_checkpoint() or {"value": 0.0, "first": 1, "kept": None}
    trace(config, f"from {state['first']}")
    for step, value, kept in _walk(config, report, **state):
        checkpoint = {"value": value, "first": step + 1, "kept": kept}
        report({"score": value, "size": 1.0}, checkpoint=checkpoint)


def keeping_folder(config, report):
    """Goes on from a folder, which is gone when report returns."""
    folder = search.get_checkpoint()
    state = {"value": 0.0, "first": 1, "kept": None}
    if folder is not None:
        state = json.loads(Path(folder, "deep", "state.json").read_text())
    trace(config, f"from {state['first']}")
    for step, value, kept in _walk(config, report, **state):
        with tempfile.TemporaryDirectory() as place:
            Path(place, "deep").mkdir()
            Path(place, "deep", "state.json").write_text(json.dumps({"value": value, "first": step + 1, "kept": kept}))
            report({"score": value, "size": 1.0}, checkpoint=place)


def keeping_nothing(config, report):
    """Starts again."""
    trace(config, "from 1")
    for _, value, _ in _walk(config, report, 0.0, 1, None):
        report({"score": value, "size": 1.0})


class OfItsOwn(BaseException):
    """No `Exception`."""


def misbehaving(config, report):
    """Does what it should not, by the kind, and says where it stands when it begins."""
    kind = config["kind"]
    trace({"x": kind}, f"{Path.cwd()} {os.environ.get('LEFT_BEHIND')} {len(threading.enumerate())}")
    print(f"kind {kind}")  # noqa: T201
    metrics = {"score": 1.0, "size": 2.0}
    if kind == "base":
        raise OfItsOwn("of its own")
    if kind == "exit":
        os.write(1, b"token=abc the last words\n")
        os._exit(3)
    if kind == "folder":
        os.chdir("/")
        os.environ["LEFT_BEHIND"] = "something"
    if kind == "output":
        for _ in range(1000):
            os.write(1, b"x" * 99_999 + b"\n")
    if kind == "thread":
        threading.Thread(target=time.sleep, args=(10**6,)).start()
    if kind == "values":
        metrics = {
            "score": torch.tensor(1.0, requires_grad=True),
            "size": np.float32(2),
            "note": "text",
            "bad": math.nan,
        }
        metrics |= {"nested": {"deep": [1, {"er": "yes"}]}, "model": object()}
    if kind == "elsewhere":
        other = threading.Thread(target=report, args=(metrics,))
        other.start()
        other.join()
        return None
    report(metrics)
    return metrics


def _learning(config):
    """Losses by epoch, in closed form."""
    rate = 0.1 + 0.1 * config["y"]
    return [config["x"] + 5 * (1 - rate) ** epoch for epoch in range(1, config["epochs"] + 1)]


def at_once(config, report):
    """Learns without taking time."""
    for loss in _learning(config):
        report({"loss": loss})
    return {"loss": loss, "size": 1.0 + config["y"]}


def at_leisure(config, report):
    """The same in time enough to be stopped in."""
    for loss in _learning(config):
        time.sleep(0.1)
        report({"loss": loss})
    trace(config, "returned")
    return {"loss": loss, "size": 1.0 + config["y"]}
