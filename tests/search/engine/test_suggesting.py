import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.engine.asker import Asker
from spaces import Configuration, space

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(suggest):
    """A conditional space and two values: `suggest(name, distribution)` is all that it needs of its library."""
    kind = suggest("kind", CategoricalDistribution(("deep", "wide")))
    rate = suggest("rate", FloatDistribution(1e-4, 1.0, log=True))
    size = (
        suggest("depth", IntDistribution(1, 9)) if kind == "deep" else suggest("width", IntDistribution(4, 64, step=4))
    )
    return rate * size, (size - 5) ** 2


def ours(sampler, trials):
    asker = Asker(
        space("define-by-run"), sampler, directions=["minimize"] * 2, seed=0, check=lambda _: None, duplicates="allow"
    )
    found = []
    for _ in range(trials):
        asked = asker.ask()

        def suggest(name, distribution):
            nonlocal asked
            value, asked = asker.suggesting.suggest(asked, name, distribution)
            return value

        values = objective(suggest)
        asker.tell(asked, "completed", values)
        found.append((asked.parameters, values))
    return found


def optunas(sampler, trials):
    def whole(trial):
        ways = {FloatDistribution: trial.suggest_float, IntDistribution: trial.suggest_int}

        def suggest(name, made):
            if isinstance(made, CategoricalDistribution):
                return trial.suggest_categorical(name, made.choices)
            return ways[type(made)](name, made.low, made.high, step=made.step, log=made.log)

        return objective(suggest)

    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(whole, n_trials=trials)
    return [(trial.params, tuple(trial.values)) for trial in study.trials]


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_suggesting_gives_what_optuna_itself_gives(sampler):
    assert ours(sampler(seed=3), 25) == optunas(sampler(seed=3), 25)


def test_suggesting_makes_the_candidate_as_it_goes():
    asker = Asker(
        space("define-by-run"), optuna.samplers.RandomSampler(seed=0), directions=["minimize"], seed=0,
        check=lambda _: None, duplicates="allow",
    )  # fmt: skip
    first = asker.ask()
    assert first.candidate == Configuration(())
    one, second = asker.suggesting.suggest(first, "n", IntDistribution(2, 7))
    two, third = asker.suggesting.suggest(second, "kind", CategoricalDistribution((None, "x")))
    assert third.parameters == {"n": one, "kind": two}
    assert third.candidate == Configuration((("n", one), ("kind", str(two))))
    with pytest.raises(ValueError, match="different distribution kind"):
        asker.suggesting.suggest(third, "n", FloatDistribution(0.0, 1.0))
    asker.tell(third, "completed", [1.0])
    again = asker.ask()
    assert again.candidate == Configuration(())
    assert again.trial != first.trial
