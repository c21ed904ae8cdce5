import numpy as np
from optuna.distributions import FloatDistribution

from search.decide.known_cost.encoding import Encoder
from search.decide.known_cost.hints import Hint, Hints
from search.decide.known_cost.models import helpful
from search.decide.known_cost.surrogate import GaussianProcess

SPACE = {"a": FloatDistribution(0.0, 1.0), "b": FloatDistribution(0.0, 1.0)}


def case(count, seed):
    """Columns with two hints, the second of which tells what the parameters do not, and values."""
    generator = np.random.default_rng(seed)
    told, noise = generator.standard_normal((2, count))
    trials = [{"a": float(a), "b": float(b), "row": row} for row, (a, b) in enumerate(generator.random((count, 2)))]
    hints = [Hint("noise", 0, lambda them: np.array([noise[one["row"]] for one in them])),
             Hint("told", 0, lambda them: np.array([told[one["row"]] for one in them]))]  # fmt: skip
    encoder = Encoder(SPACE, Hints(hints, trials))
    values = np.array([np.sin(3 * one["a"]) for one in trials]) + 0.7 * told + 0.3 * generator.standard_normal(count)
    return encoder, encoder.encode(trials), (values - values.mean()) / values.std()


def test_hints_are_kept_where_they_help_and_dropped_where_they_do_not():
    kept = []
    for seed in range(10):
        encoder, columns, values = case(30, seed)
        process = GaussianProcess(encoder.components, parameters=2)
        kept.append(helpful(process, [0, 1], columns, values, np.zeros(30)))
        assert process.linear == kept[-1]
    assert all(1 in chosen for chosen in kept)
    assert sum(0 in chosen for chosen in kept) <= 4


def test_a_process_without_hints_is_linear_in_none():
    encoder, columns, values = case(30, 0)
    process = GaussianProcess(encoder.components, parameters=2)
    process.linear = (1,)
    assert helpful(process, [], columns, values, np.zeros(30)) == process.linear == ()


def test_before_results_can_tell_every_hint_counts():
    encoder, columns, values = case(30, 0)
    process = GaussianProcess(encoder.components, parameters=2)
    assert helpful(process, [0, 1], columns[:5], values[:5], np.zeros(5)) == (0, 1)
