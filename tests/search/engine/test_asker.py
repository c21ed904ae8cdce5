from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from leni.errors import CandidateError
from search.decide.samplers import SAMPLERS, sampler
from search.engine.asker import Asked, Asker
from spaces import PRESETS, Candidate, SearchSpace, cost, space

NAMES = tuple(SAMPLERS)
FAST = ("tpe", "nsga2", "nsga3", "qmc", "random")  # a question to the Gaussian process takes a tenth of a second
DIRECTIONS = ("maximize", "minimize")
SIX = SearchSpace("six", "resnet8", ["relu", "leni"], ["all", "inner"], [0.5, 1.0])
CONTINUOUS = SearchSpace(
    "continuous", "resnet8", ["relu", "leni"], ["all", "inner"], {"low": 0.25, "high": 1.0},
    lr_factor={"low": 0.1, "high": 10.0, "log": True}, options={"leni": {"init_std": {"low": 0.0, "high": 0.1}}},
)  # fmt: skip
OUTSIDE = Candidate("resnet20", (3, 5, 7), "prelu")
count = partial(cost, input_shape=(1, 8, 8), classes=10)
pytestmark = pytest.mark.usefixtures("quiet_optuna")


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def asker(
    name: str,
    where: SearchSpace,
    *,
    seed: int = 0,
    check: Callable[[Candidate], Any] = count,
    first: Iterable[Candidate] = (),
) -> Asker:
    return Asker(where, sampler(name, seed=seed), directions=DIRECTIONS, seed=seed, check=check, first=first)


def value(candidate: Candidate) -> list[float]:
    """Two objectives that disagree, without a training."""
    size = sum(candidate.widths)
    return [1 - 1 / size - (0.01 if candidate.activation == "relu" else 0.0), float(size)]


def drawn(source: Asker, most: int) -> list[Asked]:
    """Up to `most` answers, each told at once."""
    answers = []
    while len(answers) < most and (asked := source.ask()) is not None:
        answers.append(asked)
        source.tell(asked, "completed", value(asked.candidate))
    return answers


def candidates(source: Asker, most: int) -> list[Candidate]:
    return [asked.candidate for asked in drawn(source, most)]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", NAMES)
def test_ask_gives_buildable_candidates_of_every_preset(name, preset):
    where = space(preset)
    for asked in drawn(asker(name, where), 12):
        count(asked.candidate)
        assert where.parameters(asked.candidate) is not None
        assert where.suggest(optuna.trial.FixedTrial(dict(asked.parameters))) == asked.candidate
        assert asked.parameters.keys() == asked.distributions.keys()


@pytest.mark.parametrize("name", NAMES)
def test_ask_with_the_same_seed_repeats_itself(name):
    one, two, other = (candidates(asker(name, space("full"), seed=seed), 14) for seed in (3, 3, 4))
    assert one == two
    assert one != other


@pytest.mark.parametrize("name", FAST)
def test_ask_repeats_no_candidate(name):
    where = SearchSpace("small", "resnet8", ["relu", "leni"], ["all", "inner", "stem"], [i / 64 for i in range(8, 20)])
    assert where.size == 12 * 4
    found = candidates(asker(name, where), 42)
    assert len(found) == len(set(found)) == 42


@pytest.mark.parametrize("name", NAMES)
def test_ask_ends_after_exactly_every_candidate(name):
    source = asker(name, SIX)
    assert set(candidates(source, 100)) == set(SIX.candidates())
    assert len(source.tried) == 6
    assert source.ask() is None
    assert source.ask() is None


@pytest.mark.parametrize("name", NAMES)
def test_ask_before_any_answer_is_told_ends_likewise(name):
    source = asker(name, SIX)
    asked = [source.ask() for _ in range(7)]
    assert asked.pop() is None
    assert {one.candidate for one in asked} == set(SIX.candidates())
    for one in reversed(asked):  # out of order, as workers have it
        source.tell(one, "completed", value(one.candidate))
    assert sum(trial.state == TrialState.COMPLETE for trial in source.study.trials) == 6
    assert source.ask() is None


def no_leni_at_half(candidate: Candidate) -> None:
    if candidate.activation == "leni" and candidate.widths[0] == 8:
        raise CandidateError("it cannot be built")


@pytest.mark.parametrize("name", NAMES)
def test_ask_gives_no_infeasible_candidate_and_all_others(name):
    found = candidates(asker(name, SIX, check=no_leni_at_half), 100)
    expected = [one for one in SIX.candidates() if not (one.activation == "leni" and one.widths[0] == 8)]
    assert len(found) == len(expected) == 4
    assert set(found) == set(expected)


def test_ask_where_nothing_is_feasible_ends_at_once():
    def never(candidate: Candidate) -> None:
        raise CandidateError("no")

    assert asker("random", SIX, check=never, first=[OUTSIDE]).ask() is None


def test_ask_leaves_out_widths_that_cannot_be_halved():
    where = SearchSpace("halves", "vgg16_bn", ["crelu"], "all", [i / 64 for i in range(8, 25)])
    found = candidates(asker("tpe", where), 100)
    feasible = [one for one in where.candidates() if all(width % 2 == 0 for width in one.widths)]
    assert 0 < len(feasible) < where.size
    assert set(found) == set(feasible)
    assert len(found) == len(feasible)


@pytest.mark.parametrize("name", NAMES)
def test_first_candidates_come_first_and_once(name):
    inside = list(SIX.candidates())
    first = [OUTSIDE, inside[4], inside[1], OUTSIDE, inside[4]]
    source = asker(name, SIX, first=first)
    found = drawn(source, 100)
    assert [asked.candidate for asked in found[:3]] == [OUTSIDE, inside[4], inside[1]]
    assert len(found) == 7
    assert {asked.candidate for asked in found[1:]} == set(inside)
    assert (found[0].trial, found[0].parameters) == (None, {})
    assert source.study.trials[found[1].trial].params == found[1].parameters == SIX.parameters(inside[4])[0]


def test_first_candidates_that_cannot_be_built_are_passed_over():
    half = next(one for one in SIX.candidates() if one.activation == "leni" and one.widths[0] == 8)
    source = asker("tpe", SIX, check=no_leni_at_half, first=[half, OUTSIDE])
    assert source.ask().candidate == OUTSIDE


@pytest.mark.parametrize("preset", PRESETS)
def test_references_are_asked_first_of_every_preset(preset):
    where = space(preset)
    found = candidates(asker("nsga2", where, first=where.references()), 6)
    assert found[:2] == list(where.references())
    assert len(set(found)) == 6


def test_tell_shows_the_sampler_values_and_failures_with_their_parameters():
    source = asker("random", CONTINUOUS, first=[OUTSIDE])
    asked = [source.ask() for _ in range(3)]
    source.tell(asked[2], "failed")
    source.tell(asked[0], "completed", [0.9, 1.0])  # from outside: no trial of the sampler's
    source.tell(asked[1], "completed", [0.5, 24.0])
    trials = source.study.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert trials[0].values == [0.5, 24.0]
    assert [trial.params for trial in trials] == [dict(one.parameters) for one in asked[1:]]


@pytest.mark.parametrize("name", FAST)
def test_ask_goes_on_where_every_candidate_failed(name):
    source = asker(name, SIX)
    found = []
    while (asked := source.ask()) is not None:
        found.append(asked.candidate)
        source.tell(asked, "failed")
    assert sorted(found, key=hash) == sorted(SIX.candidates(), key=hash)


@pytest.mark.parametrize(("name", "count"), [("tpe", 45), ("random", 45), ("qmc", 45), ("nsga2", 20)])
def test_ask_is_plain_optunas_where_nothing_repeats(name, count):
    plain = optuna.create_study(directions=list(DIRECTIONS), sampler=sampler(name, seed=5))
    expected = []
    for _ in range(
        count
    ):  # past TPE's random start; nsga2's later generations repeat parents, which we do not try again
        trial = plain.ask()
        plain.tell(trial, value(CONTINUOUS.suggest(trial)))
        expected.append(trial.params)
    assert [dict(asked.parameters) for asked in drawn(asker(name, CONTINUOUS, seed=5), count)] == expected


def test_ask_of_a_continuous_space_draws_where_the_sampler_repeats_itself():
    class Stubborn(optuna.samplers.RandomSampler):
        def sample_relative(self, study, trial, search_space):
            return {}

        def sample_independent(self, study, trial, name, distribution):
            return distribution.choices[0] if hasattr(distribution, "choices") else distribution.high

    source = Asker(CONTINUOUS, Stubborn(), directions=DIRECTIONS, seed=1, check=count)
    found = drawn(source, 5)
    assert len({asked.candidate for asked in found}) == 5
    assert found[0].candidate == Candidate("resnet8", (16, 32, 64), "relu", lr_factor=10.0)
    again = drawn(Asker(CONTINUOUS, Stubborn(), directions=DIRECTIONS, seed=1, check=count), 5)
    assert [asked.candidate for asked in again] == [asked.candidate for asked in found]


@pytest.mark.parametrize("name", NAMES)
def test_ask_with_one_objective_works_likewise(name):
    source = Asker(SIX, sampler(name, seed=0), directions=["maximize"], seed=0, check=count)
    found = set()
    while (asked := source.ask()) is not None:
        found.add(asked.candidate)
        source.tell(asked, "completed", value(asked.candidate)[:1])
    assert found == set(SIX.candidates())


@pytest.mark.parametrize("name", NAMES)
def test_ask_and_tell_log_no_warning(name, caplog):
    optuna.logging.enable_propagation()
    try:
        candidates(asker(name, CONTINUOUS), 14)
    finally:
        optuna.logging.disable_propagation()
    assert [record.getMessage() for record in caplog.records] == []


def stored(asked: Asked, number: int, state: TrialState, values: list[float] | None = None) -> FrozenTrial:
    """What a run's storage holds of an answer."""
    trial = create_trial(
        state=state, values=values, params=dict(asked.parameters), distributions=dict(asked.distributions),
        user_attrs={"sampler": dict(asked.attributes)},
    )  # fmt: skip
    trial.number = number
    return trial


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [CONTINUOUS, space("channel-compensation")], ids=["continuous", "listed"])
def test_replayed_trials_and_random_numbers_give_the_very_next_answers(name, where):
    count = 12 if name == "gp" else 30
    first = asker(name, where)
    trials = []
    for number in range(count):
        asked = first.ask()
        first.tell(asked, "completed", value(asked.candidate))
        trials.append((stored(asked, number, TrialState.COMPLETE, value(asked.candidate)), asked.candidate))
    later = asker(name, where)
    for trial, candidate in trials:
        later.replay(trial, candidate)
    assert later.restore(first.state())
    assert drawn(later, 4) == drawn(first, 4)


def test_replayed_running_trial_can_be_told_and_is_not_asked_again():
    source = asker("tpe", SIX)
    asked = asker("random", SIX).ask()
    again = source.replay(stored(asked, 0, TrialState.RUNNING), asked.candidate)
    source.tell(again, "completed", [0.5, 3.0])
    (trial,) = source.study.trials
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.5, 3.0])
    assert asked.candidate not in {one.candidate for one in drawn_all(source)}


def drawn_all(source: Asker) -> list[Asked]:
    found = []
    while (asked := source.ask()) is not None:
        found.append(asked)
    return found


@pytest.mark.parametrize("state", [b"", b"no pickle", b"\x80\x04K\x01."])
def test_random_numbers_that_cannot_be_read_are_left_alone(state):
    source = asker("tpe", SIX)
    before = source.state()
    assert not source.restore(state)
    assert source.state() == before


def test_stopped_trial_is_no_result_for_the_sampler():
    source = asker("tpe", CONTINUOUS)
    for _ in range(15):
        source.tell(source.ask(), "stopped")
    assert {trial.state for trial in source.study.trials} == {TrialState.PRUNED}
    assert source.study.best_trials == []
    assert source.ask() is not None


def test_repeats_are_given_of_finished_candidates_alone():
    source = Asker(SIX, sampler("random", seed=1), directions=DIRECTIONS, seed=1, check=count, duplicates="reseed")
    finished = source.ask()
    source.tell(finished, "completed", [0.5, 1.0])
    running = source.ask()
    found = [source.ask() for _ in range(12)]
    assert running.candidate not in {asked.candidate for asked in found}
    again = [asked.repeat for asked in found if asked.candidate == finished.candidate]
    assert again == list(range(1, len(again) + 1))
    assert again
