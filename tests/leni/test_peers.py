"""The peers against their papers' formulas, written out here with numpy, and their parameter counts."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from leni import activation, create_activation
from leni.peers import PELU, AconC, CReLU, DynamicReLUB, FReLU, MetaAconC, SReLU

C = 4


def maps():
    x = torch.randn(3, C, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    x.view(-1)[::9] = 0.0
    return x


def randomised(module):
    """Every parameter away from its start, positive where a formula needs it."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.3)
    return module.double().eval()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def column(parameter):
    return parameter.detach().numpy()[:, None, None]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("relu", {}, 0),
        ("rrelu", {}, 0),
        ("prelu", {}, 64),
        ("prelu", {"per": "network"}, 1),
        ("crelu", {}, 0),
        ("frelu", {}, 9 * 64 + 2 * 64),
        ("acon_c", {}, 3 * 64),
        ("meta_acon", {}, 2 * 64 * 16 + 3 * 16 + 5 * 64),
        ("dynamic_relu_b", {}, 2824),
        ("pelu", {}, 2),
        ("srelu", {}, 4 * 64),
        ("leni", {}, 640),
        ("leni", {"kernel_size": 5}, 26 * 64),
        ("leni", {"transform": "scale", "kernel_size": 5}, 2 * 64),
        ("leni", {"transform": "dense", "compression": "none"}, 9 * 64 * 64),
        ("leni", {"transform": "grouped", "compression": "dense"}, 9 * 64 * 16 + 2 * 64 * 64),
        ("leni", {"norm": "batch"}, 12 * 64),
    ],
)
def test_learned_parameters_are_the_papers(name, options, expected):
    row = activation(name)
    assert row.learned(64, **row.check(options)) == expected


@pytest.mark.parametrize(("name", "options"), [("crelu", {}), ("leni", {"compression": "none"})])
def test_multiple_is_two_where_both_phases_leave(name, options):
    row = activation(name)
    assert row.multiple(**row.check(options)) == 2


def test_crelu_is_both_phases():
    values = maps().numpy()
    expected = np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], 1)
    assert np.array_equal(CReLU()(torch.from_numpy(values)).numpy(), expected)


def test_frelu_is_the_larger_of_x_and_its_condition():
    module, x = randomised(FReLU(C)), maps()
    scale = column(module.norm.weight) / math.sqrt(1 + 1e-5)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = module.conv.weight.detach().numpy()[:, 0]
    condition = sum(
        taps[:, i, j][:, None, None] * padded[:, :, i : i + 5, j : j + 2] for i in range(3) for j in range(3)
    )
    expected = np.maximum(x.numpy(), condition * scale + column(module.norm.bias))
    np.testing.assert_allclose(module(x).detach(), expected)


def test_acon_c_is_its_formula():
    module, x = randomised(AconC(C)), maps()
    p1, p2, beta, values = column(module.p1), column(module.p2), column(module.beta), x.numpy()
    expected = (p1 - p2) * values * sigmoid(beta * (p1 - p2) * values) + p2 * values
    np.testing.assert_allclose(module(x).detach(), expected)


def test_acon_c_special_case_is_swish():
    module, x = AconC(C).double(), maps()
    with torch.no_grad():
        module.p1.fill_(1.0)
        module.p2.fill_(0.0)
    torch.testing.assert_close(module(x), nn.functional.silu(x))


def test_meta_acon_takes_its_sharpness_from_the_sample():
    module, x = randomised(MetaAconC(C)), maps()
    squeezed = x.numpy().mean((2, 3))
    root = math.sqrt(1 + 1e-5)
    for fc, norm in ((module.fc1, module.norm1), (module.fc2, module.norm2)):
        squeezed = squeezed @ fc.weight.detach().numpy()[:, :, 0, 0].T + fc.bias.detach().numpy()
        squeezed = squeezed / root * norm.weight.detach().numpy() + norm.bias.detach().numpy()
    beta = sigmoid(squeezed)[:, :, None, None]
    p1, p2, values = column(module.p1), column(module.p2), x.numpy()
    expected = (p1 - p2) * values * sigmoid(beta * (p1 - p2) * values) + p2 * values
    np.testing.assert_allclose(module(x).detach(), expected)
    assert module.fc1.out_channels == 16
    assert MetaAconC(512).fc1.out_channels == 32


def test_dynamic_relu_is_the_maximum_of_its_lines():
    module, x = DynamicReLUB(C, reduction=2).double(), maps()
    hidden = np.maximum(module.fc1(x.mean((2, 3))).detach().numpy(), 0)
    theta = 2 * sigmoid(hidden @ module.fc2.weight.detach().numpy().T + module.fc2.bias.detach().numpy()) - 1
    slope, offset = theta[:, : 2 * C].reshape(3, 2, C), theta[:, 2 * C :].reshape(3, 2, C)
    expected = np.empty(x.shape)
    for n, c in np.ndindex(3, C):
        lines = [(1.0 - k + slope[n, k, c]) * x[n, c].numpy() + 0.5 * offset[n, k, c] for k in range(2)]
        expected[n, c] = np.maximum(*lines)
    np.testing.assert_allclose(module(x).detach(), expected)


def test_pelu_is_its_formula_and_starts_as_elu():
    x = maps()
    torch.testing.assert_close(PELU()(x), nn.functional.elu(x))
    module = randomised(PELU())
    a, b, values = module.a.item(), module.b.item(), x.numpy()
    expected = np.where(values >= 0, a / b * values, a * (np.exp(values / b) - 1))
    np.testing.assert_allclose(module(x).detach(), expected)


def test_pelu_coefficient_below_its_bound_is_held_and_can_return():
    module = PELU().double()
    with torch.no_grad():
        module.b.fill_(-3.0)
    x = maps()
    expected = np.where(x.numpy() >= 0, x.numpy() / 0.1, np.exp(x.numpy() / 0.1) - 1)
    result = module(x)
    np.testing.assert_allclose(result.detach(), expected)
    result.square().sum().backward()
    assert module.b.grad.item() < 0


def test_srelu_is_its_formula_and_starts_as_relu():
    x = maps()
    torch.testing.assert_close(SReLU(C)(x), nn.functional.relu(x))
    module = randomised(SReLU(C))
    with torch.no_grad():
        module.left_threshold.sub_(1.5)
    left, right = column(module.left_threshold), column(module.right_threshold)
    low, high, values = column(module.left_slope), column(module.right_slope), x.numpy()
    expected = np.where(values >= right, right + high * (values - right), values)
    expected = np.where(values <= left, left + low * (values - left), expected)
    np.testing.assert_allclose(module(x).detach(), expected)
    assert 0 < (values <= left).mean() < (values < right).mean() < 1


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("relu6", {}, nn.ReLU6()),
        ("leaky_relu", {"negative_slope": 0.3}, nn.LeakyReLU(0.3)),
        ("elu", {"alpha": 2.0}, nn.ELU(2.0)),
        ("selu", {}, nn.SELU()),
        ("gelu", {}, nn.GELU()),
        ("silu", {}, nn.SiLU()),
        ("mish", {}, nn.Mish()),
        ("hardswish", {}, nn.Hardswish()),
        ("rrelu", {}, nn.RReLU()),
        ("prelu", {"init": 0.1}, nn.LeakyReLU(0.1)),
        ("prelu", {"per": "network"}, nn.LeakyReLU(0.25)),
    ],
)
def test_torchs_own_are_torchs(name, options, expected):
    x = maps().float() * 4
    torch.testing.assert_close(create_activation(name, C, **options).eval()(x), expected.eval()(x))


def test_learned_coefficients_ask_for_no_decay():
    asked = {name: create_activation(name, C).no_weight_decay() for name in ("acon_c", "meta_acon", "pelu", "srelu")}
    assert asked["acon_c"] == {"p1", "p2", "beta"}
    assert asked["meta_acon"] == {"p1", "p2"}
    assert asked["pelu"] == {"a", "b"}
    assert len(asked["srelu"]) == 4
