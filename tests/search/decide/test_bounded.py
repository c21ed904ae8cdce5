import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from search.decide.bounded import BoundedSampler

SPACE = {"x": FloatDistribution(0.0, 1.0), "k": CategoricalDistribution(["a", "b"])}


class Watching(RandomSampler):
    """Remembers what it was shown."""

    def __init__(self):
        super().__init__(seed=0)
        self.shown = []

    def infer_relative_search_space(self, study, trial):
        self.shown.append(study._get_trials(deepcopy=False, use_cache=True))
        return super().infer_relative_search_space(study, trial)


def study_of(sampler, count):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    generator = np.random.default_rng(0)
    study.add_trials([
        create_trial(params={"x": x, "k": "a"}, distributions=SPACE, values=[x, generator.random()])
        for x in generator.random(count)
    ])  # fmt: skip
    return study


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_up_to_the_limit_the_sampler_answers_as_by_itself():
    alone = TPESampler(seed=0, multivariate=True)
    bounded = BoundedSampler(TPESampler(seed=0, multivariate=True), limit=40)
    asked = [study_of(sampler, 40).ask(SPACE).params for sampler in (alone, bounded)]
    assert asked[0] == asked[1]


def test_beyond_the_limit_it_is_shown_the_front_and_a_part_of_the_rest():
    watching = Watching()
    study = study_of(BoundedSampler(watching, limit=30), 200)
    front = {trial.number for trial in study.best_trials}
    running = study.ask(SPACE)
    study.ask(SPACE)
    shown = watching.shown[-1]
    complete = {trial.number for trial in shown if trial.state == TrialState.COMPLETE}
    assert len(complete) == 30
    assert front <= complete
    assert [trial.number for trial in shown] == sorted(trial.number for trial in shown)
    assert running.number in {trial.number for trial in shown}
    assert len(study.trials) == 202


def test_of_the_pruned_trials_the_latest_are_shown():
    watching = Watching()
    study = study_of(BoundedSampler(watching, limit=30), 50)
    study.add_trials([create_trial(params={"x": 0.5}, distributions={"x": SPACE["x"]}, state=TrialState.PRUNED)] * 9)
    study.ask(SPACE)
    assert [trial.number for trial in watching.shown[-1] if trial.state == TrialState.PRUNED] == [56, 57, 58]


def test_what_a_bounded_sampler_is_called_is_what_it_bounds():
    assert str(BoundedSampler(RandomSampler(), limit=3)) == "RandomSampler"
