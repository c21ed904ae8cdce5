import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from leni.block import LENI
from leni.kinds import function_kind, hidden_kind, is_leaf, module_kind, own_class


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "kind"),
    [
        (F.relu, (), {}, "relu"),
        ("relu_", (), {}, "relu"),
        (torch.clamp, (None,), {"min": 0}, "relu"),
        (Tensor.clamp_, (None, 0.0), {}, "relu"),
        (torch.clamp_min, (None, 0), {}, "relu"),
        ("clip", (None, 0, 6), {}, "relu6"),
        (F.threshold, (None, 0, 0), {}, "relu"),
        (torch.clamp, (None,), {"max": 0}, None),
        (torch.clamp, (None, 0, 1), {}, None),
        (torch.clamp, (None, 1e-6), {}, None),
        (torch.clamp, (None, torch.zeros(1)), {}, None),
        (F.threshold, (None, 0, 1), {}, None),
        (torch.add, (None, 0), {}, None),
    ],
)
def test_function_kind_knows_a_relu_by_its_bounds(function, args, kwargs, kind) -> None:
    assert function_kind(function, args, kwargs) == kind


def test_module_kind_of_threshold_is_relu_at_zero_alone() -> None:
    assert [module_kind(nn.Threshold(*bounds)) for bounds in ((0, 0), (0.1, 0), (0, -1))] == ["relu", None, None]


def test_kinds_of_parametrized_modules_are_what_they_were() -> None:
    prelu, convolution, leni = nn.PReLU(), nn.Conv2d(3, 3, 1), LENI(3)
    for module in (prelu, convolution):
        parametrize.register_parametrization(module, "weight", Double())
    parametrize.register_parametrization(leni, "kernel", Double())

    assert [module_kind(module) for module in (prelu, convolution, leni)] == ["prelu", None, "leni"]
    assert [own_class(module) for module in (prelu, convolution, leni)] == [nn.PReLU, nn.Conv2d, LENI]
    assert is_leaf(convolution)


def test_containers_of_torch_are_looked_into() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    assert not any(map(is_leaf, (nn.DataParallel(nn.ReLU()), layer, nn.TransformerEncoder(layer, 1))))
    assert is_leaf(nn.MultiheadAttention(4, 2))


def test_hidden_kind_is_that_of_recurrent_layers() -> None:
    modules = [nn.RNN(2, 3, nonlinearity="relu"), nn.RNNCell(2, 3), nn.LSTM(2, 3), nn.GRUCell(2, 3), nn.Linear(2, 3)]
    assert [hidden_kind(module) for module in modules] == ["relu", "tanh", "tanh", "tanh", None]
