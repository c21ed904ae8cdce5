import moocore
import numpy as np
import pytest

from search.decide.known_cost.expected_improvement import Known, LogNormal, Normal, boxes, expected_improvement

REFERENCE = 1.05


def points(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Unsorted, with ties and a copy."""
    values = np.round(np.random.default_rng(seed).random((count, size)), 1)
    if count > 2:
        values[1], values[2, 0] = values[0], values[0, 0]
    return values


def gains(front: np.ndarray, draws: np.ndarray) -> float:
    """Mean gain in hypervolume of one drawn point more."""
    reference = np.full(draws.shape[1], REFERENCE)
    before = moocore.hypervolume(front, ref=reference) if len(front) else 0.0
    return float(np.mean([moocore.hypervolume(np.vstack([front, draw]), ref=reference) - before for draw in draws]))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 7, 20])
def test_boxes_fill_what_no_point_dominates_without_overlap(size, count):
    front, reference = points(count, size), np.full(size, REFERENCE)
    lower, upper = boxes(front, reference)
    volume = np.prod(upper - np.maximum(lower, 0.0), axis=1).sum()
    dominated = moocore.hypervolume(front, ref=reference) if count else 0.0
    assert volume + dominated == pytest.approx(REFERENCE**size)
    draws = np.random.default_rng(1).random((2_000, size)) * REFERENCE
    inside = ((draws[:, None] > lower) & (draws[:, None] <= upper)).all(axis=2).sum(axis=1)
    free = ~((front[None] <= draws[:, None]).all(axis=2).any(axis=1)) if count else np.ones(len(draws), bool)
    np.testing.assert_array_equal(inside, free)


def test_boxes_leave_out_points_beyond_the_reference():
    lower, upper = boxes(np.array([[0.5, 0.5], [0.1, 2.0], [0.6, 0.6]]), np.array([1.0, 1.0]))
    np.testing.assert_allclose(sorted(upper.tolist()), [[0.5, 1.0], [1.0, 0.5]])
    assert np.isneginf(lower[:, 1]).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_improvement_of_normal_objectives_agrees_with_monte_carlo(size):
    generator = np.random.default_rng(size)
    front, mean, deviation = points(6, size) + 0.4, generator.random((3, size)), 0.3 * generator.random((3, size))
    factors = [Normal(mean[:, k], deviation[:, k]) for k in range(size)]
    found = expected_improvement(factors, front, np.full(size, REFERENCE), count=3)
    for row in range(3):
        draws = mean[row] + deviation[row] * generator.standard_normal((4_000, size))
        assert found[row] == pytest.approx(gains(front, draws), rel=0.08, abs=2e-3)


def test_improvement_with_known_cost_and_log_normal_error_agrees_with_monte_carlo():
    generator = np.random.default_rng(3)
    front, costs = points(8, 3) * 0.5 + 0.4, np.array([[0.2, 0.8], [0.7, 0.1], [0.5, 0.5]])
    mean, deviation, floor = np.log([0.4, 0.6, 0.5]), np.array([0.3, 0.5, 0.1]), -0.1
    factors = [Known(costs[:, 0]), LogNormal(mean, deviation, floor), Known(costs[:, 1])]
    found = expected_improvement(factors, front, np.full(3, REFERENCE), count=3)
    for row in range(3):
        error = floor + np.exp(mean[row] + deviation[row] * generator.standard_normal(4_000))
        draws = np.column_stack([np.full(4_000, costs[row, 0]), error, np.full(4_000, costs[row, 1])])
        assert found[row] == pytest.approx(gains(front, draws), rel=0.05, abs=1e-3)


def test_improvement_with_known_cost_is_the_sum_over_the_fronts_steps():
    front = np.array([[0.6, 0.2], [0.2, 0.7]])  # cost, error
    cost, error = np.array([0.4]), Normal(np.array([0.5]), np.array([0.2]))
    found = expected_improvement([Known(cost), error], front, np.array([1.0, 1.0]), count=1)
    below = error.below(np.array([0.7, 0.2]))[0]  # from cost 0.4 to 0.6 the front is at 0.7, from there at 0.2
    assert found[0] == pytest.approx(0.2 * below[0] + 0.4 * below[1])


def test_improvement_with_nearly_certain_objective_is_that_of_a_known_one():
    front, cost = points(9, 2), np.array([0.1, 0.5, 0.9])
    error = Normal(np.array([0.2, 0.5, 0.1]), np.array([0.1, 0.2, 0.3]))
    known = expected_improvement([error, Known(cost)], front, np.full(2, REFERENCE), count=3)
    nearly = expected_improvement([error, Normal(cost, np.full(3, 1e-9))], front, np.full(2, REFERENCE), count=3)
    np.testing.assert_allclose(nearly, known, rtol=1e-6, atol=1e-9)


def test_improvement_agrees_with_botorch_with_a_nearly_certain_second_objective():
    pytest.importorskip("botorch")
    import torch
    from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
    from botorch.utils.multi_objective.box_decompositions import NondominatedPartitioning
    from botorch.utils.testing import MockModel, MockPosterior

    front, cost = points(9, 2, seed=4) * 0.6 + 0.3, 0.45
    mean, deviation = 0.4, 0.25
    reference = torch.full((2,), -REFERENCE, dtype=torch.float64)
    partition = NondominatedPartitioning(ref_point=reference, Y=torch.as_tensor(-front))
    posterior = MockPosterior(
        mean=torch.tensor([[-mean, -cost]], dtype=torch.float64),
        variance=torch.tensor([[deviation**2, 1e-16]], dtype=torch.float64),
    )
    theirs = ExpectedHypervolumeImprovement(MockModel(posterior), reference.tolist(), partition)
    value = theirs(torch.zeros(1, 1, dtype=torch.float64)).item()
    factors = [Normal(np.array([mean]), np.array([deviation])), Known(np.array([cost]))]
    ours = expected_improvement(factors, front, np.full(2, REFERENCE), count=1)
    assert ours[0] == pytest.approx(value, rel=1e-6)


def test_improvement_never_falls_with_more_uncertainty_nor_rises_with_cost():
    front = points(9, 2, seed=5)
    spread = np.linspace(0.01, 1.0, 8)
    factors = [Normal(np.full(8, 0.5), spread), Known(np.full(8, 0.3))]
    assert (np.diff(expected_improvement(factors, front, np.full(2, REFERENCE), count=8)) >= -1e-12).all()
    factors = [Normal(np.full(8, 0.5), np.full(8, 0.2)), Known(spread)]
    assert (np.diff(expected_improvement(factors, front, np.full(2, REFERENCE), count=8)) <= 1e-12).all()


def test_improvement_is_zero_for_a_cost_beyond_the_reference_and_does_not_depend_on_chunks():
    factors = [Normal(np.full(3_000, 0.2), np.full(3_000, 0.3)), Known(np.linspace(0.0, 2.0, 3_000))]
    found = expected_improvement(factors, points(60, 2), np.full(2, REFERENCE), count=3_000)
    assert (found[factors[1].values > REFERENCE] == 0).all()
    alone = [Normal(np.array([0.2]), np.array([0.3])), Known(factors[1].values[700:701])]
    assert found[700] == pytest.approx(expected_improvement(alone, points(60, 2), np.full(2, REFERENCE), count=1)[0])
