from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase

from leni.errors import SpecError
from search.decide.known_cost.knowledge import Knowledge
from search.decide.known_cost.sampler import KnownCostSampler
from search.decide.samplers import SAMPLERS, default_sampler, sampler

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class TestEverySampler(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Optuna's own contract, for every sampler that we ship."""

    @pytest.fixture(params=SAMPLERS)
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return lambda: sampler(request.param, seed=0)


class TestKnownCost(RelativeSamplerTestCase):
    """Optuna's contract of samplers that choose all parameters together."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return lambda: KnownCostSampler(seed=0, startup=1)


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
