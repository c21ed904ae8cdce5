"""Evaluators for tests, in a module that Ray's workers can import."""

import argparse
import math
import os
import time


def by_width(config, report):
    """More channels are better, up to a point; at once."""
    accuracy = 1 - 1 / (1 + sum(config["widths"]))
    for epoch in range(config["epochs"]):
        report(accuracy * (epoch + 1) / config["epochs"])
    return {"accuracy": accuracy}


def slow(config, report):
    """Half a second a trial."""
    time.sleep(0.5)
    return by_width(config, report)


def busy_for_a_second(config, report):
    """One second of one core."""
    end = time.process_time() + 1.0
    while time.process_time() < end:
        pass
    return {"accuracy": 0.5}


def failing(config, report):
    """Each activation fails in its own way; ReLU does not."""
    if config["activation"] == "leni":
        raise RuntimeError("no such\nluck")
    if config["activation"] == "prelu":
        return {"accuracy": float("nan")}
    if config["activation"] == "gelu":
        os._exit(1)
    return by_width(config, report)


def zdt1(config, report):
    """Two objectives of Zitzler, Deb, Thiele (2000); the front is f2 = 1 - sqrt(f1)."""
    values = [config[name] for name in sorted(config) if name.startswith("x")]
    g = 1 + 9 * sum(values[1:]) / (len(values) - 1)
    return {"f1": values[0], "f2": g * (1 - (values[0] / g) ** 0.5)}


def nothing(config, report):
    """At once."""
    return {"accuracy": 0.5}


def zdt2(config, report):
    """As ZDT1, with a front that is not convex: f2 = 1 - f1^2."""
    values = [config[name] for name in sorted(config) if name.startswith("x")]
    g = 1 + 9 * sum(values[1:]) / (len(values) - 1)
    return {"f1": values[0], "f2": g * (1 - (values[0] / g) ** 2)}


def dtlz2(config, report):
    """Deb, Thiele, Laumanns, Zitzler (2002), two objectives; the front is f1^2 + f2^2 = 1."""
    values = [config[name] for name in sorted(config) if name.startswith("x")]
    g = sum((value - 0.5) ** 2 for value in values[1:])
    angle = values[0] * math.pi / 2
    return {"f1": (1 + g) * math.cos(angle), "f2": (1 + g) * math.sin(angle)}


def mixed(config, report):
    """A categorical, a whole and a float parameter, and one that only two of the kinds have; more is measured."""
    offset = {"a": 0.0, "b": 0.3, "c": 0.1}[config["kind"]] + config.get("extra", 0.0)
    first = config["x0"] / config["count"]
    second = 1 - math.sqrt(first) + 0.05 * config["count"] + offset / 2
    return {"f1": first + offset, "f2": second, "work": 2 * second}


def any_names(config, report):
    """Metrics whose names are ours, and of every type; it reports an epoch at a time."""
    x = config["x"]
    for epoch in range(3):
        report(x * epoch / 3)
    return {
        "error": x, "size": 2.0 - x, "state": "fine", "number": 3, "seeds": [1, 2], "epochs": 2.5, "wall_s": 1,
        "params": 1.5, "accuracy": 93.1, "grad_norm": float("nan"), "model": object(), "note": "caf\udce9",
    }  # fmt: skip


def leaving(config, report):
    """Ends in each way that a function may end in, by the kind."""
    if config["kind"] == "parser":
        argparse.ArgumentParser().parse_args(["--no-such-flag"])
    if config["kind"] == "interrupt":
        raise KeyboardInterrupt
    if config["kind"] == "base":
        raise BaseException("of its own")
    if config["kind"] == "surrogate":
        raise ValueError("cannot open " + os.fsdecode(b"/data/caf\xe9.csv") + "\x1b[31m")
    return {"error": 1.0, "size": float(len(os.listdir(".")))}  # noqa: PTH208


def beside_the_command(config, report):
    """Reads a file beside the command, and leaves folder and environment changed."""
    rate = float(open("rates.csv").read())  # noqa: PTH123, SIM115
    os.chdir("/")
    seen, os.environ["LEFT_BEHIND"] = os.environ.get("LEFT_BEHIND", ""), "something"
    return {"error": rate, "size": len(seen)}


def endless(config, report):
    """Never returns where x is large; the rest is at once."""
    while config["x"] > 0.5:
        time.sleep(10**6)
    return {"error": config["x"], "size": 1.0}


def smooth(config, report):
    """A closed form of two objectives, which a table can hold."""
    x, y = config["x"], config["y"]
    return {"loss": (x - 2.5) ** 2 + 0.3 * (y - 1) ** 2 + 0.01 * ((7 * x + 3 * y) % 5), "size": 3.0 + x + 2.0 * y * y}


def wide(config, report):
    """An accuracy of a network's widths and rate, which a table can hold."""
    return {"accuracy": 1 - 2.0 / sum(config["widths"]) - 0.02 * abs(config["lr_factor"] - 1.0)}
