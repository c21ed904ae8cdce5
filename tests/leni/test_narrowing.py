from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from leni.errors import NetworkError
from leni.narrowing import narrow
from leni.recording import tensors_in
from leni.swapping import swap

EXAMPLE = torch.empty(1, 3, 32, 32)


def resnet() -> nn.Module:
    torch.manual_seed(2)
    return torchvision.models.resnet18(num_classes=7)


def out_channels(network: nn.Module) -> list[int]:
    return [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("ratio", [0.3, 0.001, 1.0])
def test_narrow_rounds_every_channel_count_and_keeps_the_outputs(ratio: float) -> None:
    network = resnet()

    narrower = narrow(network, ratio, example_input=EXAMPLE)

    assert out_channels(narrower) == [max(1, round(ratio * count)) for count in out_channels(network)]
    assert narrower(torch.randn(2, 3, 32, 32)).shape == (2, 7)


def test_narrow_of_one_stage_leaves_the_others() -> None:
    narrower = narrow(resnet(), 0.5, stages={2}, example_input=EXAMPLE)

    assert out_channels(narrower) == [64] * 5 + [64] * 5 + [256] * 5 + [512] * 5


def test_narrow_leaves_original_unchanged_and_starts_from_the_seed() -> None:
    network = resnet().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()

    first, second = (narrow(network, 0.5, example_input=EXAMPLE, seed=5) for _ in range(2))
    other = narrow(network, 0.5, example_input=EXAMPLE, seed=6)

    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.conv1.weight, second.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    assert not torch.equal(first.conv1.weight, network.conv1.weight[:32])
    assert not any(module.training for module in first.modules())


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 12, 1)
        self.b = nn.Conv2d(12, 12, 3, groups=3)
        self.c = nn.Conv2d(12, 12, 3, groups=12)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.c(torch.relu(self.b(self.a(x))))).mean((2, 3)))


def test_narrow_keeps_groups_and_depthwise_convolutions() -> None:
    narrower = narrow(Grouped(), 0.35, example_input=EXAMPLE)

    convolutions = [module for module in narrower.modules() if isinstance(module, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels, layer.groups) for layer in convolutions] == [
        (3, 3, 1),  # round(0.35 * 4) in each of the three groups
        (3, 3, 3),
        (3, 3, 3),
    ]
    assert narrower(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_narrow_then_swap_trains() -> None:
    network, report = swap(narrow(resnet(), 0.25, example_input=EXAMPLE), "leni", example_input=EXAMPLE)

    network(torch.randn(2, 3, 32, 32)).sum().backward()

    assert len(report.replaced) == 17
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_narrow_refuses_what_it_cannot_do() -> None:
    for ratio in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(NetworkError, match=r"`ratio` must be in \(0, 1\]"):
            narrow(resnet(), ratio, example_input=EXAMPLE)
    with pytest.raises(NetworkError, match=r"no stage 9; it has 0, 1, 2, 3, 4"):
        narrow(resnet(), 0.5, stages={9}, example_input=EXAMPLE)
    with pytest.raises(NetworkError, match="nothing of Linear can be narrowed: : it is an output of the network"):
        narrow(nn.Linear(32, 8), 0.5, example_input=EXAMPLE)
    swapped, _ = swap(resnet(), "leni", example_input=EXAMPLE)
    with pytest.raises(NetworkError, match="narrow the network first, then swap"):
        narrow(swapped, 0.5, example_input=EXAMPLE)


def test_narrow_takes_heads_along_that_only_training_has() -> None:
    network = torchvision.models.googlenet(init_weights=False, num_classes=7)

    narrower = narrow(network, 0.5, example_input=torch.empty(1, 3, 64, 64))

    assert narrower.aux1.conv.conv.out_channels == 64
    assert [tensor.shape for tensor in narrower.train()(torch.randn(2, 3, 64, 64))] == [(2, 7)] * 3


def test_narrow_of_shuffled_and_split_channels_keeps_halves_equal() -> None:
    narrower = narrow(torchvision.models.shufflenet_v2_x0_5(num_classes=7), 0.5, example_input=EXAMPLE)

    assert narrower.stage2[0].branch1[2].out_channels == narrower.stage2[0].branch2[5].out_channels == 12
    assert narrower(torch.randn(2, 3, 32, 32)).shape == (2, 7)


class Heads(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.a, self.b, self.way = nn.Conv2d(3, 16, 3), nn.Linear(16, 10), nn.Linear(16, 5), way

    def forward(self, x: Tensor) -> object:
        feature = torch.relu(self.conv(x))
        pooled = feature.mean((2, 3))
        a, b = self.a(pooled), self.b(pooled)
        return {"tuple": (a, b), "list": [a, [b]], "dict": {"x": a, "y": {"z": b}}}[self.way]


@pytest.mark.parametrize("way", ["tuple", "list", "dict"])
def test_narrow_keeps_the_size_of_every_output(way: str) -> None:
    narrower = narrow(Heads(way), 0.5, example_input=EXAMPLE)

    assert narrower.conv.out_channels == 8
    assert [tensor.shape for tensor in tensors_in(narrower(torch.randn(2, 3, 8, 8)))] == [(2, 10), (2, 5)]


class Twice(nn.Module):
    """A convolution that is called twice, so its inputs are as many as its outputs; functional activations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again, self.head = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 1), nn.Conv2d(12, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.head(self.again(torch.relu(self.again(x)).clamp(min=0))).mean((2, 3))


def test_narrow_of_module_called_twice_keeps_its_inputs_and_outputs_equal() -> None:
    narrower = narrow(Twice(), 0.25, example_input=EXAMPLE)

    assert narrower.stem.out_channels == narrower.again.in_channels == narrower.again.out_channels == 3
    assert narrower(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_narrow_keeps_bf16_weights() -> None:
    narrower = narrow(Twice().bfloat16(), 0.5, example_input=EXAMPLE.bfloat16())

    assert {parameter.dtype for parameter in narrower.parameters()} == {torch.bfloat16}
    assert narrower(torch.randn(2, 3, 8, 8).bfloat16()).isfinite().all()


class NormAct(nn.BatchNorm2d):
    """A batch norm with its activation, whose class the network is told, as timm's BatchNormAct2d and `act_layer`."""

    def __init__(self, channels: int, act_layer: type[nn.Module]) -> None:
        super().__init__(channels)
        self.act = act_layer()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training))


class ChannelsLast(nn.Module):
    """A block on (N, H, W, C) with layer scale and a residual sum, between convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 10, 1), nn.LayerNorm(10)
        self.up, self.down, self.head = nn.Linear(10, 22), nn.Linear(22, 10), nn.Conv2d(10, 5, 1)
        self.scale = nn.Parameter(torch.full((10,), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        x = x + self.scale * self.down(F.gelu(self.up(self.norm(x))))
        return self.head(x.permute(0, 3, 1, 2)).mean((2, 3))


@pytest.mark.parametrize(
    ("network", "widths"),
    [
        (nn.Sequential(nn.Conv2d(3, 10, 1), NormAct(10, nn.SiLU), nn.Conv2d(10, 6, 1), nn.Flatten(2)), [5, 6]),
        (ChannelsLast(), [5, 5]),
    ],
)
def test_narrow_of_blocks_with_layers_of_their_own_kind(network: nn.Module, widths: list[int]) -> None:
    narrower = narrow(network, 0.5, example_input=EXAMPLE)

    assert out_channels(narrower) == widths
    images = torch.randn(2, 3, 8, 8)
    narrower(images).sum().backward()
    assert narrower(images).shape == network(images).shape
    assert all(parameter.grad is not None for parameter in narrower.parameters())


def test_narrow_keeps_layers_whose_weight_is_computed_and_what_feeds_them() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 5, 1))
    nn.utils.parametrizations.weight_norm(layers[1])

    narrower = narrow(layers, 0.5, example_input=EXAMPLE)

    assert out_channels(narrower) == [8, 6, 2, 5]
    assert nn.utils.parametrize.is_parametrized(narrower[1], "weight")
    assert narrower(torch.randn(2, 3, 8, 8)).shape == (2, 5, 8, 8)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.conv(x) * mask


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (TwoInputs, "wrap a network of several inputs in a module of one"),
        (lambda: nn.Sequential(nn.LazyConv2d(8, 1), nn.ReLU()), "is lazy .* run the network once"),
        (lambda: torch.jit.script(Twice()), "compiled by torch.jit .* before torch.jit.script"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_narrow_of_network_that_cannot_be_read_says_what_to_pass(build: Callable[[], nn.Module], sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        narrow(build(), 0.5, example_input=EXAMPLE)
