import sys
from types import ModuleType

import pytest
import torchvision
from torch import nn

from leni.errors import NetworkError
from leni.networks import default_input_size, load_network


def test_load_network_of_torchvision_passes_options_on() -> None:
    network = load_network("torchvision:mobilenet_v2", num_classes=7, width_mult=0.5)

    assert isinstance(network, torchvision.models.MobileNetV2)
    assert network.classifier[1].out_features == 7
    assert network.features[0][0].out_channels == 16


def test_load_network_of_own_factory_calls_it() -> None:
    layer = load_network("torch.nn:Linear", in_features=3, out_features=2)

    assert isinstance(layer, nn.Linear)
    assert layer.out_features == 2


def test_load_network_of_timm_needs_no_weights() -> None:
    pytest.importorskip("timm")

    assert load_network("timm:resnet18", num_classes=7).get_classifier().out_features == 7
    assert default_input_size("timm:inception_v4") == (3, 299, 299)


def test_load_network_without_timm_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(NetworkError, match=r"needs timm: pip install 'leni-search\[timm\]'"):
        load_network("timm:resnet18")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torchvision:resnet81", r"no classification network 'resnet81' \(near: resnet18"),
        ("torchvision:fcn_resnet50", "no classification network"),
        ("resnet18", r"package.module:factory, got 'resnet18' \(near: torchvision:resnet18"),
        ("torchvision:", "a network is named"),
        ("no.such.package:f", "there is no module 'no.such.package'"),
        ("torch.nn:Linnear", r"torch.nn has no factory 'Linnear' \(near: Linear"),
        ("math:sqrt", "cannot be built"),
    ],
)
def test_load_network_of_unknown_name_says_what_is_near(name: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        load_network(name)


def test_load_network_never_downloads_weights() -> None:
    with pytest.raises(NetworkError, match="never downloaded"):
        load_network("torchvision:resnet18", weights="DEFAULT")


def test_load_network_of_wrong_kind_or_options_raises() -> None:
    with pytest.raises(NetworkError, match=r"must give a torch\.nn\.Module, got dict"):
        load_network("builtins:dict")
    with pytest.raises(NetworkError, match="foo"):
        load_network("torchvision:resnet18", foo=3)


def test_default_input_size_is_the_networks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_networks")
    monkeypatch.setitem(sys.modules, "own_networks", module)
    module.small = lambda: nn.Identity()  # type: ignore[attr-defined]
    module.small.input_size = (1, 28, 28)  # type: ignore[attr-defined]

    assert default_input_size("torchvision:resnet18") == (3, 224, 224)
    assert default_input_size("torchvision:inception_v3") == (3, 299, 299)
    assert default_input_size("own_networks:small") == (1, 28, 28)


def sizes(network):
    return sum(parameter.numel() for parameter in network.parameters())


def swallows(width_mult=None, **others):
    """A factory that takes any width and does nothing with it."""
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 3))


def test_width_is_the_constructors_own_argument_where_it_has_one():
    network = load_network("torchvision:mobilenet_v2", width=0.5)
    assert sizes(network) == sizes(load_network("torchvision:mobilenet_v2", width_mult=0.5))


def test_width_is_by_narrowing_where_the_constructor_has_none():
    network = load_network("torchvision:alexnet", width=0.5, num_classes=10)
    assert network.features[0].out_channels == 32
    assert network.classifier[-1].out_features == 10


def test_width_that_a_factory_takes_and_ignores_is_by_narrowing():
    network = load_network(f"{__name__}:swallows", width=0.25)
    assert [layer.out_channels for layer in network if hasattr(layer, "out_channels")] == [4, 4]


@pytest.mark.parametrize("width", [0.0, 1.5, -1.0])
def test_width_out_of_range_is_refused(width):
    with pytest.raises(NetworkError, match=r"`width` must be in \(0, 1\]"):
        load_network("torchvision:alexnet", width=width)
