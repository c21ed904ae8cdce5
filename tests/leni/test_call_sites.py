import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from leni.call_sites import CallSite, sites
from leni.errors import NetworkError
from leni.networks import default_input_size, load_network

# /shared/leni.md, "Call sites are not modules".
COUNTS = {
    "alexnet": 7,
    "vgg16_bn": 15,
    "resnet18": 17,
    "resnet50": 49,
    "densenet121": 121,
    "mobilenet_v2": 35,
    "mobilenet_v3_small": 33,
    "googlenet": 57,
    "inception_v3": 94,
    "squeezenet1_1": 26,
    "shufflenet_v2_x0_5": 37,
    "mnasnet0_5": 35,
    "efficientnet_b0": 49,
}


def network_without_init(name: str) -> nn.Module:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return load_network(f"torchvision:{name}", **options)


@pytest.mark.parametrize("name", COUNTS)
def test_sites_of_torchvision_networks_have_the_known_counts(name: str) -> None:
    found = sites(network_without_init(name), torch.empty(1, *default_input_size(f"torchvision:{name}"), device="meta"))

    assert len(found) == COUNTS[name]
    assert len({site.name for site in found}) == len(found)


def test_sites_of_resnet18_have_channels_stages_and_roles() -> None:
    found = sites(torchvision.models.resnet18(), torch.empty(1, 3, 64, 64))

    assert found[0] == CallSite("relu", "relu", 64, 1, (32, 32), 0, "stem", "relu", False)
    assert found[1] == CallSite("layer1.0.relu", "relu", 64, 1, (16, 16), 1, "inner", "layer1.0.relu", False)
    assert found[2] == CallSite("layer1.0.relu_2", "relu", 64, 1, (16, 16), 1, "outer", "layer1.0.relu", False)
    assert [site.channels for site in found[1:]] == [64] * 4 + [128] * 4 + [256] * 4 + [512] * 4
    assert [site.stage for site in found[1:]] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert [site.role for site in found[1:]] == ["inner", "outer"] * 8


def test_sites_in_squeeze_and_excitation_are_gates_and_sigmoids_none() -> None:
    found = sites(torchvision.models.mobilenet_v3_small(), torch.empty(1, 3, 64, 64))

    gates = [site for site in found if site.role == "gate"]
    assert [site.name for site in gates] == [
        f"features.{i}.block.{1 if i == 1 else 2}.activation" for i in (1, 4, 5, 6, 7, 8, 9, 10, 11)
    ]
    assert {site.spatial for site in gates} == {(1, 1)}
    assert [site.name for site in found if site.role == "head"] == ["classifier.1"]
    assert "hardsigmoid" not in {site.kind for site in found}


@pytest.mark.parametrize("side", [32, 96])
def test_sites_gates_are_found_where_feature_maps_are_one_pixel(side: int) -> None:
    found = sites(torchvision.models.efficientnet_b0(), torch.empty(1, 3, side, side))

    assert sum(site.role == "gate" for site in found) == 16
    assert sum(site.role == "head" for site in found) == 0


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        x = torch.relu(x + 1).relu_()
        x = F.silu(self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))
        return x * torch.sigmoid(x)


def test_sites_of_functions_are_named_after_their_caller() -> None:
    found = sites(Functional(), torch.empty(2, 3, 8, 8))

    assert [(site.name, site.kind, site.role) for site in found] == [
        ("relu", "relu", "stem"),
        ("relu_2", "relu", "inner"),
        ("relu_3", "relu", "inner"),
        ("silu", "silu", "head"),
    ]
    assert [site.channels for site in found] == [4, 4, 4, 6]
    assert all(site.functional for site in found)


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2, stride=2)
        self.mlp = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 4))
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        return self.act(self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def test_sites_on_channels_last_have_the_channels_in_the_last_dimension() -> None:
    found = sites(ChannelsLast(), torch.empty(1, 3, 12, 8))

    assert [(site.channels, site.channel_dim, site.spatial) for site in found] == [
        (4, 1, (6, 4)),
        (16, 3, (6, 4)),
        (4, 1, (6, 4)),
    ]
    assert [site.feature_map for site in found] == [True, False, True]


def test_sites_of_one_module_in_two_places_have_the_names_of_both() -> None:
    act = nn.ReLU()
    inner = nn.Sequential(nn.Conv2d(4, 5, 1), act, nn.Conv2d(5, 6, 1), act)
    found = sites(nn.Sequential(nn.Conv2d(3, 4, 1), act, inner), torch.empty(1, 3, 4, 4))

    assert [(site.name, site.channels) for site in found] == [("1", 4), ("2.1", 5), ("2.3", 6)]


class ByValue(nn.Module):
    def __init__(self, functional: bool) -> None:
        super().__init__()
        self.conv, self.act, self.functional = nn.Conv2d(3, 4, 1), nn.ReLU(), functional

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        x = x * 2 if x.sum() > 0 else x
        return F.relu(x) if self.functional else x


def test_sites_of_untraceable_network_are_its_modules_called_once() -> None:
    assert [site.name for site in sites(ByValue(False), torch.ones(1, 3, 4, 4))] == ["act"]


def test_sites_of_untraceable_network_with_functions_says_what_stopped_the_tracing() -> None:
    with pytest.raises(NetworkError, match=r"stopped in the network itself \(ByValue\).*meta.*the function relu"):
        sites(ByValue(True), torch.ones(1, 3, 4, 4))


def test_sites_with_wrong_input_says_which_layer_refused_it() -> None:
    with pytest.raises(NetworkError, match=r"stopped in conv1 \(Conv2d\)"):
        sites(torchvision.models.resnet18(), torch.empty(1, 4, 32, 32))


def test_sites_leaves_network_unchanged() -> None:
    network = torchvision.models.resnet18().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    sites(network, torch.ones(1, 3, 32, 32))

    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in network.modules())


class CoarseGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(F.avg_pool2d(x, 2)))
        return F.relu(self.conv(x)) * F.interpolate(gate, scale_factor=2)


def test_sites_sigmoid_of_gate_at_lower_resolution_is_none() -> None:
    assert [site.kind for site in sites(CoarseGate(), torch.empty(1, 3, 8, 8))] == ["relu"]


class Encoder(nn.Module):
    def __init__(self, recurrent: type[nn.Module] | None = None, **options: object) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 8, 2, stride=2), nn.ReLU()
        if recurrent is None:
            layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)
            self.body = nn.TransformerEncoder(layer, 2)
        else:
            self.body = recurrent(8, 5, **options)

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(self.act(self.conv(x)).flatten(2).transpose(1, 2))
        return out if isinstance(out, Tensor) else out[0]


@pytest.mark.parametrize(
    ("wrap", "inside"),
    [(nn.DataParallel, "module"), (torch.compile, "_orig_mod"), (torch.optim.swa_utils.AveragedModel, "module")],
)
def test_sites_of_wrapped_network_are_those_inside(wrap, inside) -> None:
    network, x = torchvision.models.squeezenet1_1(), torch.empty(1, 3, 32, 32)
    assert [site.name for site in sites(wrap(network), x)] == [f"{inside}.{site.name}" for site in sites(network, x)]


def test_sites_inside_transformer_layers_are_found() -> None:
    for options, name in (({}, "relu"), ({"activation": F.gelu}, "gelu"), ({"activation": nn.ReLU()}, "activation")):
        found = sites(Encoder(**options), torch.empty(1, 3, 4, 4))

        assert [site.name for site in found] == ["act", f"body.layers.0.{name}", f"body.layers.1.{name}"]
        assert [(site.channels, site.channel_dim) for site in found] == [(8, 1), (12, 2), (12, 2)]


def test_sites_inside_recurrent_layers_are_said_to_be_hidden() -> None:
    for kind, options, name in (
        (nn.RNN, {"nonlinearity": "relu"}, "relu"),
        (nn.LSTM, {}, "tanh"),
        (nn.GRU, {}, "tanh"),
    ):
        _, site = sites(Encoder(kind, **options), torch.empty(1, 3, 4, 4))

        assert (site.name, site.kind, site.channels, site.module) == (f"body.{name}", name, 5, "body")
        assert site.hidden.startswith(f"{kind.__name__} computes it inside one operation of torch")


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.scale = nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.act(self.conv(x)) * self.scale)


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_sites_of_parametrized_blocks_and_layers_are_those_without() -> None:
    network, x = nn.Sequential(Scaled(), Scaled()), torch.empty(1, 3, 4, 4)
    plain = sites(network, x)

    nn.utils.parametrize.register_parametrization(network[0], "scale", Doubled())
    nn.utils.parametrizations.weight_norm(network[1].conv)

    assert len(plain) == 4
    assert sites(network, x) == plain
