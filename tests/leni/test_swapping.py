import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import leni.peers  # noqa: F401  registers prelu and crelu
from leni.call_sites import sites
from leni.errors import ActivationError, PlacementError
from leni.networks import load_network
from leni.swapping import swap

NETWORKS = {"resnet18": 40, "mobilenet_v2": 40, "googlenet": 48, "densenet121": 40, "vgg11_bn": 40}


def params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def built(name: str) -> nn.Module:
    torch.manual_seed(1)
    options = {"init_weights": False} if name == "googlenet" else {}
    network = load_network(f"torchvision:{name}", num_classes=7, **options)
    if name == "mobilenet_v2":  # its ReLU6 is no ReLU, and only a ReLU is kept exactly
        for module in network.modules():
            for child_name, child in list(module.named_children()):
                if isinstance(child, nn.ReLU6):
                    setattr(module, child_name, nn.ReLU())
    return network


SAMPLE = [pytest.param(name, marks=[pytest.mark.exhaustive] * (name in ("vgg11_bn", "resnet18"))) for name in NETWORKS]


@pytest.mark.parametrize("name", SAMPLE)  # the other tests have resnet18; vgg11_bn has nothing that these have not
def test_swap_to_leni_from_relu_keeps_outputs_and_gains_analytic_parameters(name: str) -> None:
    network, x = built(name).eval(), torch.randn(3, 3, NETWORKS[name], NETWORKS[name])
    before = copy.deepcopy(network.state_dict())

    swapped, report = swap(network, "leni", example_input=x, init_std=0)

    with torch.no_grad():
        assert (swapped(x) - network(x)).abs().max() <= 1e-6
    gained = sum(10 * site.channels for site in report.replaced)
    assert params(swapped) - params(network) == report.params == gained > 0
    assert set(report.left.values()) <= {"not chosen (head)"}
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert set(before) <= set(swapped.state_dict())
    assert [site.name for site in sites(swapped, x)] == [site.name for site in sites(network, x)]


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_swap_of_training_network_behaves_as_before_in_both_modes(name: str) -> None:
    network, x = built(name).train(), torch.randn(4, 3, 48, 48)
    swapped, _ = swap(network, "leni", example_input=x, init_std=0)

    assert all(module.training for module in swapped.modules())
    for mode in (True, False):
        torch.manual_seed(3)
        wanted = network.train(mode)(x)
        torch.manual_seed(3)
        got = swapped.train(mode)(x)
        assert type(got) is type(wanted)
        pairs = [(got, wanted)] if isinstance(got, Tensor) else list(zip(got, wanted, strict=True))
        assert all(torch.allclose(a, b, atol=1e-6, rtol=0) for a, b in pairs)
    for key, value in network.state_dict().items():
        assert torch.equal(value, swapped.state_dict()[key])  # batch statistics moved alike


def test_swap_loads_checkpoints_both_ways() -> None:
    network, x = built("resnet18").eval(), torch.randn(1, 3, 32, 32)
    parametric, _ = swap(network, "leni", example_input=x)
    plain, report = swap(parametric, "relu", example_input=x)

    assert report.params == -sum(10 * site.channels for site in report.replaced)
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain(x), network(x))
    assert not parametric.load_state_dict(network.state_dict(), strict=False).unexpected_keys
    assert not network.load_state_dict(parametric.state_dict(), strict=False).missing_keys


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.ReLU()

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        x = self.act(self.b(self.act(self.a(x))))
        x = F.dropout(F.relu(x - 0.1, inplace=True), training=self.training)
        x = torch.relu(x - 0.1) if scale is None else x * scale
        return (x - 0.1).relu_()


def test_swap_of_reused_and_functional_calls_gives_each_its_module() -> None:
    network, x = Toy().eval(), torch.randn(2, 3, 5, 5)

    swapped, report = swap(network, "leni", example_input=x, init_std=0)

    children = dict(swapped.named_children())
    assert [site.name for site in report.replaced] == ["act", "act_2", "relu", "relu_2", "relu_3"]
    assert [children[site.name].channels for site in report.replaced] == [4, 6, 6, 6, 6]
    assert torch.allclose(swapped(x), network(x), atol=1e-6, rtol=0)
    assert not torch.equal(swapped.train()(x), swapped.eval()(x))  # dropout is on in training alone
    assert isinstance(swapped, Toy)


def test_swap_of_second_call_alone_leaves_the_first() -> None:
    network, x = Toy().eval(), torch.randn(2, 3, 5, 5)

    swapped, report = swap(network, "leni", "sites:act_2,relu_2", example_input=x, init_slope=1.0, init_std=0)

    assert [site.name for site in report.replaced] == ["act_2", "relu_2"]
    h = F.relu(network.a(x))
    wanted = F.relu(F.relu(network.b(h) - 0.1) - 0.2)
    assert torch.allclose(swapped(x), wanted, atol=1e-6)
    first, _ = swap(network, "leni", "sites:act", example_input=x, init_std=0)
    assert [site.kind for site in sites(first, x)] == ["leni", "relu", "relu", "relu", "relu"]
    assert isinstance(first.get_submodule("act_2"), nn.ReLU)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Toy()
        self.inner.a, self.inner.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


def test_swap_of_module_called_twice_gives_each_call_its_modules() -> None:
    network, x = Twice().eval(), torch.randn(2, 4, 5, 5)

    swapped, report = swap(network, "leni", example_input=x, init_std=0)

    assert len(report.replaced) == 10
    assert torch.allclose(swapped(x), network(x), atol=1e-6, rtol=0)
    assert params(swapped) - params(network) == 10 * 4 * 10


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.act(x) + x  # both summands are ReLU(x)


def test_swap_leaves_site_alone_whose_input_is_read_after_it_changed() -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 4, 4)

    swapped, report = swap(network, "leni", example_input=x)

    assert list(report.left) == ["act"]
    assert "in place" in report.left["act"]
    assert torch.equal(swapped(x), network(x))


def test_swap_leaves_channels_last_alone_unless_named_and_channel_free() -> None:
    network = torchvision.models.convnext_tiny().eval()
    x = torch.randn(1, 3, 32, 32)
    name = sites(network, x)[0].name

    assert "channels in dimension 3" in swap(network, "leni", example_input=x)[1].left[name]
    assert "in dimension 3" in swap(network, "leni", f"sites:{name}", example_input=x)[1].left[name]
    assert [site.name for site in swap(network, "silu", f"sites:{name}", example_input=x)[1].replaced] == [name]


def test_swap_leaves_gates_alone_unless_chosen() -> None:
    network, x = torchvision.models.mobilenet_v3_small().eval(), torch.randn(1, 3, 32, 32)

    assert len(swap(network, "leni", example_input=x).report.replaced) == 23
    assert {site.role for site in swap(network, "leni", "gate", example_input=x).report.replaced} == {"gate"}
    left = swap(network, "leni", "head", example_input=x).report.left["classifier.1"]
    assert "cannot be applied to (1, 1024)" in left


@pytest.mark.parametrize(("activation", "options"), [("crelu", {}), ("leni", {"compression": "none"})])
def test_swap_to_doubling_activation_halves_convolution_before_it(activation: str, options: dict[str, str]) -> None:
    network, x = built("resnet18").eval(), torch.randn(1, 3, 32, 32)

    swapped, report = swap(network, activation, example_input=x, **options)

    assert swapped(x).shape == (1, 7)
    assert [site.role for site in report.replaced] == ["stem"] + ["inner"] * 8
    assert swapped.get_submodule("layer2.0.conv1").out_channels == 64
    assert swapped.get_submodule("layer2.0.bn1").num_features == 64
    assert params(swapped) - params(network) == report.params < 0
    if activation == "crelu":
        assert report.macs == macs(swapped, x) - macs(network, x)
    assert "no convolution" in report.left["layer1.0.relu_2"]


def macs(network: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return int(counter.get_total_flops()) // 2


def test_swap_result_survives_copy_pickle_compile_and_export() -> None:
    x = torch.randn(2, 3, 5, 5)
    swapped, _ = swap(Toy().eval(), "leni", example_input=x)
    wanted = swapped(x)

    again = pickle.loads(pickle.dumps(swapped))
    assert torch.equal(again(x), wanted)
    assert torch.equal(copy.deepcopy(again)(x), wanted)
    assert isinstance(again, Toy)
    again.load_state_dict(swapped.state_dict())
    assert torch.allclose(torch.compile(swapped, backend="eager", fullgraph=True)(x), wanted)
    assert torch.allclose(torch.export.export(swapped, (x,)).module()(x), wanted)


def test_swap_keeps_dtype_and_flags() -> None:
    network = built("resnet18").double().eval()
    network.layer1.train()

    swapped, _ = swap(network, "leni", example_input=torch.empty(1, 3, 32, 32, dtype=torch.float64))

    assert {parameter.dtype for parameter in swapped.parameters()} == {torch.float64}
    assert swapped.get_submodule("layer1.0.relu").training
    assert not swapped.get_submodule("layer2.0.relu").training


def test_swap_report_prints_one_line_a_site_and_a_total() -> None:
    _, report = swap(built("resnet18"), "leni", "inner", example_input=torch.empty(1, 3, 32, 32))

    lines = str(report).splitlines()
    assert len(lines) == 1 + 17 + 1
    assert lines[2].split() == ["layer1.0.relu", "inner", "1", "relu", "64", "8x8", "leni", "+640", "+40,960"]
    assert lines[1].endswith("left alone: not chosen (stem)")
    assert "leni at 8 of 17 call sites (placement inner): +19,200 parameters" in lines[-1]


def test_swap_with_unknown_words_raises() -> None:
    network, x = built("resnet18"), torch.empty(1, 3, 32, 32)
    with pytest.raises(ActivationError, match="lenny"):
        swap(network, "lenny", example_input=x)
    with pytest.raises(ActivationError, match="kernel"):
        swap(network, "leni", example_input=x, kernel=3)
    with pytest.raises(PlacementError, match="gate"):
        swap(network, "leni", "gate", example_input=x)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 1), nn.ReLU()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(self.act(self.a(x)))) * self.scale


@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
    ],
)
def test_swap_to_doubling_activation_leaves_convolution_with_computed_weight(norm) -> None:
    network, x = Normed(), torch.randn(2, 3, 5, 5)
    norm(network.a)

    swapped, report = swap(network, "crelu", example_input=x)

    assert report.left == {"act": "the weight of a, the convolution before it, is computed from other parameters"}
    assert swapped(x).shape == network(x).shape


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def test_swap_in_parametrized_forward_keeps_its_outputs_and_parametrization() -> None:
    network, x = Normed().eval(), torch.randn(2, 3, 5, 5)
    nn.utils.parametrize.register_parametrization(network, "scale", Halved())

    swapped, report = swap(network, "leni", example_input=x, init_std=0)

    assert len(report.replaced) == 2
    assert torch.allclose(copy.deepcopy(swapped)(x), network(x), atol=1e-6, rtol=0)
    with torch.no_grad():
        swapped.parametrizations.scale.original.mul_(3)
    assert torch.allclose(swapped(x), 3 * network(x), atol=1e-6, rtol=0)


class Frozen(Normed):
    """Its second activation is called where gradients are off."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = F.relu(self.b(self.act(self.a(x))))
        return x * self.scale


def test_swap_leaves_calls_alone_whose_context_a_rewired_forward_would_lose() -> None:
    network, x = Frozen(), torch.randn(1, 3, 4, 4)

    swapped, report = swap(network, "leni", example_input=x, init_std=0)

    assert list(report.left) == ["relu"]
    assert "under torch.no_grad" in report.left["relu"]
    swapped(x).sum().backward()
    assert swapped.a.weight.grad is None


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.fx.symbolic_trace])
def test_swap_in_wrapped_or_traced_network_keeps_its_outputs(wrap) -> None:
    network, x = Normed().eval(), torch.randn(2, 3, 5, 5)

    swapped, report = swap(wrap(network), "leni", example_input=x, init_std=0)

    assert len(report.replaced) == 2
    assert torch.allclose(copy.deepcopy(swapped)(x), network(x), atol=1e-6, rtol=0)


class Tokens(nn.Module):
    def __init__(self, activation: object = "relu") -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, activation=activation, batch_first=True, dropout=0.0)
        self.rnn = nn.LSTM(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(self.layer(x.flatten(2).transpose(1, 2)))[0]


def test_swap_leaves_hidden_activations_alone_and_says_why() -> None:
    x = torch.randn(1, 6, 2, 2)

    _, report = swap(Tokens(), "leni", example_input=x)

    assert list(report.left) == ["layer.relu", "rnn.tanh"]
    assert "no feature map" in report.left["layer.relu"]
    assert "LSTM computes it inside one operation of torch" in report.left["rnn.tanh"]
    assert "left alone: LSTM computes" in str(report)


def test_swap_in_transformer_layer_is_not_passed_by_in_evaluation() -> None:
    network, x = Tokens(nn.ReLU()).eval(), torch.randn(1, 6, 2, 2)

    swapped, report = swap(network, "silu", "sites:layer.activation", example_input=x)

    assert len(report.replaced) == 1
    with torch.no_grad():
        got = swapped(x)
        layer = swapped.layer
        h = x.flatten(2).transpose(1, 2)
        h = layer.norm1(h + layer.self_attn(h, h, h)[0])
        wanted = swapped.rnn(layer.norm2(h + layer.linear2(F.silu(layer.linear1(h)))))[0]
    assert torch.allclose(got, wanted, atol=1e-6)
