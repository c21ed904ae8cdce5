from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase
from optuna.trial import TrialState

from leni.errors import SpecError
from search.decide.known_cost.knowledge import Knowledge
from search.decide.known_cost.sampler import KnownCostSampler
from search.decide.samplers import SAMPLERS, default_sampler, sampler

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class TestKnownCost(BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase):
    """Optuna's contract of a sampler that chooses all parameters together; gp is the same class, with nothing known."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: KnownCostSampler(seed=0, startup=1)


class TestBoundedTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """The same contract for the sampler of Optuna's that is wrapped; those that are not are tested by Optuna itself."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: sampler("tpe", seed=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_answers_a_conditional_space_of_two_objectives_and_repeats_itself(name):
    def asked() -> list[dict[str, object]]:
        study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler(name, seed=7))
        for number in range(12):
            trial = study.ask()
            scale = trial.suggest_float("scale", 1e-3, 1.0, log=True)
            if trial.suggest_categorical("kind", ["flat", "steep"]) == "steep":
                scale += trial.suggest_int("slope", 1, 9, step=2)
            study.tell(trial, *([None, TrialState.FAIL] if number == 4 else [[scale, scale * number]]))
        return [trial.params for trial in study.trials]

    found = asked()
    assert {one["kind"] for one in found} == {"flat", "steep"}
    assert all(("slope" in one) == (one["kind"] == "steep") for one in found)
    assert found == asked()


def test_sampler_of_an_unknown_name_names_the_nearest_and_all():
    with pytest.raises(
        SpecError, match=r"no sampler 'nsag2'; did you mean 'nsga2'\? samplers are known-cost, tpe, nsga2"
    ) as caught:
        sampler("nsag2", seed=0)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match=r"no sampler '\?'; samplers are known-cost, tpe"):
        sampler("?", seed=0)


def test_sampler_is_told_what_is_known():
    knowledge = Knowledge({1: len}, [{"x": 1}], bounds={0: (0.0, 1.0)}, logarithmic=[1])
    made = sampler("known-cost", seed=3, knowledge=knowledge)
    assert isinstance(made, KnownCostSampler)
    assert made.costs == {1: len}
    assert made.listed == [{"x": 1}]
    assert made.bounds == {0: (0.0, 1.0)}
    assert made.logarithmic == {1}


def test_default_sampler_knows_costs_where_there_are_any():
    assert default_sampler(known=True) == "known-cost"
    assert default_sampler(known=False) == "tpe"
