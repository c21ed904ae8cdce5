"""Evaluators that say how many CPUs they were given, and functions that say how many a trial needs."""

import itertools

import ray
import torch

CALLS = itertools.count()


def evaluate(config, report):
    given = ray.get_runtime_context().get_assigned_resources()
    return {"loss": 1 / config["width"], "cpus": given["CPU"], "threads": torch.get_num_threads()}


def in_rays_words(config):
    return {"CPU": config["width"], "GPU": 1}


def raising(config):
    return {"cpus": config["heads"]}


def nothing(config):
    return None


def differing(config):
    return {"cpus": 1 + next(CALLS) % 2}
