"""Power against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from results.stats.power import moderated_power, pairs_needed, pairs_needed_moderated, power
from results.stats.sign_flips import smallest_p


@pytest.mark.parametrize("n", [3, 6, 20])
@pytest.mark.parametrize("effect", [0.3, 1.0, 1.5])
def test_power_equals_the_t_tests(n, effect):
    expected = TTestPower().power(effect, n, 0.05) if smallest_p(n) <= 0.05 else 0.0
    assert power(n, effect) == pytest.approx(expected, abs=2e-3)


def test_pairs_needed_is_the_least_number_with_enough_power():
    for effect in (0.4, 0.8, 3.0):
        values = np.array([-1.0, 0.0, 1.0]) + effect  # mean `effect`, deviation 1
        needed = pairs_needed(values)
        assert power(needed, effect) >= 0.8 > power(needed - 1, effect)
    assert pairs_needed([0.0, 0.0, 0.0]) is None
    assert pairs_needed([1e-9, -1.0, 1.0]) is None
    assert pairs_needed([0.01, 0.01, 0.01]) == 6  # 2 / 2^6 is the first below 0.05


@pytest.mark.parametrize("n", [3, 9, 40])
def test_moderated_power_without_a_prior_is_the_t_tests(n):
    for effect in (0.2, 0.8, 2.0):
        expected = TTestPower().power(effect, n, 0.01, alternative="larger")
        assert moderated_power(effect * np.sqrt(n), n - 1, alpha=0.01) == pytest.approx(expected, abs=1e-6)
    assert moderated_power(80.0, 6.0, alpha=0.001) == pytest.approx(1.0)


def test_pairs_needed_moderated_is_the_least_number_with_enough_power():
    for effect, prior, alpha in ((0.003, 0.0, 0.05), (0.0055, 4.0, 0.0006), (0.0008, 4.0, 0.01)):
        needed = pairs_needed_moderated(effect, 2e-6, prior_freedom=prior, alpha=alpha)
        reached = [
            moderated_power(effect / np.sqrt(2e-6 / n), n - 1 + prior, alpha=alpha) for n in (needed - 1, needed)
        ]
        assert reached[0] < 0.8 <= reached[1]
    assert pairs_needed_moderated(-0.001, 2e-6, prior_freedom=0, alpha=0.05) is None
    assert pairs_needed_moderated(1e-9, 2e-6, prior_freedom=0, alpha=0.05) is None
