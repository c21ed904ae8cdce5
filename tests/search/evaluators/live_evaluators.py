"""Evaluators that report while they run, for tests; each leaves a file in the command's folder when it returns."""

import time
from pathlib import Path


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
