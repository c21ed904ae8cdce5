import math
import sys
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import leni
from leni.errors import DataError, NetworkError
from leni.negative_information import SiteInformation, information
from spaces import Candidate, build


class OnePixel(nn.Module):
    """An activation on (N, C) values as a feature map, after a convolution that does nothing."""

    def __init__(self, activation: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv.weight.data = torch.eye(channels)[:, :, None, None]
        self.act = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


def measured(activation: nn.Module, x: Tensor, **options: object) -> SiteInformation:
    (row,) = information(OnePixel(activation.double(), x.shape[1]).double(), x.double(), **options)  # type: ignore
    return row


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers(row: SiteInformation) -> dict[str, float]:
    return {name: value for name, value in asdict(row).items() if not isinstance(value, str)}


KEPT = {
    "relu": ({}, 0.0),
    "relu6": ({}, 0.0),
    "leaky_relu": ({}, 0.01),
    "crelu": ({}, 1.0),
}


@pytest.mark.parametrize("name", KEPT)
def test_negative_kept_of_registered_activations_is_their_slope(name: str) -> None:
    options, slope = KEPT[name]
    row = measured(leni.create_activation(name, 6, **options), draw(5, 6, 4, 3))
    assert row.negative_kept == pytest.approx(slope, abs=1e-15)


@pytest.mark.parametrize("slope", [0.25, -0.5, 1.0, 1.75])
def test_negative_kept_of_prelu_is_the_size_of_its_slope(slope: float) -> None:
    assert measured(nn.PReLU(6, init=slope), draw(5, 6, 4, 3)).negative_kept == pytest.approx(abs(slope))


@pytest.mark.parametrize(("slope", "kept"), [(0.0, 0.0), (-1.0, 1.0), (1.0, 1.0), (0.3, 0.3)])
def test_negative_kept_of_leni_with_a_slope_is_relu_modulus_identity_and_prelu(slope: float, kept: float) -> None:
    row = measured(leni.LENI(6, init_std=0.0, init_slope=slope), draw(5, 6, 4, 3))
    assert row.negative_kept == pytest.approx(kept, abs=1e-7)  # K is made in float32


@pytest.mark.parametrize("options", [{}, {"compression": "none"}, {"norm": "batch"}, {"transform": "dense"}])
def test_negative_kept_of_leni_is_the_mass_of_its_transform(options: dict) -> None:
    torch.manual_seed(1)
    block = leni.LENI(4, init_std=0.4, **options).double()
    if block.norm is not None:
        block.norm.bias.data.fill_(0.7)
        block.norm.running_mean.fill_(-0.2)
    x = draw(3, 4, 6, 5)
    negative = x.clamp(max=0)
    transformed = F.conv2d(negative, block.kernel.detach(), padding=1, groups=block.groups)
    if block.norm is not None:
        transformed = (
            transformed * (block.norm.weight.detach() / (block.norm.running_var + block.norm.eps).sqrt())[:, None, None]
        )
    assert measured(block, x).negative_kept == pytest.approx(float(transformed.abs().sum() / negative.abs().sum()))


def test_negative_kept_of_leni_that_amplifies_is_above_one() -> None:
    block = leni.LENI(2, init_std=0.0)
    block.kernel.data.fill_(1.0)
    assert measured(block, -torch.ones(1, 2, 3, 3)).negative_kept == pytest.approx(
        49 / 9
    )  # corners 4, edges 6, centre 9


@pytest.mark.parametrize(("name", "function"), [("gelu", F.gelu), ("silu", F.silu), ("elu", F.elu), ("mish", F.mish)])
def test_negative_kept_of_elementwise_activations_is_their_mass_below_zero(name: str, function: object) -> None:
    x = draw(4, 3, 5, 5, seed=3)
    below = x[x < 0]
    wanted = float(function(below).abs().sum() / below.abs().sum())  # type: ignore
    assert measured(leni.create_activation(name, 3), x).negative_kept == pytest.approx(wanted)


def test_negative_kept_of_sigmoid_is_measured_from_its_value_at_zero() -> None:
    x = draw(4, 3, 5, 5)
    below = x[x < 0]
    wanted = float((torch.sigmoid(below) - 0.5).abs().sum() / below.abs().sum())
    assert measured(nn.Sigmoid(), x).negative_kept == pytest.approx(wanted)


def test_negative_kept_without_negative_input_is_nan() -> None:
    assert math.isnan(measured(nn.ReLU(), draw(2, 3, 4, 4).abs()).negative_kept)


def test_dead_channels_are_those_that_stay_at_zero() -> None:
    x = draw(6, 8, 3, 3).abs() + 0.1
    x[:, [1, 4, 6]] *= -1
    x[3, 4, 2, 1] = 0.5  # one value of one image is enough
    assert measured(nn.ReLU(), x).dead == 2 / 8
    assert measured(nn.PReLU(8), x).dead == 0
    assert measured(leni.create_activation("crelu", 8), x).dead == (2 + 5) / 16


def test_dead_channels_of_silu_are_those_far_out_in_its_tail() -> None:
    x = draw(6, 4, 3, 3)
    x[:, 2] = -22.0 - x[:, 2].abs()
    x[:, 3] = -9.0 - x[:, 3].abs()
    assert bool((F.silu(x) != 0).all())
    assert measured(nn.SiLU(), x).dead == 1 / 4


def test_dead_channels_where_nothing_is_alive_are_all() -> None:
    row = measured(nn.ReLU(), -draw(6, 4, 3, 3).abs())
    assert (row.dead, row.effective_rank, row.entropy) == (1.0, 0.0, 0.0)


def test_effective_rank_of_known_covariances() -> None:
    signs = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)  # uncorrelated
    identity = nn.PReLU(init=1.0)
    for scales in ([1, 1, 1], [1, 2, 3], [1, 0, 0], [5, 5, 0]):
        variances = torch.tensor(scales, dtype=torch.float64) ** 2
        shares = variances[variances > 0] / variances.sum()
        x = (signs * torch.tensor(scales) + torch.tensor([100.0, -3, 0]))[:, :, None, None]
        assert measured(identity, x).effective_rank == pytest.approx(float((-shares * shares.log()).sum().exp()))


def test_effective_rank_does_not_depend_on_the_channels_basis() -> None:
    x = draw(50, 5, 3, 3) * torch.arange(1, 6)[:, None, None]
    turned = torch.einsum("dc,nchw->ndhw", torch.linalg.qr(draw(5, 5, seed=1)).Q, x)
    identity = nn.PReLU(init=1.0)
    assert measured(identity, turned).effective_rank == pytest.approx(measured(identity, x).effective_rank)


def test_effective_rank_of_copies_is_one_and_of_a_constant_none() -> None:
    x = draw(9, 1, 3, 3).repeat(1, 4, 1, 1) * torch.tensor([1.0, -2, 3, 0.1])[:, None, None] + 7.3
    assert measured(nn.PReLU(init=1.0), x).effective_rank == pytest.approx(1.0)
    still = draw(1, 64, 1, 1).expand(100, 64, 3, 3)  # their means are not exact
    network = OnePixel(nn.PReLU(init=1.0), 64).double()
    assert information(network, still.split(37))[0].effective_rank == 0.0


def test_effective_rank_of_too_many_channels_is_nan_and_the_rest_is_there() -> None:
    x = draw(9, 4, 3, 3)
    few, many = measured(nn.ReLU(), x, max_channels=3), measured(nn.ReLU(), x)
    assert math.isnan(few.effective_rank)
    assert {**asdict(few), "effective_rank": 0} == {**asdict(many), "effective_rank": 0}


def test_entropy_is_that_of_values_told_apart_by_eight_bits() -> None:
    identity = nn.PReLU(init=1.0)
    levels = torch.tensor([-2.0, 0.0, 1.0, 1.25, 64.0, 0.5, -0.5, 3.0])
    x = torch.stack([levels, levels.sign(), torch.zeros(8), levels.roll(3)], 1)[:, :, None, None]
    signs = -(2 / 8 * math.log2(2 / 8) + 1 / 8 * math.log2(1 / 8) + 5 / 8 * math.log2(5 / 8))
    assert measured(identity, x).entropy == pytest.approx((3 + signs + 0 + 3) / 4)


def test_entropy_takes_neighbours_and_both_zeros_for_one() -> None:
    x = torch.tensor([1.0, 1.01, -0.0, 0.0, 1e-7, -1e-7])[:, None, None, None]
    wanted = -(1 / 3 * math.log2(1 / 3) + 2 / 3 * math.log2(2 / 3))
    assert measured(nn.PReLU(init=1.0), x).entropy == pytest.approx(wanted)


def test_relu_loses_the_entropy_of_the_negative_half() -> None:
    x = draw(40, 1, 8, 8)
    x = torch.cat([x, -x])
    whole, half = (measured(activation, x).entropy for activation in (nn.PReLU(init=1.0), nn.ReLU()))
    assert half == pytest.approx(1 + (whole - 1) / 2)  # a half at 0, the other half as it was


def settled(network: nn.Module, x: Tensor) -> nn.Module:
    """In double, with batch norms that have seen some images."""
    network.double().train()(x)
    return network


def brute_force(network: nn.Module, x: Tensor, site: str) -> dict[str, float]:
    """The measures of a ReLU network's site, called once, from its whole input at once."""
    seen = []
    handle = network.get_submodule(site).register_forward_hook(lambda module, args, y: seen.append((args[0], y)))
    with torch.no_grad():
        network.eval()(x)
    handle.remove()
    before, y = seen[0]
    table = y.transpose(0, 1).flatten(1)
    spectrum = torch.linalg.svdvals(torch.cov(table, correction=0))
    shares = spectrum[spectrum > 0] / spectrum.sum()
    bits = []
    for channel in table:
        counts = channel.float().to(torch.float8_e5m2).float().unique(return_counts=True)[1] / table.shape[1]
        bits.append(float(-(counts * counts.log2()).sum()))
    return {
        "dead": sum(not bool((channel > 0).any()) for channel in table) / len(table),
        "negative_kept": 0.0 if bool((before < 0).any()) else math.nan,
        "effective_rank": float((-shares * shares.log()).sum().exp()),
        "entropy": sum(bits) / len(bits),
    }


def test_information_of_a_network_is_the_brute_force_of_each_site() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 7, 3, stride=2), nn.ReLU(inplace=True)
    )
    x = draw(11, 2, 9, 8)
    settled(network, x)[1].bias.data[:2] = -20.0
    rows = {row.site: row for row in information(network, x.split(4))}
    network[4] = nn.ReLU()
    assert list(rows) == ["2", "4"]
    assert rows["2"].dead == 2 / 5
    assert (rows["2"].samples, rows["2"].channels) == (11 * 7 * 6, 5)
    for site, row in rows.items():
        wanted = brute_force(network, x, site)
        assert {name: getattr(row, name) for name in wanted} == pytest.approx(wanted, nan_ok=True)


def test_information_of_batches_equals_that_of_one_batch() -> None:
    torch.manual_seed(0)
    x = draw(7, 3, 16, 16)
    network = settled(build(Candidate("resnet8", (4, 6, 8), "leni"), in_channels=3, classes=5), x)
    whole, parts = information(network, x), information(network, [x[:1], x[1:4], x[4:4], x[4:]])
    assert len(whole) == 7
    for one, other in zip(whole, parts, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-9)


def test_information_in_small_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw(7, 3, 4, 4)
    whole = measured(leni.LENI(3, init_std=0.0, init_slope=0.5), x)
    monkeypatch.setattr(sys.modules["leni.negative_information"], "CHUNK", 100)
    assert numbers(measured(leni.LENI(3, init_std=0.0, init_slope=0.5), x)) == pytest.approx(numbers(whole))


class Functional(nn.Module):
    """Functions, one module called twice, a gate, tokens; in place where it can be."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x), inplace=True)
        x = self.act(x - 1)
        x = self.act(x - 0.5)
        x = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
        x = torch.relu(input=x - 0.25).sub(0.1).relu_()
        return F.leaky_relu(self.fc(x.flatten(2).transpose(1, 2)), 0.5)


def test_information_sees_functions_and_repeated_calls_as_sites_does() -> None:
    torch.manual_seed(0)
    network, x = Functional(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        before = network.eval()(x)
    rows = information(network, x)
    assert [row.site for row in rows] == [site.name for site in leni.sites(network, x)]
    assert [row.kind for row in rows] == ["relu", "relu", "relu", "relu", "relu", "leaky_relu"]
    assert [row.channels for row in rows] == [4, 4, 4, 4, 4, 6]
    assert [round(row.negative_kept, 6) for row in rows] == [0, 0, 0, 0, 0, 0.5]
    assert len({row.entropy for row in rows[:3]}) == 3
    with torch.no_grad():
        assert torch.equal(before, network(x))


class Named(nn.Module):
    """An activation on tokens, channels last, called with its input by name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.act = nn.Linear(3, 5), nn.LeakyReLU(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(input=self.fc(x))


def test_information_of_tokens_is_that_of_their_channels() -> None:
    network = Named().double()
    network.fc.weight.data = torch.eye(5, 3, dtype=torch.float64)
    network.fc.bias.data.zero_()
    (row,) = information(network, draw(4, 7, 3))
    assert (row.channels, row.samples, row.dead) == (5, 28, 2 / 5)
    assert row.negative_kept == pytest.approx(0.5)
    assert 2 < row.effective_rank <= 3


def test_information_of_a_swapped_network_and_its_twin_has_the_same_sites() -> None:
    torch.manual_seed(0)
    network = Functional()
    x = torch.randn(2, 3, 8, 8)
    swapped = leni.swap(network, "prelu", "stem+inner", example_input=x).network
    rows = information(swapped, x, twin=network, names=("PReLU", "ReLU"))
    names = [site.name for site in leni.sites(network, x)]
    assert [(row.network, row.site) for row in rows] == [(label, name) for label in ("PReLU", "ReLU") for name in names]
    assert [round(row.negative_kept, 6) for row in rows[:5]] == [0.25] * 5


def test_information_of_googlenet_whose_activations_are_all_functions() -> None:
    torch.manual_seed(0)
    network = torchvision.models.googlenet(init_weights=False)
    assert len(information(network, torch.randn(1, 3, 48, 48))) == 57


class Stopping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act, self.fail = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), False

    def forward(self, x: Tensor) -> Tensor:
        if self.fail:
            raise RuntimeError("out of luck")
        return self.act(self.norm(self.conv(x)))


def state(network: nn.Module) -> tuple:
    values = {name: value.clone() for name, value in network.state_dict().items()}
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())
    return values, [module.training for module in network.modules()], hooks


@pytest.mark.parametrize("fails", [False, True])
def test_information_leaves_the_network_as_it_was(fails: bool) -> None:
    network = Stopping().train()
    network.norm.eval()
    handle = network.act.register_forward_hook(lambda *_: None)

    def batches() -> object:
        yield torch.ones(2, 1, 3, 3)
        network.fail = fails
        yield torch.ones(2, 1, 3, 3)

    before = state(network)
    if fails:
        with pytest.raises(RuntimeError, match="out of luck"):
            information(network, batches())  # type: ignore
    else:
        information(network, batches())  # type: ignore
    after = state(network)
    assert (after[1], after[2]) == (before[1], before[2]) == ([True, True, False, True], 1)
    assert all(torch.equal(after[0][name], value) for name, value in before[0].items())
    handle.remove()


def test_information_reads_a_data_loader_up_to_the_limit() -> None:
    x = torch.randn(10, 1, 4, 4)
    loader = DataLoader(TensorDataset(x, torch.arange(10)), batch_size=4)
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    assert [information(network, loader, max_images=limit)[0].samples for limit in (None, 6, 4, 99)] == [
        160,
        96,
        64,
        160,
    ]
    assert information(network, loader, max_images=6) == information(network, x[:6].split(4))


def test_information_brings_images_to_the_networks_type() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU()).bfloat16()
    (row,) = information(network, torch.randn(3, 1, 4, 4))
    assert (row.samples, row.negative_kept) == (48, 0.0)


class Deciding(nn.Module):
    """Control flow on values: cannot be traced, but has a module called once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.late = nn.Conv2d(1, 2, 1), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        return x if x.shape[0] > 1 and x.sum() < 0 else self.late(x - 1)


def test_information_of_untraceable_network_is_that_of_its_modules() -> None:
    assert [row.site for row in information(Deciding(), torch.ones(2, 1, 3, 3))] == ["act", "late"]


class Growing(nn.Module):
    """Takes another way through its sites on larger images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(1, 2, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        return self.act(x) if x.shape[-1] > 4 else x


def test_information_refuses_a_pass_whose_calls_cannot_be_told_apart() -> None:
    with pytest.raises(NetworkError, match=r"2 calls on images of shape \(1, 5, 5\) where its trace has 1 \(act\)"):
        information(Growing(), [torch.ones(1, 1, 4, 4), torch.ones(1, 1, 5, 5)])


NETWORK = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
REFUSED = {
    "empty": (NETWORK, [], {}, DataError, "gave no image"),
    "no images": (NETWORK, [torch.ones(0, 1, 3, 3)], {}, DataError, "gave no image"),
    "mapping": (NETWORK, [{"image": 1}], {}, DataError, "batch 0 must be a tensor of images .* got dict"),
    "labels": (NETWORK, [torch.ones(2, 1, 3, 3), torch.ones(2)], {}, DataError, r"batch 1 .* got shape \(2,\)"),
    "rank": (NETWORK, [torch.ones(2, 1, 3, 3), torch.ones(2, 3, 3)], {}, DataError, "before it had 4 dimensions"),
    "limit": (NETWORK, [torch.ones(2, 1, 3, 3)], {"max_images": 0}, DataError, "at least 1, got 0"),
    "channels": (NETWORK, [torch.ones(2, 3, 3, 3)], {}, NetworkError, "cannot trace Sequential: stopped in 0"),
    "no site": (nn.Conv2d(1, 2, 1), [torch.ones(2, 1, 3, 3)], {}, NetworkError, "Conv2d calls no activation"),
    "not finite": (NETWORK, [torch.full((2, 1, 3, 3), math.nan)], {}, NetworkError, "site 1 .* not finite"),
    "other twin": (
        NETWORK, [torch.ones(2, 1, 3, 3)], {"twin": Stopping()}, NetworkError, "no call site with a name .* such as 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_information_refuses_in_one_sentence(case: str) -> None:
    network, loader, options, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        information(network, loader, **options)


@pytest.mark.gpu
def test_information_on_cuda_is_that_on_the_cpu() -> None:
    torch.manual_seed(0)
    network, x = Functional(), torch.randn(4, 3, 8, 8)
    on_cpu = information(network, x)
    for one, other in zip(on_cpu, information(network.cuda(), x), strict=True):
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-3)
