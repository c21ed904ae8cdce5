import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import spearmanr

from search.decide.known_cost.estimates import Estimate

SPACE = {"a": FloatDistribution(0.0, 1.0), "kind": CategoricalDistribution(["p", "q", "r"])}
WORTH = {"p": 0.0, "q": 0.4, "r": -0.5}


def candidates(count, seed):
    generator = np.random.default_rng(seed)
    return [
        {"a": float(a), "kind": str(k)}
        for a, k in zip(generator.random(count), generator.choice(list("pqr"), count), strict=True)
    ]


def truth(found):
    return np.array([np.sin(3 * one["a"]) + WORTH[one["kind"]] for one in found])


def test_estimate_ranks_candidates_that_it_has_not_seen():
    seen, new = candidates(60, 0), candidates(200, 1)
    estimate = Estimate(SPACE, lambda: (seen, truth(seen)))
    assert spearmanr(estimate(new), truth(new)).statistic > 0.97


def test_a_few_broken_candidates_do_not_hide_what_tells_the_others_apart():
    seen, new = candidates(60, 0), candidates(200, 1)
    values = truth(seen)
    values[[3, 17, 40]] = -1e6
    assert spearmanr(Estimate(SPACE, lambda: (seen, values))(new), truth(new)).statistic > 0.85


def test_values_without_rhyme_or_reason_give_no_estimate():
    seen = candidates(60, 0)
    silent = 0
    for seed in range(10):
        noise = np.random.default_rng(seed).standard_normal(60)
        silent += np.isnan(Estimate(SPACE, lambda noise=noise: (seen, noise))(seen)).all()
    assert silent >= 8
    assert np.isnan(Estimate(SPACE, lambda: (seen, np.ones(60)))(seen)).all()
    assert np.isnan(Estimate(SPACE, lambda: (seen[:4], truth(seen[:4])))(seen)).all()


def test_missing_values_and_parameters_of_other_spaces_play_no_part():
    seen, new = candidates(60, 0), candidates(50, 1)
    values = np.append(truth(seen), np.nan)
    estimate = Estimate(SPACE, lambda: ([*seen, {"a": 0.5, "kind": "p"}], values))
    found = estimate([{**one, "further": 7} for one in new])
    np.testing.assert_allclose(found, Estimate(SPACE, lambda: (seen, truth(seen)))(new))
