"""Power against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from results.stats.power import pairs_needed, power
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
