"""Networks of candidates: what stands where, how many parameters that adds, and what cannot be built."""

import doctest
import importlib

import pytest
import torch
from torch import nn

from leni import registry
from leni.block import LENI
from leni.errors import CandidateError, InfeasibleWidth
from spaces import BACKBONES, Candidate, build, cost

SIZES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]
NARROW = {"resnet8": (4, 8, 16), "resnet20": (4, 6, 8), "resnet32": (3, 4, 5), "resnet56": (2, 3, 4),
          "vgg16_bn": (4, 6, 8, 10, 12)}  # fmt: skip


def count(candidate):
    return sum(parameter.numel() for parameter in build(candidate, in_channels=3, classes=10).parameters())


def site_channels(candidate):
    """Channels that enter each site, by the module that stands there."""
    network = build(candidate, in_channels=3, classes=10).eval()
    channels = {}
    for site in BACKBONES[candidate.backbone].sites:

        def note(_, inputs, name=site.name):
            channels[name] = inputs[0].shape[1]

        network.get_submodule(site.name).register_forward_pre_hook(note)
    network(torch.zeros(1, 3, 8, 8))
    return channels


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_backbone_takes_every_image_size(backbone, size):
    network = build(Candidate(backbone, NARROW[backbone], "leni"), in_channels=size[0], classes=7)
    logits = network(torch.randn(3, *size))
    assert logits.shape == (3, 7)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("activation", registry.names())
def test_every_activation_builds_at_stem_and_inner_sites(activation):
    network = build(Candidate("resnet8", (4, 6, 8), activation, "stem+inner"), in_channels=1, classes=5)
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize(
    ("backbone", "placement", "chosen"),
    [
        ("resnet8", "outer", {"stages.0.0.outer", "stages.1.0.outer", "stages.2.0.outer"}),
        ("resnet8", "first", {"stem"}),
        ("resnet8", "last", {"stages.2.0.outer"}),
        ("resnet8", "stage:2", {"stages.1.0.inner", "stages.1.0.outer"}),
        ("resnet8", "every:3", {"stem", "stages.1.0.inner", "stages.2.0.outer"}),
        ("resnet8", "none", set()),
        ("vgg16_bn", "stem+stage:5", {"stages.0.0.act", "stages.4.0.act", "stages.4.1.act", "stages.4.2.act"}),
    ],
)
def test_sites_outside_the_placement_are_relu(backbone, placement, chosen):
    network = build(Candidate(backbone, NARROW[backbone], "leni", placement), in_channels=1, classes=10)
    kinds = {name: type(module) for name, module in network.named_modules() if isinstance(module, (LENI, nn.ReLU))}
    assert set(kinds) == {site.name for site in BACKBONES[backbone].sites}
    assert {name for name, kind in kinds.items() if kind is LENI} == chosen


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("placement", ["all", "stem", "every:2", "inner"])
def test_leni_adds_ten_parameters_a_channel(backbone, placement):
    relu = Candidate(backbone, NARROW[backbone], "relu")
    leni = Candidate(backbone, NARROW[backbone], "leni", placement)
    channels = site_channels(leni)
    network = build(leni, in_channels=3, classes=10)
    sites = [name for name, module in network.named_modules() if isinstance(module, LENI)]
    assert count(leni) - count(relu) == 10 * sum(channels[name] for name in sites) > 0


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    ("activation", "options"),
    [("relu", {}), ("prelu", {"per": "network"}), ("acon_c", {}), ("leni", {"transform": "dense", "norm": "batch"})],
    ids=str,
)
def test_learned_parameters_of_the_row_are_those_of_the_network(backbone, activation, options):
    candidate = Candidate(backbone, NARROW[backbone], activation, "all", options)
    learned = registry.get(activation).learned
    extra = sum(learned(channels, **dict(candidate.options)) for channels in site_channels(candidate).values())
    assert count(candidate) - count(Candidate(backbone, NARROW[backbone], "relu")) == extra


def test_options_reach_the_modules():
    options = {"init_std": 0.0, "init_slope": 0.5, "decay": True, "kernel_size": 5, "norm": "batch"}
    network = build(Candidate("resnet8", (4, 8, 16), "leni", "inner", options), in_channels=1, classes=10)
    for module in [module for module in network.modules() if isinstance(module, LENI)]:
        assert (module.init_std, module.init_slope, module.decay) == (0.0, 0.5, True)
        assert module.kernel.shape[-2:] == (5, 5)
        assert module.norm is not None


@pytest.mark.parametrize("backbone", BACKBONES)
def test_same_seed_gives_the_same_network(backbone):
    candidate = Candidate(backbone, NARROW[backbone], "leni", lr_factor=3.0)
    networks = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        networks.append(build(candidate, in_channels=1, classes=10).state_dict())
    assert list(networks[0]) == list(networks[1])
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    assert any(not torch.equal(networks[0][name], networks[2][name]) for name in networks[0])


CRELU = ("crelu", {})
OPEN_LENI = ("leni", {"compression": "none"})


@pytest.mark.parametrize(("activation", "options"), [CRELU, OPEN_LENI], ids=str)
def test_concatenation_halves_the_convolution_before_it(activation, options):
    network = build(Candidate("resnet8", (4, 8, 16), activation, "stem+inner", options), in_channels=1, classes=10)
    assert network.conv.out_channels == network.bn.num_features == 2
    for stage, width in zip(network.stages, (4, 8, 16), strict=True):
        block = stage[0]
        assert (block.conv1.out_channels, block.conv2.in_channels, block.conv2.out_channels) == (
            width // 2,
            width,
            width,
        )
    vgg = build(Candidate("vgg16_bn", (4, 6, 8, 10, 12), activation, "all", options), in_channels=1, classes=10)
    convolutions = [module for module in vgg.modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    assert [layer.out_channels for layer in convolutions] == [2] * 2 + [3] * 2 + [4] * 3 + [5] * 3 + [6] * 3
    assert vgg(torch.randn(2, 1, 8, 8)).shape == network(torch.randn(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("refusing", [build, cost])
@pytest.mark.parametrize(("activation", "options"), [CRELU, OPEN_LENI], ids=str)
@pytest.mark.parametrize(
    ("backbone", "widths", "placement", "error", "sentence"),
    [
        ("resnet8", (4, 8, 16), "all", CandidateError, "site stages.0.0.outer stands after a residual sum"),
        ("resnet8", (4, 8, 16), "last", CandidateError, "site stages.2.0.outer stands after a residual sum"),
        ("resnet8", (5, 8, 16), "stem", InfeasibleWidth, "site stem: .* divisible by 2, got 5"),
        ("resnet8", (4, 8, 15), "inner", InfeasibleWidth, "site stages.2.0.inner: .* divisible by 2, got 15"),
        ("vgg16_bn", (4, 4, 4, 4, 3), "inner", InfeasibleWidth, "site stages.4.0.act: .* divisible by 2, got 3"),
    ],
)
def test_concatenation_is_refused_where_it_cannot_go(
    refusing, activation, options, backbone, widths, placement, error, sentence
):
    given = {"in_channels": 1} if refusing is build else {"input_shape": (1, 8, 8)}
    with pytest.raises(error, match=sentence) as caught:
        refusing(Candidate(backbone, widths, activation, placement, options), classes=10, **given)
    assert type(caught.value) is error


@pytest.mark.parametrize("refusing", [build, cost])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"transform": "grouped", "groups": 8}, "site stem: LENI: `channels` .=4. must be divisible by `groups` .=8."),
        ({"groups": 2}, "site stem: LENI: `groups` .=2. goes with transform='grouped', not with 'depthwise'"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused_as_a_candidate(refusing, options, sentence):
    given = {"in_channels": 1} if refusing is build else {"input_shape": (1, 8, 8)}
    with pytest.raises(CandidateError, match=sentence):
        refusing(Candidate("resnet8", (4, 8, 16), "leni", "all", options), classes=10, **given)


def test_odd_widths_outside_the_placement_are_no_obstacle():
    candidate = Candidate("resnet8", (4, 7, 9), "crelu", "stem")
    assert build(candidate, in_channels=1, classes=10)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_examples_in_the_docstrings_are_true():
    ran = doctest.testmod(importlib.import_module("spaces.building"))
    assert ran.attempted > 0
    assert ran.failed == 0
