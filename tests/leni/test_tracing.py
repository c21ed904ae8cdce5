import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from leni.block import LENI
from leni.errors import NetworkError
from leni.tracing import function_kind, is_leaf, meta_copy, module_kind, trace


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(3, 5, 1), nn.Linear(5, 7), nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.a(x))
        if x.shape[-1] > 4:
            x = F.leaky_relu(x)
        return self.act(self.b(x.permute(0, 2, 3, 1)).transpose(1, 3))


def test_trace_records_calls_with_paths_shapes_and_channel_dimensions() -> None:
    record = trace(Branches(), torch.empty(2, 3, 6, 8))

    assert [(call.kind, call.path, call.shape, call.channel_dim) for call in record.calls] == [
        ("silu", "act", (1, 5, 6, 8), 1),
        ("leaky_relu", "", (1, 5, 6, 8), 1),
        ("silu", "act", (1, 7, 8, 6), 1),
    ]
    assert record.counts == {"": 1, "a": 1, "b": 1, "act": 2}
    assert record.output.device.type == "meta"
    assert record.output.shape == (1, 7, 8, 6)


def test_trace_follows_control_flow_on_shapes() -> None:
    assert [call.kind for call in trace(Branches(), torch.empty(1, 3, 2, 2)).calls] == ["silu", "silu"]


def test_trace_of_activation_within_leaf_is_one_call() -> None:
    record = trace(nn.Sequential(nn.Conv2d(3, 4, 1), LENI(4)), torch.empty(1, 3, 5, 5))

    assert [(call.kind, call.path) for call in record.calls] == [("leni", "1")]


def test_trace_has_first_block_behind_the_stem() -> None:
    record = trace(torchvision.models.resnet18(), torch.empty(1, 3, 32, 32))

    assert record.first_block == 1
    assert trace(torchvision.models.alexnet(), torch.empty(1, 3, 64, 64)).first_block is None


class Turned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x).permute(0, 2, 3, 1))
        return F.silu(x.transpose(-1, 2))


def test_trace_follows_the_channel_dimension_through_permutations() -> None:
    calls = trace(Turned(), torch.empty(1, 3, 5, 5)).calls

    assert [call.channel_dim for call in calls] == [3, 2]


class Random(nn.Module):
    """Depends on values, so that it is run for real."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(self.act(self.conv(x)))
        return x + 1 if x.sum() > 0 else x


def test_trace_run_for_real_leaves_random_numbers_and_gradients_alone() -> None:
    network = Random().train()
    torch.manual_seed(2)
    wanted = torch.rand(3)
    torch.manual_seed(2)

    assert trace(network, torch.ones(1, 3, 4, 4)).output.device.type == "cpu"

    assert torch.equal(torch.rand(3), wanted)
    assert network.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


def test_trace_of_failing_network_names_the_module() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), nn.Linear(9, 2)))

    with pytest.raises(NetworkError, match=r"cannot trace Sequential: stopped in 1\.1 \(Linear\)"):
        trace(network, torch.empty(1, 3, 4, 4))


def test_meta_copy_has_no_data_and_keeps_sharing() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    network[2].weight = network[0].weight

    twin = meta_copy(network)

    assert {value.device.type for value in twin.state_dict().values()} == {"meta"}
    assert twin.get_parameter("2.weight") is twin.get_parameter("0.weight")
    assert {value.device.type for value in network.state_dict().values()} == {"cpu"}


def test_kinds_of_functions_and_modules_are_those_of_torch() -> None:
    assert [function_kind(name) for name in (F.relu, torch.relu_, "sigmoid_", torch.add, "__add__")] == [
        "relu",
        "relu",
        "sigmoid",
        None,
        None,
    ]
    assert [module_kind(module) for module in (nn.ReLU6(), LENI(2), nn.Conv2d(1, 1, 1), nn.Sequential())] == [
        "relu6",
        "leni",
        None,
        None,
    ]
    assert [is_leaf(module) for module in (nn.Conv2d(1, 1, 1), nn.Sequential(), Branches())] == [True, False, False]


class OnDevice(nn.Module):
    """Goes another way, or stops, where its tensors are on no device that it knows."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.act, self.way, self.shift = nn.Conv2d(3, 4, 1), nn.ReLU(), way, torch.ones(1, 4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "branch" and x.device.type == "cpu":
            return F.relu(self.act(self.conv(x)))
        if self.way == "autocast":
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                return F.relu(self.act(self.conv(x)))
        if self.way == "to":
            x = x.to("cpu")
        if self.way == "attribute":
            return F.relu(self.act(self.conv(x)) + self.shift)
        return F.relu(self.act(self.conv(x)))


@pytest.mark.parametrize("way", ["branch", "autocast", "to", "attribute"])
def test_trace_goes_the_way_of_the_networks_device(way: str) -> None:
    record = trace(OnDevice(way), torch.empty(1, 3, 4, 4))

    assert [(call.kind, call.functional) for call in record.calls] == [("relu", False), ("relu", True)]


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_trace_of_network_with_two_inputs_says_what_to_do() -> None:
    with pytest.raises(NetworkError, match="argument: 'y'; wrap a network of several inputs in a module of one"):
        trace(TwoInputs(), torch.empty(1, 3))
    with pytest.raises(NetworkError, match=r"`example_input` must be a tensor.*got tuple"):
        trace(TwoInputs(), (torch.empty(1, 3), torch.empty(1, 3)))


class Unlucky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise Exception("a class of its own.\nAnd more")


def test_trace_of_any_exception_is_a_sentence() -> None:
    with pytest.raises(NetworkError, match=r"stopped in the network itself \(Unlucky\): a class of its own$"):
        trace(Unlucky(), torch.empty(1, 3))
