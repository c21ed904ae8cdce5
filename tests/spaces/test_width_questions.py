"""Widths of a space: per network, stage and group, as ratios and as channels, and the ratio that gives them."""

import pytest
from optuna.trial import FixedTrial

from leni.errors import InfeasibleWidth, SpaceError
from spaces import SearchSpace, backbone

NETWORK = "small_networks:Residual"  # widths 16, 16, 16 in stage 1 and 32 in stage 2


@pytest.mark.parametrize("per", ["network", "stage", "group"])
@pytest.mark.parametrize("round_to", [None, 4, 5])
def test_answers_lead_back_to_every_width(per, round_to):
    space = SearchSpace("s", NETWORK, "relu", width=[0.3, 0.55, 1.0], width_per=per, round_to=round_to)
    found = list(space.candidates())
    assert len(found) == space.size
    for candidate in found:
        assert space.suggest(FixedTrial(space.parameters(candidate)[0])) == candidate
        assert all(
            w % (round_to or 1) == 0 or w == full for w, full in zip(candidate.widths, (16, 16, 16, 32), strict=True)
        )


def test_continuous_ratio_is_found_for_widths_that_it_can_give():
    space = SearchSpace("s", NETWORK, "relu", width={"low": 0.2, "high": 0.9}, width_per="stage", round_to=4)
    for ratios in [(0.21, 0.9), (0.5, 0.33), (0.77, 0.2)]:
        candidate = space.suggest(FixedTrial({"width.1": ratios[0], "width.2": ratios[1]}))
        assert space.suggest(FixedTrial(space.parameters(candidate)[0])) == candidate
    full = backbone(NETWORK)
    from spaces import Candidate

    assert space.parameters(Candidate(NETWORK, full.full_widths, "relu")) is None


def test_whole_numbers_above_one_are_channels_of_the_widest_layers():
    row = backbone("torchvision:resnet50")
    first = row.members("stage", 1)
    assert {row.full_widths[place] for place in first} == {64, 128, 256}
    widths = row.widths(128, per="network", round_to=1)
    assert {widths[place] for place in first} == {4, 8, 16}  # of 2,048 in the last stage
    assert row.part(first, 64, round_to=1) == tuple(row.full_widths[place] // 4 for place in first)
    with pytest.raises(InfeasibleWidth, match="up to 256 channels, got 512"):
        row.part(first, 512)


def test_rounding_is_timms_make_divisible():
    layers = pytest.importorskip("timm.layers")
    row = backbone("torchvision:resnet18")
    for ratio in (0.03, 0.07, 0.1, 0.14, 0.23, 0.37, 0.41, 0.66, 0.89):
        expected = tuple(layers.make_divisible(full * ratio, 8) for full in row.full_widths)
        assert row.widths(ratio) == expected


def test_groups_that_go_together_keep_their_parts():
    row = backbone("torchvision:resnext50_32x4d")
    assert max(row.units) == 32
    assert all(width % unit == 0 for width, unit in zip(row.widths(0.3), row.units, strict=True))


def test_width_that_cannot_be_is_refused():
    with pytest.raises(SpaceError, match="round_to must be a whole number"):
        SearchSpace("s", NETWORK, "relu", round_to=0)
    with pytest.raises(InfeasibleWidth, match=r"in \(0, 1\], got 1.5"):
        SearchSpace("s", NETWORK, "relu", width=1.5)
