"""Networks by name as backbones: widths, sites, building, costs, and what users do that is refused in a sentence."""

import copy
import random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from leni import LENI
from leni.errors import CandidateError, InfeasibleWidth, NetworkError, SpaceError
from spaces import Candidate, Exported, backbone, build, cost, load_exported
from spaces.exported import to_bytes
from spaces.network_presets import starting_space

SHAPE, CLASSES = (1, 8, 8), 10


def counted(network: nn.Module, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Parameters and multiply-adds of a built network, by torch's own counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(network).eval()(torch.zeros(1, *shape))
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2


def random_widths(name: str, generator: random.Random) -> tuple[int, ...]:
    row = backbone(name)
    pairs = zip(row.full_widths, row.units, strict=True)
    return tuple(unit * generator.randint(1, full // unit) for full, unit in pairs)


@pytest.mark.parametrize(
    "name", ["plain", "Residual?blocks=3", "Twice", "Auxiliary", "by_class?act_layer=Hardswish", "normalised"]
)
def test_cost_of_any_widths_equals_the_built_networks(name):
    name, generator = f"small_networks:{name}", random.Random(3)
    for activation, placement, options in [
        ("own", "all", {}), ("leni", "all", {}), ("prelu", "first", {}),
        ("leni", "last", {"compression": "dense", "norm": "batch"}), ("meta_acon", "every:2", {}),
    ]:  # fmt: skip
        candidate = Candidate(name, random_widths(name, generator), activation, placement, tuple(options.items()))
        found = cost(candidate, input_shape=SHAPE, classes=CLASSES)
        network = build(candidate, in_channels=1, classes=CLASSES)
        assert (found.params, found.macs) == counted(network, SHAPE)


def test_build_takes_gradients_in_all_layers_and_gives_the_data_sets_classes():
    candidate = Candidate("small_networks:Residual", random_widths("small_networks:Residual", random.Random(1)), "leni")
    network = build(candidate, in_channels=1, classes=3).train()
    logits = network(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert sum(isinstance(module, LENI) for module in network.modules()) == len(backbone(candidate.backbone).sites) == 6


def test_row_of_a_network_has_a_width_per_group_and_stages_by_resolution():
    row = backbone("small_networks:Residual")
    assert (row.full_widths, row.stages, row.plain) == ((16, 16, 16, 32), (1, 1, 1, 2), "relu")
    assert [site.role for site in row.sites] == ["stem", "inner", "outer", "inner", "outer", "inner"]
    assert row.kept == {"head": "it is an output of the network"}
    assert row.widths(0.5, 0.25, per="stage") == (8, 8, 8, 8)
    assert backbone("small_networks:plain").plain == "own"


def test_first_and_last_layer_are_replaced_where_the_factory_has_no_argument_for_them():
    row = backbone("small_networks:Twice")
    first, last = row.notes(1, 10)
    assert "first is built anew for images of 1 channels" in first
    assert "head is built anew for 10 classes" in last
    assert row.notes(3, 4) == ()
    network = build(Candidate(row.name, row.full_widths, "own"), in_channels=1, classes=10)
    assert (network.first.in_channels, network.head.out_features) == (1, 10)


def test_build_at_the_full_width_is_the_factorys_own_network():
    torch.manual_seed(5)
    built = build(Candidate("small_networks:Residual", (16, 16, 16, 32), "relu"), in_channels=3, classes=5).state_dict()
    from small_networks import Residual

    torch.manual_seed(5)
    for name, value in Residual().state_dict().items():
        assert torch.equal(built[name], value)


def test_narrowed_weights_have_the_variance_that_their_initialisation_means():
    torch.manual_seed(0)
    network = build(Candidate("torchvision:resnet18", (16,) * 12, "relu"), in_channels=3, classes=10)
    weight = network.layer4[1].conv2.weight  # He et al. by fan_out: 2 / (16 * 9)
    assert weight.shape == (16, 16, 3, 3)
    assert float(weight.detach().var()) == pytest.approx(2 / (16 * 9), rel=0.1)


def test_auxiliary_output_of_training_is_left_out_and_said():
    row = backbone("small_networks:Auxiliary")
    network = build(Candidate(row.name, row.full_widths, "own"), in_channels=1, classes=10).train()
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert "only the first output is trained" in row.notes(1, 10)[-1]


def test_weights_in_bfloat16_stay_so_at_any_width():
    network = build(Candidate("small_networks:half_precision", (8, 8, 8, 8), "leni"), in_channels=1, classes=10)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}


def test_batch_norm_with_an_activation_in_it_is_a_site():
    pytest.importorskip("timm")
    row = backbone("timm:mobilenetv3_small_100")
    assert {site.role for site in row.sites} == {"stem", "inner", "gate", "head"}
    candidate = Candidate(row.name, row.widths(0.5), "leni")
    network = build(candidate, in_channels=1, classes=CLASSES)
    assert (network.conv_stem.in_channels, network.classifier.out_features) == (1, 10)
    found = cost(candidate, input_shape=(1, 32, 32), classes=CLASSES)
    assert (found.params, found.macs) == counted(network, (1, 32, 32))


def test_activation_that_doubles_its_channels_halves_the_convolution_before_it_or_is_infeasible():
    name = "small_networks:Residual"
    doubled = (("compression", "none"),)
    candidate = Candidate(name, (16, 10, 16, 6), "leni", "inner", doubled)
    network = build(candidate, in_channels=1, classes=CLASSES)
    assert network.blocks[0].conv1.out_channels == 5
    found = cost(candidate, input_shape=SHAPE, classes=CLASSES)
    assert (found.params, found.macs) == counted(network, SHAPE)
    with pytest.raises(InfeasibleWidth, match="divisible by 2, got 7"):
        cost(Candidate(name, (16, 7, 16, 6), "leni", "inner", doubled), input_shape=SHAPE, classes=CLASSES)
    with pytest.raises(CandidateError, match=r"blocks\.0\.act_2: no convolution comes before it"):
        cost(Candidate(name, (16, 10, 16, 6), "leni", "outer", doubled), input_shape=SHAPE, classes=CLASSES)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("TwoInputs", "wrap a network of several inputs in a module of one"),
        ("DictOutput", "gives a dict; wrap it in a module that gives its logits"),
        ("lazy", "is lazy and its parameters have no shape yet"),
        ("scripted", "compiled by torch.jit and can be neither traced nor changed"),
        ("linear", "there is nothing to search"),
        ("missing", "small_networks has no factory 'missing'"),
        ("plain?depth=3", "cannot be built with"),
    ],
)
def test_network_that_cannot_be_searched_is_a_sentence(name, sentence):
    with pytest.raises(NetworkError, match=sentence):
        backbone(f"small_networks:{name}")


def test_options_that_follow_the_data_set_or_are_no_values_are_refused():
    for name, sentence in [
        ("timm:resnet18?num_classes=10", "num_classes cannot be given: it follows the data set"),
        ("timm:resnet18?pretrained=true", "weights come from a file"),
        ("timm:resnet18?drop_rate", "name=value"),
    ]:
        with pytest.raises(SpaceError, match=sentence):
            backbone(name)


def test_equal_options_make_equal_candidates_whatever_their_order():
    one = Candidate("small_networks:Residual?width=12&blocks=1", (12, 12, 24), "leni")
    other = Candidate("small_networks:Residual?blocks=1&width=12", (12, 12, 24), "leni")
    assert one == other
    assert Candidate.from_json(one.to_json()) == one
    assert Candidate.from_columns(one.columns()) == one


def test_widths_that_a_network_cannot_have_are_refused():
    with pytest.raises(InfeasibleWidth, match="the width of stem must be up to 16, got 17"):
        Candidate("small_networks:Residual", (17, 16, 16, 32), "relu")
    with pytest.raises(CandidateError, match="widths must be 4 numbers"):
        Candidate("small_networks:Residual", (16, 32), "relu")


def test_exported_network_of_a_candidate_loads_with_its_function(tmp_path):
    candidate = Candidate("small_networks:Residual", (8, 6, 4, 10), "leni", "stem+outer")
    exported = Exported(candidate, in_channels=1, classes=10, mean=[0.3], std=[0.2])
    (tmp_path / "network.pt").write_bytes(to_bytes(exported))
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(load_exported(tmp_path / "network.pt")(images), exported(images))
    program = torch.export.export(exported, (images,))
    assert torch.allclose(program.module()(images), exported(images), atol=1e-6)


def test_network_without_sites_can_be_narrowed():
    space = starting_space("small_networks:without_sites")
    assert {candidate.activation for candidate in space.candidates()} == {"own"}
    candidate = Candidate("small_networks:without_sites", (5, 7), "own")
    found = cost(candidate, input_shape=SHAPE, classes=CLASSES)
    assert (found.params, found.macs) == counted(build(candidate, in_channels=1, classes=CLASSES), SHAPE)
