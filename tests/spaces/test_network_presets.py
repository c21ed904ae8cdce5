import tomllib

import pytest

from leni.errors import SpaceError
from spaces import SearchSpace, space
from spaces.network_presets import NETWORK_PRESETS, described, starting_space


@pytest.mark.parametrize("name", NETWORK_PRESETS)
def test_preset_of_a_network_is_a_space_with_its_references(name):
    if "timm:" in NETWORK_PRESETS[name]["backbone"]:
        pytest.importorskip("timm")
    found = space(name)
    assert isinstance(found, SearchSpace)
    assert (found.name, found.size is not None) == (name, True)
    assert space(tomllib.loads(found.to_toml())) == found
    assert all(found.parameters(each) for each in found.references())


def test_starting_space_has_the_placements_and_stages_of_its_network():
    found = starting_space("small_networks:Residual?blocks=1")
    assert found.placement.options == ("all", "stem", "inner", "outer", "stage:1", "stage:2")
    assert found.dimensions().keys() >= {"width.1", "width.2", "leni.init_std"}
    assert space(tomllib.loads(found.to_toml())) == found
    assert "width.2: 32 (3: down)" in list(described("small_networks:Residual?blocks=1"))


def test_network_options_become_a_part_of_the_names_and_need_a_network():
    found = SearchSpace("s", ["small_networks:Residual", "resnet8"], "relu", network={"width": 8, "blocks": 1})
    assert found.backbone.options == ("small_networks:Residual?blocks=1&width=8", "resnet8")
    assert next(iter(found.candidates())).widths == (8, 8, 16)
    with pytest.raises(SpaceError, match="the backbone resnet8 has none"):
        SearchSpace("s", "resnet8", "relu", network={"width": 8})
