"""The decorator `search.known`: what it marks, and where it is found."""

import types

import pytest

import search
from leni.errors import SpecError
from search.training.known import known, marked_in


def test_marked_functions_are_those_of_the_module(monkeypatch):
    module = types.ModuleType("a_users_module")
    module.count = known("params", "macs")(lambda config: (1, 2))
    module.other, module.number = (lambda config: 3), 4
    monkeypatch.setitem(__import__("sys").modules, "a_users_module", module)
    assert marked_in("a_users_module") == {"count": (("params", "macs"), module.count)}
    assert marked_in("no_such_module") == {}


def test_marked_function_is_still_the_function():
    @search.known("params")
    def count(config):
        return config["width"] ** 2

    assert count({"width": 3}) == 9


@pytest.mark.parametrize("names", [(), ("",), (3,), (len,)])
def test_decorator_without_a_name_is_refused(names):
    with pytest.raises(SpecError, match=r'must be given names, as in @search\.known\("params"\)'):
        known(*names)
