"""Cost functions for tests: right ones, and each mistake."""

import itertools
import os

import numpy as np
import torch

import search

CALLS = itertools.count()


def evaluate(config, report):
    """A loss that falls with the size, and the size as `counted` has it, but for one width."""
    wrong = config["width"] == 5
    return {"loss": 1 / (config["width"] * config["depth"]), "cells": config["width"] ** 2 + wrong, "size": 1}


def counted(config):
    """Odd depths cannot be."""
    if config["depth"] % 2:
        raise search.Impossible("odd")
    return {"cells": np.int64(config["width"] ** 2), "energy": torch.tensor(0.5) * config["depth"]}


def even_or_none(config):
    return None if config["depth"] % 2 else {"cells": config["width"]}


def never(config):
    return None


def raising(config):
    os.chdir("/")
    return {"cells": 1 / (config["width"] - config["width"])}


def leaving(config):
    raise SystemExit(3)


def a_text(config):
    return {"cells": "many"}


def a_nan(config):
    return {"cells": float("nan")}


def a_tensor(config):
    return {"cells": torch.ones(2)}


def a_number(config):
    return 3


def other_names(config):
    return {"cells" if config["depth"] < 3 else "rooms": 1}


def no_name(config):
    return {3: 1}


def differing(config):
    return {"cells": next(CALLS)}


def networks(config):
    return {"energy": sum(config["widths"])}
