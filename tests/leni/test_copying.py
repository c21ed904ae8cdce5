import threading

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils import prune, spectral_norm, weight_norm

from leni.copying import copied, fake_copy, meta_copy, real_copy
from leni.errors import NetworkError


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_fake_copy_says_that_it_is_on_the_networks_device() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    twin = fake_copy(network, mode := FakeTensorMode())

    with mode:
        assert {value.device.type for value in (*twin.parameters(), *twin.buffers())} == {"cpu"}
    assert not any(value.requires_grad for value in twin.parameters())


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_copies_for_tracing_have_no_wrapper_and_the_same_paths(wrap) -> None:
    network = nn.Sequential(wrap(nn.Sequential(nn.Linear(3, 3))), nn.ReLU())

    for twin in (meta_copy(network), real_copy(network)):
        assert list(twin.state_dict()) == list(network.state_dict())
        assert type(twin[0]) is not type(network[0])
    assert type(copied(network)[0]) is type(network[0])


def with_attribute(value: object) -> nn.Module:
    network = Plain()
    network.kept = value
    return nn.Sequential(network)


def with_computed_weight(change) -> nn.Module:
    network = Plain()
    change(network.conv)
    network(torch.zeros(1, 3, 2, 2))
    return network


def with_feature() -> nn.Module:
    network = Plain()
    network.feature = network(torch.zeros(1, 3, 2, 2))
    return network


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: with_computed_weight(weight_norm), "conv.weight is computed by torch.nn.utils.weight_norm.*use torch"),
        (lambda: with_computed_weight(spectral_norm), "conv.weight is computed by torch.nn.utils.spectral_norm.*use"),
        (
            lambda: with_computed_weight(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),
            "torch.nn.utils.prune.remove",
        ),
        (with_feature, "feature is a tensor that was computed with gradients"),
        (lambda: with_attribute(threading.Lock()), "its attribute 0.kept .lock.*delete it"),
        (lambda: with_attribute(iter_of_one()), "its attribute 0.kept .generator"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "0 .LazyConv2d. is lazy.*run the network once"),
        (lambda: nn.Sequential(torch.jit.script(nn.ReLU())), "0 .RecursiveScriptModule. is compiled by torch.jit"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning", "ignore:.*deprecated:DeprecationWarning")
def test_copy_that_cannot_be_made_says_what_to_do(build, sentence: str) -> None:
    network = build()
    for make in (copied, meta_copy):
        with pytest.raises(NetworkError, match=sentence):
            make(network)


def iter_of_one():
    yield 1


class Stubborn(Plain):
    def __deepcopy__(self, memo: object) -> nn.Module:
        raise KeyError("no copies")


def test_copy_of_network_that_refuses_says_what_it_says() -> None:
    with pytest.raises(NetworkError, match="cannot copy Stubborn: 'no copies'; give the class a __deepcopy__"):
        copied(Stubborn())


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_distributed_network_is_looked_into_and_never_copied(process_group: None) -> None:
    network = nn.parallel.DistributedDataParallel(Plain())

    assert list(meta_copy(network).state_dict()) == ["module.conv.weight", "module.conv.bias"]
    with pytest.raises(NetworkError, match="pass the network inside it"):
        copied(network)
