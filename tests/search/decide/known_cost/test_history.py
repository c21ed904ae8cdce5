import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from search.decide.known_cost.history import READING, VARIANCE, History, key_of, representative

X = {"x": FloatDistribution(0.0, 1.0)}


def trial(x, values=None, state=TrialState.COMPLETE, **keys):
    return create_trial(params={"x": x}, distributions=X, values=values, state=state, **keys)


def history_of(directions, *trials):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=directions)
    study.add_trials(trials)
    history = History()
    history.update(study, apart_from=-1)
    return study, history


def test_values_are_minimised_and_raw_ones_given_back():
    _, history = history_of(["maximize", "minimize"], trial(0.1, [0.9, 5.0]), trial(0.2, [0.8, 3.0]))
    np.testing.assert_allclose(history.values, [[-0.9, 5.0], [-0.8, 3.0]])
    np.testing.assert_allclose(history.raw([1, 0]), [[5.0, 0.9], [3.0, 0.8]])


def test_failed_trial_is_tried_and_no_observation_unless_it_has_a_reading():
    _, history = history_of(
        ["minimize", "minimize"],
        trial(0.1, state=TrialState.FAIL),
        trial(0.2, state=TrialState.FAIL, user_attrs={READING: [1.0, 2.0]}),
        trial(0.3, state=TrialState.FAIL, user_attrs={READING: [None, 2.0]}),
        trial(0.4, state=TrialState.PRUNED, user_attrs={READING: [1.0]}),
    )
    assert len(history.tried) == 4
    assert [one.parameters["x"] for one in history.observations] == [0.2]
    assert not history.observations[0].result


def test_pruned_trial_of_one_objective_gives_its_last_intermediate_value():
    pruned = trial(0.5, state=TrialState.PRUNED, intermediate_values={3: 0.3, 1: 0.9})
    _, history = history_of(["maximize"], pruned)
    assert history.observations[0].values.tolist() == [-0.3]
    assert not history.observations[0].result


def test_running_trials_are_read_anew_each_time_and_the_asked_one_is_left_out():
    study, history = history_of(["minimize"], trial(0.1, [1.0]))
    running, asked = study.ask(X), study.ask(X)
    history.update(study, apart_from=asked.number)
    assert history.running == [running.params]
    assert key_of(running.params) in history.begun_keys()
    study.tell(running, 2.0)
    study._thread_local.cached_all_trials = None
    history.update(study, apart_from=asked.number)
    assert history.running == []
    assert len(history.observations) == 2


@pytest.mark.parametrize(("given", "expected"), [(0.5, [0.5, 0.5]), ([0.1, 0.2], [0.1, 0.2]), (-1.0, None)])
def test_variance_is_one_number_or_one_an_objective(given, expected):
    _, history = history_of(["minimize"] * 2, trial(0.1, [1.0, 2.0], user_attrs={VARIANCE: given}))
    found = history.observations[0].variance
    assert (None if found is None else found.tolist()) == expected


def test_trial_that_breaks_a_constraint_is_not_feasible():
    _, history = history_of(
        ["minimize"], trial(0.1, [1.0], constraints={"a": -1.0, "b": 0.0}), trial(0.2, [1.0], constraints={"a": 0.1})
    )
    assert [one.feasible for one in history.observations] == [True, False]


def test_representatives_hold_the_front_and_spread_over_the_rest():
    values = np.random.default_rng(0).random((500, 2))
    values[::50] = np.column_stack([np.linspace(0, 0.1, 10), np.linspace(0.1, 0, 10)]) - 1.0
    rows = representative(values, 60)
    assert len(rows) == 60
    assert (np.diff(rows) > 0).all()
    assert set(range(0, 500, 50)) <= set(rows.tolist())
    assert np.histogram(rows, bins=5, range=(0, 500))[0].min() >= 6


def test_few_rows_represent_themselves():
    assert representative(np.zeros((3, 2)), 3).tolist() == [0, 1, 2]
    assert representative(np.zeros((0, 2)), 3).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_reading_step_by_step_is_reading_at_once(seed):
    generator = np.random.default_rng(seed)
    study, history = history_of(["minimize", "maximize"])
    running = []
    for _ in range(30):
        if running and generator.random() < 0.5:  # trials end in any order, and some fail
            ended = running.pop(int(generator.integers(len(running))))
            fails = generator.random() < 0.2
            study.tell(ended, None if fails else generator.random(2).tolist(), state=TrialState.FAIL if fails else None)
        else:
            running.append(study.ask(X))
        study._thread_local.cached_all_trials = None
        history.update(study, apart_from=-1)
    anew = History()
    anew.update(study, apart_from=-1)
    by_number = np.argsort([one.number for one in history.observations])
    np.testing.assert_array_equal(history.values[by_number], anew.values)
    np.testing.assert_array_equal(history.counted[by_number], anew.counted)
    assert set(history.tried) == set(anew.tried)
    assert history.running == anew.running == [one.params for one in running]
