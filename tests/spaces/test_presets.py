"""The named spaces: each can be listed or drawn from, written and read, and compares fairly."""

import pytest

from leni import registry
from leni.errors import SpaceError
from spaces import PRESETS, SearchSpace, space

FINITE = [name for name in PRESETS if name != "full"]


def test_presets_are_the_promised_ones():
    assert sorted(PRESETS) == ["activations", "channel-compensation", "full", "placement"]
    assert all(space(name).name == name and space(name).description for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_round_trips_through_toml(name, tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(space(name).to_toml(), encoding="utf-8")
    assert space(str(path)) == space(name)
    assert repr(space(str(path))) == repr(space(name))


@pytest.mark.parametrize("name", FINITE)
def test_finite_preset_lists_each_candidate_once_and_finds_its_parameters(name):
    found = space(name)
    listed = list(found.candidates())
    assert len(set(listed)) == len(listed) == found.size > 100
    assert all(found.parameters(candidate) is not None for candidate in listed[::7])
    assert {candidate.activation for candidate in listed} == set(found.activation.values())


def test_full_has_no_end():
    assert space("full").size is None
    assert str(space("full")).startswith("full: continuous\n")
    with pytest.raises(SpaceError, match="space 'full' cannot be listed: lr_factor has no steps"):
        next(space("full").candidates())


def test_size_of_a_large_finite_space_is_counted_without_listing():
    fixed = space("full").fix({"lr_factor": 1.0})
    leni = 3 * 2 * 3 * 4 * 3 * 2
    assert fixed.size == 4 * 8**3 * (1 + 7 * 9 + leni * 9)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_gives_every_activation_its_own_rate_and_leni_its_start(name):
    found = space(name)
    assert {"relu", "prelu", "leni"} <= set(found.activation.values())
    assert all(found.lr_factor.contains(factor) for factor in (0.3, 1.0, 3.0))
    assert set(found.options["leni"]["init_std"].values()) == {0.0, 0.01, 0.1}
    assert set(found.options["leni"]["decay"].values()) == {False, True}
    own = registry.get("leni").check({})
    for option, values in found.options["leni"].items():
        assert values.values()[0] == own[option]


@pytest.mark.parametrize("name", FINITE)
def test_references_of_a_preset_are_in_it(name):
    found = space(name)
    relu, leni = found.references()
    assert (relu.activation, leni.activation) == ("relu", "leni")
    assert {relu.placement, leni.placement} == {"all"}
    assert relu.widths == leni.widths == (16, 32, 64)
    assert {relu, leni} <= set(found.candidates())


def test_activations_names_all_that_keep_their_channels():
    keeping = {name for name in registry.names() if registry.get(name).multiple(**registry.get(name).check({})) == 1}
    assert set(space("activations").activation.values()) == keeping


def test_space_unknown_name_suggests_near_ones():
    with pytest.raises(SpaceError, match="there is no search space 'placements'; near names are placement"):
        space("placements")
    with pytest.raises(SpaceError, match="there is no search space 'xyz'; near names are channel-compensation, "):
        space("xyz")
    with pytest.raises(SpaceError, match=r"nowhere\.toml: No such file"):
        space("nowhere.toml")


def test_space_reads_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nbackbone = "resnet8"\nactivation = ["relu", "leni"]\n', encoding="utf-8")
    assert space(str(path)) == SearchSpace("mine", "resnet8", ["relu", "leni"])
