"""The block's algebra in float64, against torch's own activations and against the form it is derived from."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from leni import LENI, ActivationError, ShapeError
from leni.kernels.reference import negative_part

C = 5


def maps(*shape):
    """Maps of both signs with exact zeros; a zero is where implementations differ."""
    x = torch.randn(*(shape or (3, C, 6, 4)), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x.view(-1)[::7] = 0.0
    x.view(-1)[3::11] = -0.0
    return x.requires_grad_()


def block(slope, **options):
    return LENI(C, init_std=0.0, init_slope=slope, dtype=torch.float64, **options)


def gradient(function, x):
    weights = torch.linspace(-1, 2, x.numel(), dtype=x.dtype).reshape(x.shape)
    (result,) = torch.autograd.grad((function(x) * weights).sum(), x)
    return result


FORMS = [
    {},
    {"kernel_size": 5},
    {"transform": "scale"},
    {"transform": "grouped", "groups": 1},
    {"transform": "dense"},
    {"compression": "dense"},
]


@pytest.mark.parametrize("options", FORMS)
def test_block_zero_kernel_is_relu(options):
    x = maps()
    assert torch.equal(block(0.0, **options)(x), F.relu(x))


@pytest.mark.parametrize("options", FORMS)
def test_block_minus_delta_is_absolute_value(options):
    x = maps()
    torch.testing.assert_close(block(-1.0, **options)(x), x.abs(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("options", FORMS)
def test_block_delta_is_identity(options):
    x = maps()
    torch.testing.assert_close(block(1.0, **options)(x), x, rtol=0, atol=1e-15)
    torch.testing.assert_close(gradient(block(1.0, **options), x), gradient(lambda x: x, x))


@pytest.mark.parametrize("options", FORMS)
def test_block_scaled_delta_is_prelu_also_at_zero(options):
    slopes = torch.tensor([0.25, -0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    module, prelu = block(1.0, **options), nn.PReLU(C, dtype=torch.float64)
    with torch.no_grad():
        module.kernel.mul_(slopes[:, None, None, None])
        prelu.weight.copy_(slopes)
    x = maps()
    torch.testing.assert_close(module(x), prelu(x), rtol=0, atol=1e-15)
    torch.testing.assert_close(gradient(module, x), gradient(prelu, x), rtol=0, atol=1e-15)


def test_block_dead_channel_on_zero_gets_gradient_through_kernel():
    module = block(0.25)
    x = torch.zeros(2, C, 4, 4, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 0.25))


def test_negative_part_at_zero_passes_gradient():
    x = torch.tensor([-1.0, -0.0, 0.0, 2.0], requires_grad=True)
    negative_part(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_block_equals_concatenated_interleaved_grouped_form():
    module = LENI(C, init_std=0.7, dtype=torch.float64)
    compress = nn.Conv2d(2 * C, C, 1, groups=C, bias=False, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 1.5, C))
        scale = torch.linspace(-2.0, 3.0, C, dtype=torch.float64)
        compress.weight[:, 0, 0, 0], compress.weight[:, 1, 0, 0] = module.weight, scale
    x = maps()
    transformed = F.conv2d(negative_part(x), module.kernel / scale[:, None, None, None], padding=1, groups=C)
    interleaved = torch.stack([F.relu(x), transformed], 2).flatten(1, 2)
    torch.testing.assert_close(module(x), compress(interleaved))


def test_block_convolves_as_a_loop_does():
    module = LENI(2, init_std=1.0, dtype=torch.float64)
    x = maps(1, 2, 3, 4).detach()
    expected = torch.relu(x) * module.weight.detach()[:, None, None]
    for c, i, j in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).tolist():
        for di, dj in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
            if 0 <= i + di < 3 and 0 <= j + dj < 4:
                tap = module.kernel.detach()[c, 0, di + 1, dj + 1]
                expected[0, c, i, j] += tap * min(x[0, c, i + di, j + dj], torch.tensor(0.0))
    torch.testing.assert_close(module(x), expected)


def test_block_without_compression_gives_both_branches():
    module = LENI(C, compression="none", transform="scale", init_std=0.0, init_slope=-1.0)
    x = maps().detach().float()
    assert module.out_channels == 2 * C
    assert torch.equal(module(x), torch.cat([F.relu(x), F.relu(-x)], 1))


@pytest.mark.parametrize("compression", ["grouped", "dense"])
def test_block_with_norm_starts_as_relu_and_learns(compression):
    module = LENI(C, norm="batch", init_std=0.0, compression=compression)
    x = maps().detach().float()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    start = module.kernel.detach().clone()
    torch.testing.assert_close(module(x), F.relu(x), rtol=0, atol=0)
    for _ in range(2):
        optimiser.zero_grad()
        (module(x) - x).square().sum().backward()
        optimiser.step()
    assert (module.kernel != start).all()


def test_block_norm_weight_starts_small():
    assert LENI(C, norm="batch").norm.weight.tolist() == pytest.approx([0.01] * C)
    assert LENI(C, norm="batch", init_slope=-0.5).norm.weight.tolist() == [0.5] * C


def test_block_start_has_the_asked_spread():
    kernel = LENI(64, kernel_size=7, init_std=0.1, init_slope=2.0).kernel.detach()
    around = kernel.flatten(1)[:, torch.arange(49) != 24]
    assert around.std().item() == pytest.approx(0.1, rel=0.1)
    assert kernel[:, 0, 3, 3].mean().item() == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (6, 3), (10, 2), (7, 1)])
def test_block_default_groups_are_largest_divisor(channels, groups):
    assert LENI(channels, transform="grouped").groups == groups


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "wide"}, "`transform` must be one of depthwise, scale, grouped, dense, got 'wide'"),
        ({"compression": "no"}, "`compression` must be one of grouped, dense, none, got 'no'"),
        ({"norm": "layer"}, "`norm` must be one of none, batch, got 'layer'"),
        ({"kernel_size": 4}, "`kernel_size` must be odd and at least 1, got 4"),
        ({"init_std": -1.0}, "`init_std` must not be negative, got -1.0"),
        ({"transform": "grouped", "groups": 2}, r"`channels` \(=5\) must be divisible by `groups` \(=2\)"),
        ({"groups": 5}, "goes with transform='grouped', not with 'depthwise'"),
    ],
)
def test_block_bad_option_is_named(options, message):
    with pytest.raises(ActivationError, match=message):
        LENI(C, **options)


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, C), (C, 3, 3), (2, 3, 3, C)])
def test_block_wrong_shape_is_told(shape):
    with pytest.raises(ShapeError, match=r"expected x of shape \(N, 5, H, W\), got \("):
        LENI(C)(torch.zeros(shape))


def test_no_weight_decay_names_all_or_none():
    assert LENI(C, norm="batch").no_weight_decay() == {"kernel", "weight", "norm.weight", "norm.bias"}
    assert LENI(C, compression="none").no_weight_decay() == {"kernel"}
    assert LENI(C, decay=True).no_weight_decay() == set()


def test_block_printed_shows_options():
    text = repr(LENI(8, transform="grouped", init_slope=0.25, decay=True))
    assert "transform='grouped'" in text
    assert "groups=4" in text
    assert "init_slope=0.25" in text
    assert "decay=True" in text


def test_block_fx_trace_and_copy_compute_the_same():
    x = maps().detach().float()
    for options in ({}, {"compression": "dense"}):
        module = LENI(C, init_std=0.5, **options)
        traced = torch.fx.symbolic_trace(copy.deepcopy(module))
        assert torch.equal(traced(x), module(x))


@pytest.mark.parametrize("options", [{}, {"transform": "dense"}, {"norm": "batch"}, {"decay": True}])
def test_block_frozen_transform_stays_as_it_starts_while_the_rest_learns(options):
    torch.manual_seed(0)
    frozen, free = LENI(C, frozen=True, init_std=0.3, **options), LENI(C, init_std=0.3, **options)
    free.load_state_dict(frozen.state_dict())
    x = maps().float().detach()
    assert torch.equal(frozen(x), free(x))
    start = frozen.kernel.detach().clone()
    (frozen(x) ** 2).sum().backward()
    torch.optim.SGD(frozen.parameters(), lr=0.1).step()
    assert torch.equal(frozen.kernel, start)
    assert not torch.equal(frozen.weight, free.weight)
    assert "kernel" in frozen.no_weight_decay()
    assert "frozen=True" in repr(frozen)
    assert "frozen" not in repr(free)
