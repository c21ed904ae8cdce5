"""Rows of backbones: widths from ratios, sites, and what has no channel."""

import re

import pytest
import torch

from leni.errors import CandidateError, InfeasibleWidth
from leni.placement import FEATURE_ROLES
from spaces import BACKBONES, Candidate, backbone, build
from spaces.backbones.sites import convolution


def test_backbones_are_the_promised_ones():
    assert set(BACKBONES) == {"resnet8", "resnet20", "resnet32", "resnet56", "vgg16_bn"}
    assert all(name == row.name and row.source for name, row in BACKBONES.items())


def test_backbone_unknown_name_suggests_near_ones():
    with pytest.raises(CandidateError, match="there is no backbone 'resnet18'; near names are resnet8"):
        backbone("resnet18")
    with pytest.raises(CandidateError, match="there is no backbone 'x'; near names are resnet8, resnet20"):
        backbone("x")


@pytest.mark.parametrize(
    ("name", "ratios", "widths"),
    [
        ("resnet8", (1.0,), (16, 32, 64)),
        ("resnet8", (1,), (16, 32, 64)),
        ("resnet56", (0.25,), (4, 8, 16)),
        ("resnet8", (0.375,), (6, 12, 24)),
        ("resnet8", (0.53,), (8, 17, 34)),
        ("resnet8", (0.03125,), (1, 1, 2)),
        ("resnet20", (1.0, 0.25, 0.5), (16, 8, 32)),
        ("vgg16_bn", (0.125,), (8, 16, 32, 64, 64)),
        ("vgg16_bn", (1.0, 0.5, 0.25, 0.125, 0.001), (64, 64, 64, 64, 1)),
    ],
)
def test_widths_at_ratios(name, ratios, widths):
    assert backbone(name).widths(*ratios) == widths


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("ratio", "shown"), [(1.5, "1.5"), (0.0, "0.0"), (-0.5, "-0.5"), (1.0000001, "1.0000001"),
                                              (float("nan"), "nan"), (float("inf"), "inf")])  # fmt: skip
def test_widths_outside_the_unit_interval_are_refused(name, ratio, shown):
    with pytest.raises(InfeasibleWidth) as caught:
        backbone(name).widths(ratio)
    assert str(caught.value) == f"width must be in (0, 1], got {shown}"


def test_widths_wrong_number_is_refused():
    for ratios in ((), (0.5, 0.5), (0.5,) * 5):
        with pytest.raises(InfeasibleWidth, match=f"resnet8 has 3 stages, got {len(ratios)} widths"):
            backbone("resnet8").widths(*ratios)


@pytest.mark.parametrize("stage", range(5))
def test_widths_without_a_channel_name_the_smallest_ratio_that_has_one(stage):
    row, ratios = backbone("vgg16_bn"), [1.0] * 5
    ratios[stage] = 1e-6
    with pytest.raises(InfeasibleWidth, match=f"leaves stage {stage + 1} of vgg16_bn no channel") as caught:
        row.widths(*ratios)
    ratios[stage] = float(re.search(r"that leaves one is (.*)$", str(caught.value))[1])
    assert row.widths(*ratios)[stage] == 1
    ratios[stage] *= 1 - 1e-9
    with pytest.raises(InfeasibleWidth):
        row.widths(*ratios)


@pytest.mark.parametrize("name", BACKBONES)
def test_sites_are_the_networks_own_in_the_order_of_the_forward_pass(name):
    row = BACKBONES[name]
    network = build(Candidate(name, (2,) * len(row.full_widths), "leni"), in_channels=1, classes=3).eval()
    called, sizes = [], []
    for site in row.sites:

        def note(_, inputs, output, name=site.name):
            called.append(name)
            sizes.append(output.shape[-1])

        network.get_submodule(site.name).register_forward_hook(note)
    network(torch.zeros(1, 1, 64, 64))
    assert called == [site.name for site in row.sites]
    assert len(set(called)) == len(called)
    assert [site.role in FEATURE_ROLES for site in row.sites] == [True] * len(called)
    assert (row.sites[0].role, row.sites[0].stage) == ("stem", 0)
    stages = [max(site.stage, 1) for site in row.sites]
    assert sizes == [64 >> (stage - 1) for stage in stages]
    assert stages[-1] == len(row.full_widths)


def test_convolution_keeps_the_size_and_starts_as_he_et_al():
    torch.manual_seed(0)
    layer = convolution(64, 128)
    assert layer.bias is None
    assert layer(torch.zeros(1, 64, 7, 5)).shape == (1, 128, 7, 5)
    assert convolution(4, 6, 1, 2)(torch.zeros(1, 4, 8, 8)).shape == (1, 6, 4, 4)
    assert layer.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
