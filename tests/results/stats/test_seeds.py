import math

import numpy as np
import pandas as pd
import pytest

from results.errors import RecordError
from results.stats.seeds import seed_accuracies, seed_moments


def records():
    return pd.DataFrame({
        "accuracy": [0.9, 0.8, 0.7, math.nan], "accuracy_std": [0.5, 0.02, math.nan, math.nan],
        "seeds": [9, 3, 1, pd.NA], "accuracies": ["[0.5, 0.7, 0.6]", None, pd.NA, "[0.1, null]"],
    })  # fmt: skip


def test_seed_accuracies_are_padded_where_there_are_fewer():
    expected = [[0.5, 0.7, 0.6], [np.nan] * 3, [np.nan] * 3, [0.1, np.nan, np.nan]]
    np.testing.assert_array_equal(seed_accuracies(records()), expected)
    assert seed_accuracies(pd.DataFrame({"accuracy": [0.5, 0.6]})).shape == (2, 0)
    assert seed_accuracies(records().iloc[:0]).shape == (0, 0)


def test_seed_moments_prefer_the_list_to_the_summary():
    found = seed_moments(records())
    np.testing.assert_allclose(found.mean, [0.6, 0.8, 0.7, 0.1])
    np.testing.assert_allclose(found.std, [0.1, 0.02, np.nan, np.nan])
    assert found.count.tolist() == [3, 3, 1, 1]
    variance, freedom = found.pooled_variance()
    assert freedom == 4
    assert variance == pytest.approx((2 * 0.01 + 2 * 0.0004) / 4)


def test_nothing_is_known_of_single_seeds():
    found = seed_moments(pd.DataFrame({"accuracy": [0.5, 0.6], "seeds": [1, 1], "accuracy_std": [0.0, 0.0]}))
    assert np.isnan(found.std).all()
    assert found.pooled_variance()[1] == 0


@pytest.mark.parametrize("text", ["0.5", "[0.5", '["x"]', '{"a": 1}'])
def test_a_text_that_is_no_list_is_refused(text):
    with pytest.raises(RecordError, match="JSON lists of numbers"):
        seed_accuracies(pd.DataFrame({"accuracies": [text]}))
