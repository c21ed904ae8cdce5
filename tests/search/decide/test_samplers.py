import pytest

from leni.errors import SpecError
from search.decide.samplers import SAMPLERS, sampler

NAMES = tuple(SAMPLERS)


def test_sampler_of_an_unknown_name_names_the_nearest_and_all():
    with pytest.raises(
        SpecError, match=r"no sampler 'nsag2'; did you mean 'nsga2'\? samplers are tpe, nsga2"
    ) as caught:
        sampler("nsag2", seed=0)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match=r"no sampler '\?'; samplers are tpe"):
        sampler("?", seed=0)
