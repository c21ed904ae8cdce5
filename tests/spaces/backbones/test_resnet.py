"""CIFAR ResNets against closed forms and published counts."""

import pytest
import torch
from torch import nn

from spaces import BACKBONES, Candidate, build, cost

DEPTHS = (8, 20, 32, 56)


def params(depth, widths, channels=3, classes=10):
    """Convolutions without bias, a batch norm behind each, 1x1 shortcuts where size or width change, a linear head."""
    blocks, total, before = (depth - 2) // 6, 9 * channels * widths[0] + 2 * widths[0], widths[0]
    for stage, width in enumerate(widths):
        first = 9 * before * width + 9 * width**2 + 4 * width
        first += before * width + 2 * width if stage > 0 or before != width else 0
        total += first + (blocks - 1) * (18 * width**2 + 4 * width)
        before = width
    return total + before * classes + classes


def macs(depth, widths, side, channels=3, classes=10):
    """Multiply-adds of the convolutions and the head, for an even image that can be halved twice."""
    blocks, total, before = (depth - 2) // 6, 9 * channels * widths[0] * side**2, widths[0]
    for stage, width in enumerate(widths):
        area = (side >> stage) ** 2
        total += area * (9 * before * width + 9 * width**2 * (2 * blocks - 1))
        total += area * before * width if stage > 0 else 0
        before = width
    return total + before * classes


@pytest.mark.parametrize("depth", [8, 20])
@pytest.mark.parametrize("widths", [(16, 32, 64), (4, 8, 16), (5, 5, 5), (7, 3, 11), (1, 1, 1)], ids=str)
def test_resnet_counts_are_the_closed_form(depth, widths):
    candidate = Candidate(f"resnet{depth}", widths, "relu")
    network = build(candidate, in_channels=3, classes=10)
    assert sum(parameter.numel() for parameter in network.parameters()) == params(depth, widths)
    found = cost(candidate, input_shape=(3, 16, 16), classes=10)
    assert (found.params, found.macs) == (params(depth, widths), macs(depth, widths, 16))


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85)])
def test_resnet_has_the_published_parameters(depth, millions):
    """1512.03385, table 6; its shortcuts have no parameters, ours 2,752."""
    found = cost(Candidate(f"resnet{depth}", (16, 32, 64), "relu"), input_shape=(3, 32, 32), classes=10)
    assert found.params == params(depth, (16, 32, 64))
    assert (found.params - 2752) / 1e6 == pytest.approx(millions, abs=0.006)
    assert found.params / 1e6 == pytest.approx(millions, abs=0.011)


def test_resnet20_counts_by_hand():
    found = cost(Candidate("resnet20", (16, 32, 64), "relu"), input_shape=(3, 32, 32), classes=10)
    assert found.params == 269_722 + 2_752
    assert found.macs == 40_551_040 + 2 * 131_072


@pytest.mark.parametrize("depth", DEPTHS)
def test_resnet_has_as_many_layers_and_sites_as_its_depth_says(depth):
    network = build(Candidate(f"resnet{depth}", (2, 2, 2), "relu"), in_channels=1, classes=10)
    weighted = [module for name, module in network.named_modules()
                if isinstance(module, (nn.Conv2d, nn.Linear)) and "shortcut" not in name]  # fmt: skip
    assert len(weighted) == depth
    sites = BACKBONES[f"resnet{depth}"].sites
    assert len(sites) == depth - 1
    assert [sum(site.role == role for site in sites) for role in ("stem", "inner", "outer")] == [
        1,
        (depth - 2) // 2,
        (depth - 2) // 2,
    ]


def test_block_is_two_convolutions_and_a_shortcut():
    torch.manual_seed(1)
    network = build(Candidate("resnet8", (3, 5, 4), "relu"), in_channels=2, classes=6).eval()
    x = torch.randn(2, 3, 8, 8)
    block = network.stages[1][0]
    for norm in (block.bn1, block.bn2, block.shortcut[1]):
        nn.init.uniform_(norm.running_mean, -1, 1)
    by_hand = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))) + block.shortcut(x[..., ::2, ::2])
    assert torch.equal(block(x), torch.relu(by_hand))
    assert block(x).shape == (2, 5, 4, 4)
    assert isinstance(network.stages[0][0].shortcut, nn.Identity)


def test_no_1x1_convolution_has_a_stride():
    """The gradient of its weights crashes the process on some CPUs (see `BasicBlock.forward`)."""
    network = build(Candidate("resnet20", (3, 5, 4), "relu"), in_channels=2, classes=6)
    strided = [
        layer.kernel_size for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)
    ]
    assert strided == [(3, 3)] * 2


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("size", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 1, 1)], ids=str)
def test_resnet_takes_images_of_any_size(depth, size):
    network = build(Candidate(f"resnet{depth}", (2, 3, 4), "relu"), in_channels=size[0], classes=5).eval()
    assert network(torch.randn(2, *size)).shape == (2, 5)
