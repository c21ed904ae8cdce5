import math

import numpy as np
import pytest

from results.errors import ResultsError
from results.stats.sampled import sampled_interval


def test_sampled_interval_covers_the_accuracy_on_all_images():
    rng = np.random.default_rng(0)
    truth, images, covered, seeds_alone = 0.93, 400, 0, 0
    for _ in range(1500):
        level = rng.binomial(images, truth) / images  # this sample of images, whatever the seed
        values = level + 0.003 * rng.standard_normal(4)
        found = sampled_interval(values, step=1 / images)
        covered += found.low <= truth <= found.high
        alone = sampled_interval(values, step=0.0)
        seeds_alone += alone.low <= truth <= alone.high
    assert 0.93 <= covered / 1500 <= 0.97
    assert seeds_alone / 1500 < 0.5


def test_sampled_interval_of_equal_accuracies_is_the_binomial_one():
    found = sampled_interval([0.9, 0.9, 0.9], step=1 / 250)
    half = 1.959964 * math.sqrt(0.9 * 0.1 / 250)
    assert (found.low, found.high) == pytest.approx((0.9 - half, 0.9 + half))
    assert found.seeds_error == 0.0


def test_sampled_interval_of_one_seed_is_refused():
    with pytest.raises(ResultsError, match="two accuracies or more"):
        sampled_interval([0.9], step=0.01)
