import json
import random

import numpy as np
import optuna
import pytest

from search.decide.generators import reseed, set_states, states_of
from search.decide.samplers import SAMPLERS, sampler


class Holder:
    """An object of a module that is looked into, with a generator of each kind; one of them twice."""

    def __init__(self, seed):
        self.numpy = np.random.default_rng(seed)
        self.legacy = np.random.RandomState(seed)
        self.python = random.Random(seed)
        self.other = np.random.Generator(np.random.MT19937(seed))
        self.again, self.name = self.legacy, "x"


Holder.__module__ = "search.somewhere"


def numbers(holder):
    holder.legacy.normal()  # leaves half of a pair behind
    return [holder.numpy.random(), holder.legacy.normal(), holder.python.gauss(0, 1), holder.other.random()]


def test_generators_go_on_from_states_that_went_through_json():
    first, second = Holder(1), Holder(2)
    numbers(first)
    first.python.gauss(0, 1)
    kept = json.dumps(states_of(first))
    assert sorted(json.loads(kept)) == ["legacy", "numpy", "other", "python"]
    set_states(second, json.loads(kept))
    assert [numbers(second) for _ in range(3)] == [numbers(first) for _ in range(3)]


@pytest.mark.parametrize("name", sorted(set(SAMPLERS)))
def test_every_sampler_has_generators_that_are_found(name):
    assert states_of(sampler(name, seed=3))
    assert states_of(sampler(name, seed=3)) == states_of(sampler(name, seed=3)) != states_of(sampler(name, seed=4))


def spoilt(change):
    state = json.loads(json.dumps(states_of(Holder(1))))
    change(state)
    return state


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("legacy"), lambda state: state.update(further=1), lambda state: state.update(numpy=3),
        lambda state: state["legacy"]["state"].update(pos=10**6), lambda state: state["legacy"]["state"].update(pos=-1),
        lambda state: state["legacy"]["state"].update(pos="0"), lambda state: state["legacy"]["state"].update(key=[1]),
        lambda state: state["legacy"]["state"].update(key=[-1] * 624), lambda state: state["legacy"].pop("state"),
        lambda state: state["other"]["state"].update(pos=625), lambda state: state.update(python=[3, [1], None]),
        lambda state: state.update(python=[3, [*[1] * 624, 10**6], None]), lambda state: state.update(python=None),
        lambda state: state["numpy"]["state"].update(state=2**200), lambda state: state.update(legacy=["MT19937"]),
        lambda state: state["numpy"].update(bit_generator="os.system"),
    ],
)  # fmt: skip
def test_state_that_is_none_is_refused(change):
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
        set_states(Holder(1), spoilt(change))


def test_reseeding_follows_from_the_entropy_alone():
    def drawn(holder, *entropy):
        reseed(holder, *entropy)
        return numbers(holder)

    used = Holder(1)
    numbers(used)
    assert drawn(used, 7, 3) == drawn(Holder(2), 7, 3)
    assert not set(drawn(Holder(1), 7, 3)) & set(drawn(Holder(1), 7, 4))
    assert len(set(drawn(Holder(1), 7, 3))) == 4


def test_optunas_lazy_generators_are_those_that_it_draws_from():
    one, two = optuna.samplers.RandomSampler(seed=1), optuna.samplers.RandomSampler(seed=2)
    set_states(two, states_of(one))
    assert one._rng.rng.random_sample() == two._rng.rng.random_sample()
