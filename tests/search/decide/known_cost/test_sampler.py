import json
import math
import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from leni.errors import SpecError
from results.indicators import hypervolume
from search.decide.known_cost.hints import Hint
from search.decide.known_cost.history import READING, VARIANCE
from search.decide.known_cost.sampler import KnownCostSampler

SIDES = range(1, 13)
GRID = [{"a": a, "b": b} for a in SIDES for b in SIDES]
DISTRIBUTIONS = {"a": IntDistribution(1, 12), "b": IntDistribution(1, 12)}


@pytest.fixture(autouse=True)
def _quiet_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def cost(parameters):
    return float(parameters["a"] * 100 + parameters["b"] * 7)


def accuracy(parameters):
    return 1.0 - 0.7 / parameters["a"] - 0.02 * abs(parameters["b"] - 8)


def made(**keys):
    return KnownCostSampler({1: cost}, **{"seed": 0, "candidates": GRID, "distributions": DISTRIBUTIONS, **keys})


def study_of(sampler, directions=("maximize", "minimize")):
    return optuna.create_study(directions=list(directions), sampler=sampler)


def ask(study):
    trial = study.ask()
    return trial, {"a": trial.suggest_int("a", 1, 12), "b": trial.suggest_int("b", 1, 12)}


def searched(sampler, trials):
    study, tried = study_of(sampler), []
    for _ in range(trials):
        trial, parameters = ask(study)
        study.tell(trial, [accuracy(parameters), cost(parameters)])
        tried.append((parameters["a"], parameters["b"]))
    return study, tried


def share(tried):
    def volume(pairs):
        values = [[1 - accuracy({"a": a, "b": b}), math.log(cost({"a": a, "b": b})) / 8] for a, b in pairs]
        return hypervolume(values, [1.0, 1.0])

    return volume(tried) / volume([(one["a"], one["b"]) for one in GRID])


def test_search_on_a_small_grid_finds_nearly_all_of_the_hypervolume():
    _, tried = searched(made(), 40)
    _, drawn = searched(optuna.samplers.RandomSampler(seed=0), 40)
    assert share(tried) > 0.98 > share(drawn)


def test_listed_candidates_come_once_each_and_then_again():
    _, tried = searched(made(candidates=GRID[:20], startup=4), 25)
    assert len(set(tried[:20])) == 20
    assert set(tried) == {(one["a"], one["b"]) for one in GRID[:20]}


def test_first_trials_are_spread_over_the_range_of_the_costs():
    _, tried = searched(made(), 10)
    costs = sorted(math.log(cost({"a": a, "b": b})) for a, b in tried)
    places = (np.array(costs) - math.log(107)) / (math.log(1284) - math.log(107))
    assert len(set((places * 10).clip(0, 9).astype(int))) >= 9


def test_same_seed_gives_the_same_search_and_another_seed_another_one():
    assert searched(made(), 16)[1] == searched(made(), 16)[1]
    assert searched(made(), 16)[1] != searched(made(seed=1), 16)[1]


def test_eight_workers_do_not_ask_for_the_same_candidate():
    study, _ = searched(made(), 14)
    asked = [tuple(ask(study)[1].values()) for _ in range(8)]
    told = {tuple(trial.params.values()) for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    assert len(set(asked) | told) == 8 + 14


def test_candidate_of_a_failed_trial_is_not_asked_for_again():
    study = study_of(made(candidates=GRID[:12], startup=3))
    failed = []
    for number in range(12):
        trial, parameters = ask(study)
        if number % 3 == 2:
            failed.append(parameters)
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [accuracy(parameters), cost(parameters)])
    keys = [tuple(trial.params.values()) for trial in study.trials]
    assert len(failed) == 4
    assert len(set(keys)) == 12


def test_impossible_and_refused_candidates_are_never_asked_for():
    def only_even(parameters):
        return cost(parameters) if parameters["a"] % 2 == 0 else math.nan

    sampler = KnownCostSampler(
        {1: only_even}, seed=0, candidates=GRID, distributions=DISTRIBUTIONS, feasible=lambda one: cost(one) < 900
    )
    _, tried = searched(sampler, 20)
    assert all(a % 2 == 0 and cost({"a": a, "b": b}) < 900 for a, b in tried)


def test_space_that_is_not_listed_is_searched_as_well():
    _, tried = searched(KnownCostSampler({1: cost}, seed=0), 40)
    assert share(tried) > 0.98


def test_study_begun_by_another_sampler_is_gone_on_with():
    study, tried = searched(optuna.samplers.RandomSampler(seed=3), 12)
    study.sampler = made(startup=5)
    for _ in range(24):
        trial, parameters = ask(study)
        study.tell(trial, [accuracy(parameters), cost(parameters)])
        tried.append((parameters["a"], parameters["b"]))
    assert share(tried) > 0.985
    assert not set(tried[:12]) & set(tried[12:])


def test_reading_of_a_stopped_trial_is_evidence_and_no_result():
    study, _ = searched(made(), 10)
    trial, parameters = ask(study)
    trial.set_user_attr(READING, [2.0, cost(parameters)])  # better than any result could be
    study.tell(trial, state=TrialState.FAIL)
    ask(study)
    models, history = study.sampler.memory.models, study.sampler.memory.history
    assert len(history.observations) == 11
    best = max(one.values[0] for one in study.get_trials(states=(TrialState.COMPLETE,)))
    assert all(view.front[:, 1].min() >= -best - 0.02 for view in models.views)


def test_variance_of_replicas_makes_outliers_matter_less():
    def front_after(variance):
        study = study_of(made(startup=4))
        for number in range(12):
            trial, parameters = ask(study)
            value = 1.5 if number == 5 else accuracy(parameters)
            trial.set_user_attr(VARIANCE, [variance if number == 5 else 1e-6, 0.0])
            study.tell(trial, [value, cost(parameters)])
        ask(study)
        return min(view.front[:, 1].min() for view in study.sampler.memory.models.views)

    assert front_after(1e-6) == pytest.approx(-1.5, abs=0.05)
    assert front_after(1.0) > -1.2


def test_reported_constraints_are_learned():
    study = study_of(made(candidates=None, startup=8))
    for _ in range(40):
        trial, parameters = ask(study)
        trial.set_constraint("small", parameters["a"] - 6.0)
        study.tell(trial, [accuracy(parameters), cost(parameters)])
    late = [trial.params["a"] for trial in study.trials[20:]]
    assert np.mean([a <= 6 for a in late]) >= 0.8


def test_two_known_costs_and_two_uncertain_objectives():
    def volume(sampler):
        study = study_of(sampler, ("maximize", "minimize", "maximize", "minimize"))
        for _ in range(30):
            trial, one = ask(study)
            study.tell(trial, [accuracy(one), cost(one), float(one["b"]), abs(one["a"] - 5.0)])
        turned = [[1 - a, c / 1_300, (12 - b) / 12, d / 8] for a, c, b, d in (trial.values for trial in study.trials)]
        return hypervolume(turned, [1.0] * 4)

    costs = {1: cost, 2: lambda one: float(one["b"])}
    ours = volume(KnownCostSampler(costs, seed=0, candidates=GRID, distributions=DISTRIBUTIONS))
    assert ours > 1.05 * volume(optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"]])
def test_nothing_known_is_plain_expected_improvement(directions):
    study = optuna.create_study(directions=directions, sampler=KnownCostSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        x, y = trial.suggest_float("x", -2, 2), trial.suggest_float("y", -2, 2)
        values = [(x - 1) ** 2 + y**2, (x + 1) ** 2 + y**2]
        study.tell(trial, values[: len(directions)])
    if len(directions) == 1:
        assert study.best_value < 0.01
    else:
        assert hypervolume([trial.values for trial in study.trials], [4.0, 4.0]) > 13.0


def spherical(x):
    """DTLZ2: three objectives, the best of which lie on an eighth of a sphere."""
    radius, (a, b) = 1 + ((x[2:] - 0.5) ** 2).sum(), x[:2] * np.pi / 2
    return [float(radius * one) for one in (np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a))]


def test_three_uncertain_objectives_are_improved_beyond_chance():
    space = {f"x{place}": FloatDistribution(0.0, 1.0) for place in range(6)}
    volumes = {}
    for name, made in (("ours", KnownCostSampler), ("chance", optuna.samplers.RandomSampler)):
        found = []
        for seed in range(3):
            study = optuna.create_study(directions=["minimize"] * 3, sampler=made(seed=seed))
            for _ in range(45):
                trial = study.ask(space)
                study.tell(trial, spherical(np.array([trial.params[one] for one in space])))
            found.append(hypervolume([trial.values for trial in study.trials], [2.5] * 3))
        volumes[name] = np.mean(found)
    assert volumes["ours"] > volumes["chance"] + 0.2


def test_conditional_parameters_are_asked_for_where_they_exist():
    study = optuna.create_study(sampler=KnownCostSampler(seed=0))
    for _ in range(40):
        trial = study.ask()
        if trial.suggest_categorical("kind", ["flat", "steep"]) == "flat":
            value = 1.0 + trial.suggest_float("height", 0, 1)
        else:
            value = abs(trial.suggest_float("slope", -1, 1) - 0.3)
        study.tell(trial, value)
    assert study.best_value < 0.02
    assert sum(trial.params["kind"] == "steep" for trial in study.trials[20:]) > 12


def test_infinite_values_and_log_ranges_do_no_harm():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=KnownCostSampler(seed=0, startup=5))
    for number in range(20):
        trial = study.ask()
        x = trial.suggest_float("x", 1e-6, 10.0, log=True)
        n = trial.suggest_int("n", 1, 1_000, log=True)
        study.tell(trial, [math.inf if number % 7 == 3 else abs(math.log(x) + 3), -math.inf if number == 9 else n])
    assert len(study.trials) == 20


def test_state_makes_a_new_sampler_go_on_as_the_old_one_would():
    study, _ = searched(made(), 20)
    kept = json.dumps(study.sampler.state())
    expected = [tuple(ask(study)[1].values()) for _ in range(3)]
    again = study_of(made(seed=99))
    again.add_trials(study.trials[:20])
    again.sampler.restore(json.loads(kept))
    assert [tuple(ask(again)[1].values()) for _ in range(3)] == expected


def test_sampler_can_be_pickled():
    study, _ = searched(KnownCostSampler({1: cost}, seed=0), 12)
    copy = pickle.loads(pickle.dumps(study.sampler))
    assert isinstance(copy, KnownCostSampler)


def test_history_beyond_the_bound_is_still_answered():
    study = study_of(made())
    generator = np.random.default_rng(0)
    study.add_trials([
        create_trial(params=one, distributions=DISTRIBUTIONS, values=[accuracy(one), cost(one)])
        for one in (GRID[int(row)] for row in generator.integers(len(GRID), size=700))
    ])  # fmt: skip
    trial, _ = ask(study)
    assert trial.number == 700


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bounds": {0: (1.0, 0.0)}}, "bounds of objective 0 must be finite with least < greatest"),
        ({"startup": 0}, "startup must be at least 1, got 0"),
        ({"bounds": {-1: (0.0, 1.0)}}, "index must be a whole number from 0, got -1"),
    ],
)
def test_impossible_arguments_are_refused(keys, message):
    with pytest.raises(SpecError, match=message):
        KnownCostSampler({1: cost}, **keys)


def test_cost_of_an_objective_that_the_study_does_not_have_is_refused():
    study = optuna.create_study(sampler=KnownCostSampler({1: cost}, distributions=DISTRIBUTIONS))
    with pytest.raises(SpecError, match="the study has 1 objectives, numbered from 0; got 1"):
        study.ask().suggest_int("a", 1, 12)


def test_categorical_and_float_parameters_together():
    distributions = {"kind": CategoricalDistribution(["x", "y"]), "rate": FloatDistribution(0.0, 1.0, step=0.25)}
    study = optuna.create_study(sampler=KnownCostSampler(seed=0, distributions=distributions, startup=3))
    for _ in range(8):
        trial = study.ask(distributions)
        study.tell(trial, trial.params["rate"] + (trial.params["kind"] == "x"))
    assert study.best_value == 0.0


def test_slow_costs_are_asked_for_a_few_times_only():
    asked = []

    def slow(parameters):
        asked.append(1)
        return cost(parameters)

    sampler = KnownCostSampler({1: slow}, seed=0, candidates=GRID, counted=2, distributions=DISTRIBUTIONS)
    study, tried = study_of(sampler), []
    for _ in range(40):
        trial, parameters = ask(study)
        study.tell(trial, [accuracy(parameters), cost(parameters)])
        tried.append((parameters["a"], parameters["b"]))
    assert len(set(tried)) == 40
    assert len(asked) <= 16 + 40 * 2
    assert share(tried) > 0.98


def test_state_goes_on_with_estimated_costs_too():
    keys = {"candidates": None, "counted": 3}
    study, _ = searched(made(**keys), 18)
    kept = json.dumps(study.sampler.state())
    expected = [tuple(ask(study)[1].values()) for _ in range(3)]
    again = study_of(made(seed=99, **keys))
    again.add_trials(study.trials[:18])
    again.sampler.restore(json.loads(kept))
    assert [tuple(ask(again)[1].values()) for _ in range(3)] == expected


def hint_of(values):
    return Hint("hint", 0, lambda candidates: np.array([values(one) for one in candidates]))


def test_first_trials_are_the_better_by_a_hint_at_every_cost():
    _, tried = searched(made(hints=[hint_of(lambda one: one["b"])]), 10)
    _, plain = searched(made(), 10)
    assert np.mean([b for _, b in tried]) > 10 > np.mean([b for _, b in plain])
    assert len({a for a, _ in tried}) >= 6  # costs are a's alone, nearly


def test_first_trials_with_nothing_known_are_the_better_by_a_hint():
    hints = [hint_of(lambda one: -one["a"])]
    _, tried = searched(KnownCostSampler(seed=0, candidates=GRID, distributions=DISTRIBUTIONS, hints=hints), 10)
    assert np.mean([a for a, _ in tried]) < 5


def test_a_hint_of_a_minimised_objective_is_less_for_the_better():
    sampler = made(hints=[hint_of(lambda one: one["b"])])
    study = study_of(sampler, ("minimize", "minimize"))
    tried = [ask(study)[1]["b"] for _ in range(10)]
    assert np.mean(tried) < 3


def test_a_hint_about_what_parameters_do_not_tell_speeds_the_search_and_noise_does_not_slow_it():
    luck = dict(zip([(a, b) for a in SIDES for b in SIDES], np.random.default_rng(0).standard_normal(144), strict=True))

    def reached(hints):
        study, found = study_of(made(hints=hints)), []
        for _ in range(25):
            trial, one = ask(study)
            value = accuracy(one) + 0.2 * luck[one["a"], one["b"]]
            study.tell(trial, [value, cost(one)])
            found.append(luck[one["a"], one["b"]])
        return np.mean(found)

    noise = np.random.default_rng(1).standard_normal(144)
    told = [hint_of(lambda one: luck[one["a"], one["b"]])]
    misled = [hint_of(lambda one: noise[12 * (one["a"] - 1) + one["b"] - 1])]
    assert reached(told) > reached([]) + 0.5
    assert reached(misled) > reached([]) - 0.3


def test_a_sampler_with_hints_goes_on_from_its_state_with_the_same_candidates():
    hints = [hint_of(lambda one: one["b"] - 0.1 * one["a"])]
    study, tried = searched(made(hints=hints), 24)
    first, copy = searched(made(hints=hints), 18)
    other = made(hints=hints, seed=99)
    state = json.loads(json.dumps(first.sampler.state()))
    resumed = study_of(other)
    resumed.add_trials(first.trials)
    other.restore(state)
    for _ in range(6):
        trial, one = ask(resumed)
        resumed.tell(trial, [accuracy(one), cost(one)])
        copy.append((one["a"], one["b"]))
    assert copy == tried
    assert len(study.trials) == 24


def test_a_hint_needs_an_objective_that_is_there():
    with pytest.raises(SpecError, match="whole number"):
        made(hints=[Hint("x", -1, lambda candidates: np.zeros(len(candidates)))])
