import importlib
import types

import pytest

ROOMS = ("leni", "spaces", "search", "results")


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_exactly_what_is_listed(room):
    module = importlib.import_module(room)
    visible = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name not in ("Any", "TYPE_CHECKING")
    }
    assert len(set(module.__all__)) == len(module.__all__)
    assert visible <= set(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_says_what_it_is(room):
    assert len((importlib.import_module(room).__doc__ or "").strip()) > 20
