"""VGG-16 with batch norm against its closed form, and on images down to one pixel."""

import pytest
import torch
from torch import nn

from spaces import BACKBONES, Candidate, build, cost

FULL = (64, 128, 256, 512, 512)


def params(widths, channels=3, classes=10):
    """Thirteen convolutions without bias, a batch norm behind each, a linear head."""
    layers = [width for width, depth in zip(widths, (2, 2, 3, 3, 3), strict=True) for _ in range(depth)]
    pairs = zip([channels, *layers], layers, strict=False)
    return sum(9 * before * width + 2 * width for before, width in pairs) + layers[-1] * classes + classes


@pytest.mark.parametrize("widths", [FULL, (8, 16, 32, 64, 64), (3, 7, 2, 5, 4), (1,) * 5], ids=str)
@pytest.mark.parametrize(("channels", "classes"), [(3, 10), (1, 7)])
def test_vgg_parameters_are_the_closed_form(widths, channels, classes):
    candidate = Candidate("vgg16_bn", widths, "relu")
    found = cost(candidate, input_shape=(channels, 32, 32), classes=classes)
    assert found.params == params(widths, channels, classes)
    if max(widths) < 100:
        network = build(candidate, in_channels=channels, classes=classes)
        assert sum(parameter.numel() for parameter in network.parameters()) == params(widths, channels, classes)


def test_vgg_convolutions_are_configuration_d():
    """The convolutions of torchvision's vgg16 have 14,714,688 parameters, 4,224 of them biases."""
    norms, head = 2 * 4_224, 512 * 10 + 10
    found = cost(Candidate("vgg16_bn", FULL, "relu"), input_shape=(3, 32, 32), classes=10)
    assert found.params == 14_714_688 - 4_224 + norms + head


def test_vgg_multiply_adds_are_the_closed_form():
    layers = [(side, width) for side, width, depth in zip((32, 16, 8, 4, 2), FULL, (2, 2, 3, 3, 3), strict=True)
              for _ in range(depth)]  # fmt: skip
    expected, before = 0, 3
    for side, width in layers:
        expected, before = expected + side * side * 9 * before * width, width
    found = cost(Candidate("vgg16_bn", FULL, "relu"), input_shape=(3, 32, 32), classes=10)
    assert found.macs == expected + 512 * 10


def test_vgg_sites_are_a_stem_and_twelve_inside_the_stages():
    sites = BACKBONES["vgg16_bn"].sites
    assert [site.role for site in sites] == ["stem"] + ["inner"] * 12
    assert [site.stage for site in sites] == [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]


@pytest.mark.parametrize("activation", ["relu", "leni", "crelu"])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 5, 33)], ids=str)
def test_vgg_takes_images_of_any_size(activation, size):
    torch.manual_seed(0)
    candidate = Candidate("vgg16_bn", (8, 10, 12, 14, 16), activation)
    network = build(candidate, in_channels=size[0], classes=5).eval()
    logits = network(torch.randn(2, *size))
    assert logits.shape == (2, 5)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])


def test_vgg_layer_is_convolution_norm_activation():
    torch.manual_seed(2)
    network = build(Candidate("vgg16_bn", (3, 4, 5, 6, 7), "prelu"), in_channels=2, classes=5).eval()
    layer, x = network.stages[0][0], torch.randn(2, 2, 6, 6)
    nn.init.uniform_(layer.bn.running_mean, -1, 1)
    expected = layer.bn(layer.conv(x))
    assert torch.allclose(layer(x), torch.where(expected > 0, expected, 0.25 * expected))
    assert network.stages[0](x).shape == (2, 3, 3, 3)
