"""Learning rates over a training, as torch.optim.lr_scheduler has them, with a linear warm-up before them.

A rate is a function of recipe and step alone, so a training that is taken up again needs no scheduler state. Other
schedules than the cosine are recorded once from torch's own scheduler.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch.optim import lr_scheduler

from search.training.recipe import Recipe

__all__ = ["learning_rate"]


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of one step, at factor 1.

    Args:
        recipe: peak rate, schedule, epochs and warm-up.
        step: counted from 0 over the whole training.
        steps_per_epoch: how many steps one epoch has.

    Returns:
        Linear to the peak over the warm-up, then by schedule:
        "cosine": half a cosine that would reach 0 one step after the last (Loshchilov & Hutter, 1608.03983, without
        restarts); "linear": a line that would reach 0 one step after the last; "step": multiplied by gamma at each
        milestone, a fraction of all epochs; "constant": the peak. "one-cycle" (Smith & Topin, 1708.07120) is
        torch's OneCycleLR over all steps, rising by a cosine from a 25th of the peak over the warm-up, then falling by
        a cosine to 4e-6 times the peak; the momentum stays as it is.
    """
    peak = recipe.lr or 0.0
    total = recipe.epochs * steps_per_epoch
    warmup = min(recipe.warmup, recipe.epochs / 2) * steps_per_epoch
    if recipe.schedule == "one-cycle":
        return peak * _one_cycle(total, warmup)[step]
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if recipe.schedule == "cosine":
        progress = (step - warmup) / max(1.0, total - warmup)
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    marks = tuple(math.ceil(mark * total) for mark in recipe.milestones or ())
    return peak * _rest(recipe.schedule, math.ceil(warmup), total, marks, recipe.gamma or 1.0)[step - math.ceil(warmup)]


@lru_cache(maxsize=64)
def _one_cycle(total: int, warmup: float) -> tuple[float, ...]:
    """The rates of all steps at a peak of 1."""
    optimizer = _optimizer()
    total = max(2, total)
    share = min(1.0, max(warmup, 2.0) / total)  # torch divides by the steps of the rise less one
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, pct_start=share, cycle_momentum=False)
    return _recorded(optimizer, scheduler, total)


@lru_cache(maxsize=64)
def _rest(schedule: str, warmup: int, total: int, marks: tuple[int, ...], gamma: float) -> tuple[float, ...]:
    """The rates of all steps after the warm-up, at a peak of 1."""
    optimizer, left = _optimizer(), total - warmup
    scheduler: lr_scheduler.LRScheduler
    if schedule == "linear":
        scheduler = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=max(1, left))
    elif schedule == "step":
        places = [max(0, mark - warmup) for mark in marks]
        scheduler = lr_scheduler.MultiStepLR(optimizer, places, gamma)
    else:
        scheduler = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
    return _recorded(optimizer, scheduler, left)


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def _recorded(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, count: int) -> tuple[float, ...]:
    """The rate before each of `count` steps of the scheduler."""
    rates = []
    for _ in range(count):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        if len(rates) < count:
            optimizer.step()
            scheduler.step()
    return tuple(rates)
