import numpy as np

from results.stats.stopped_trials import sample_with_stopped


def drawn(seed, spread):
    """A line, whose lower values are likelier to be stopped."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, 60)
    y = 1.0 + 2.0 * x + spread * rng.normal(size=60)
    stopped = y - 2.0 * x + 0.05 * rng.normal(size=60) < 1.0
    design = np.column_stack([np.ones(60), x])
    return design, y, stopped


def test_what_was_stopped_no_longer_flatters_the_fit():
    plain, found = [], []
    for seed in range(3):
        design, y, stopped = drawn(seed, 0.3)
        seen = np.where(stopped, np.nan, y)
        plain.append(np.linalg.lstsq(design[~stopped], y[~stopped], rcond=None)[0] @ [1.0, 0.5])
        sampled = sample_with_stopped([design], [design], [seen], draws=500, rng=np.random.default_rng(seed))[0]
        found.append(float((sampled.coefficients @ [1.0, 0.5]).mean()))
    assert np.mean(plain) > 2.15  # the truth is 2
    assert abs(np.mean(found) - 2.0) < 0.1


def test_without_stopped_trials_it_is_least_squares():
    design, y, _ = drawn(9, 0.2)
    sampled = sample_with_stopped([design], [design], [y], draws=2_500, rng=np.random.default_rng(0))[0]
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(sampled.coefficients.mean(axis=0), expected, atol=0.01)
    np.testing.assert_allclose(sampled.values, y)
    covariance = 0.2**2 * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(np.cov(sampled.coefficients.T), covariance, rtol=0.5)
