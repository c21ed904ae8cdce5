import math

import pytest
import torch
from torch.optim import lr_scheduler

from search.training.recipe import Recipe
from search.training.schedules import learning_rate


def test_learning_rate_warms_up_linearly_then_follows_half_a_cosine():
    recipe = Recipe(epochs=4, lr=0.8, warmup=1.0)
    rates = [learning_rate(recipe, step, 3) for step in range(12)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rates[3:] == pytest.approx([0.4 * (1 + math.cos(math.pi * step / 9)) for step in range(9)])


def test_learning_rate_of_a_single_epoch_still_reaches_its_peak():
    recipe = Recipe(epochs=1, lr=1.0, warmup=5.0)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.2


def rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    return [learning_rate(recipe, step, steps_per_epoch) for step in range(recipe.epochs * steps_per_epoch)]


def torchs(make, count: int, peak: float) -> list[float]:
    """The rates of a scheduler of torch, before each of its steps."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    scheduler, found = make(optimizer), []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


AFTER = {
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=35),
    "linear": lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=35, power=1.0),
    "constant": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
    "step": lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones=[13, 31], gamma=0.3),
}


@pytest.mark.parametrize("schedule", AFTER)
def test_learning_rate_after_the_warmup_is_that_of_torchs_scheduler(schedule):
    step = {"milestones": [0.5, 0.9], "gamma": 0.3} if schedule == "step" else {}
    found = rates(Recipe(epochs=9, lr=0.4, warmup=2.0, schedule=schedule, **step), 5)
    assert found[:10] == pytest.approx([0.4 * (step + 1) / 11 for step in range(10)])
    assert found[10:] == pytest.approx(torchs(AFTER[schedule], 35, 0.4), abs=1e-12)


def test_learning_rate_of_one_cycle_is_that_of_torchs_over_all_steps():
    found = rates(Recipe(epochs=9, lr=0.4, warmup=2.7, schedule="one-cycle"), 5)
    whole = torchs(lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.4, epochs=9, steps_per_epoch=5, pct_start=0.3, cycle_momentum=False), 44, 0.4)  # fmt: skip
    assert found[:44] == pytest.approx(whole, abs=1e-12)
    assert max(found) > 0.39
    assert found[-1] == pytest.approx(0.4 / 25e4)


@pytest.mark.parametrize("schedule", [*AFTER, "one-cycle"])
@pytest.mark.parametrize("steps_per_epoch", [1, 2, 7])
@pytest.mark.parametrize(("epochs", "warmup"), [(1, 1.0), (1, 0.3), (2, 5.0), (3, 0.5)])
def test_learning_rate_of_a_short_training_is_positive_and_at_most_the_peak(schedule, steps_per_epoch, epochs, warmup):
    found = rates(Recipe(epochs=epochs, lr=0.2, warmup=warmup, schedule=schedule), steps_per_epoch)
    assert all(0 < rate <= 0.2 + 1e-12 and math.isfinite(rate) for rate in found)
