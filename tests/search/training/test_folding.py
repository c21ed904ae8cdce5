import pytest
import torch
from torch import nn

from leni import registry
from search.training.folding import fold, replica, unfold
from spaces import Candidate, build

COUNT = 3


class Odd(nn.Module):
    """A module that no table knows, with a parameter, a buffer and a layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(()))
        self.register_buffer("seen", torch.zeros(2))
        self.inner = nn.Conv2d(4, 4, 1, bias=False)
        self.again = self.inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += x.detach().mean()
        return self.scale * self.again(torch.tanh(self.inner(x)).flip(1))


def alone_and_folded(networks: list[nn.Module], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Results (R, N, ...) of each network on its own and of the fold; x (R, N, C, ...)."""
    folded = fold(networks)
    result = folded(x.transpose(0, 1).flatten(1, 2)).unflatten(1, (len(networks), -1)).transpose(0, 1)
    return torch.stack([network(part) for network, part in zip(networks, x, strict=True)]), result


def random_numbers(network: nn.Module) -> nn.Module:
    """Parameters away from where they start, which may be zeros and ones."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return network.double()


MODULES = [
    lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
    lambda: nn.Conv2d(4, 2, 3, padding="same", dilation=2, padding_mode="circular"),
    lambda: nn.BatchNorm2d(4, momentum=0.3, affine=False),
    lambda: nn.Sequential(nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(5 * 36, 3)),
    lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3, bias=False)),
    lambda: nn.GroupNorm(2, 4),
    lambda: nn.Sequential(nn.MaxPool2d(2), nn.PReLU(), nn.PReLU(4), nn.Softmax(1)),
    Odd,
]


@pytest.mark.parametrize("create", MODULES)
def test_fold_gives_what_each_network_gives_alone(create):
    torch.manual_seed(1)
    networks = [random_numbers(create()) for _ in range(COUNT)]
    alone, folded = alone_and_folded(networks, torch.randn(COUNT, 5, 4, 6, 6, dtype=torch.float64))
    torch.testing.assert_close(folded, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in registry.names() if name != "rrelu"])
def test_fold_of_every_activation_gives_what_each_gives_alone(name):
    torch.manual_seed(2)
    networks = [random_numbers(registry.create(name, 4)) for _ in range(COUNT)]
    alone, folded = alone_and_folded(networks, torch.randn(COUNT, 5, 4, 6, 6, dtype=torch.float64))
    torch.testing.assert_close(folded, alone, rtol=1e-12, atol=1e-12)


def test_fold_has_the_names_of_one_network_and_leaves_the_networks_unchanged():
    networks = [build(Candidate("resnet8", (2, 4, 6), "meta_acon"), in_channels=3, classes=4) for _ in range(COUNT)]
    before = [{name: tensor.clone() for name, tensor in network.state_dict().items()} for network in networks]
    folded = fold(networks)
    folded(torch.randn(5, 3 * COUNT, 8, 8)).sum().backward()
    assert list(dict(folded.named_parameters())) == list(dict(networks[0].named_parameters()))
    assert list(dict(folded.named_buffers())) == list(dict(networks[0].named_buffers()))
    for network, tensors in zip(networks, before, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("create", [Odd, lambda: nn.BatchNorm2d(4), lambda: nn.Linear(4, 2)])
def test_unfold_gives_each_network_its_own_numbers_back(create):
    networks = [random_numbers(create()) for _ in range(COUNT)]
    folded = fold(networks)
    for index, network in enumerate(networks):
        again = unfold(folded, create().double(), index, COUNT)
        for name, tensor in again.state_dict().items():
            assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_batch_norm_that_reads_its_counter_cannot_be_folded():
    folded = fold([nn.BatchNorm2d(4, momentum=None) for _ in range(COUNT)])
    with pytest.raises(RuntimeError, match="vmap"):
        folded(torch.randn(5, 4 * COUNT, 6, 6))


def test_a_layer_used_twice_has_one_tensor_in_the_fold():
    folded = fold([Odd() for _ in range(COUNT)])
    assert [tuple(parameter.shape) for parameter in folded.parameters()] == [(COUNT,), (COUNT, 4, 4, 1, 1)]


def test_replica_is_a_view_of_the_part_of_each():
    weight = torch.arange(12.0).view(6, 2)
    replica(weight, 3)[1].zero_()
    assert weight.sum(1).tolist() == [1, 5, 0, 0, 17, 21]
