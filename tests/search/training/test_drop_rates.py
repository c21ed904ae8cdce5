import pytest
from torch import nn
from torchvision.ops import StochasticDepth

from leni.errors import EvaluationError
from search.training.drop_rates import set_drop_rates


def network() -> nn.Module:
    paths = [StochasticDepth(0.9, "row") for _ in range(3)]
    return nn.Sequential(paths[0], nn.Dropout(0.5), paths[1], nn.Sequential(nn.Dropout2d(0.4), paths[2]))


def rates(changed: nn.Module, kind: type[nn.Module]) -> list[float]:
    return [module.p for module in changed.modules() if isinstance(module, kind)]


def test_drop_rates_are_set_where_they_are_asked_for():
    changed = network()
    set_drop_rates(changed, dropout=0.1, drop_path=0.3)
    assert rates(changed, nn.modules.dropout._DropoutNd) == [0.1, 0.1]
    assert rates(changed, StochasticDepth) == pytest.approx([0.0, 0.15, 0.3])


def test_drop_rates_stay_as_they_are_where_nothing_is_asked_for():
    changed = network()
    set_drop_rates(changed, dropout=None, drop_path=0.0)
    assert rates(changed, nn.modules.dropout._DropoutNd) == [0.5, 0.4]
    assert rates(changed, StochasticDepth) == [0.0, 0.0, 0.0]


def test_drop_rates_are_refused_where_no_layer_has_them():
    plain = nn.Sequential(nn.Linear(2, 2))
    set_drop_rates(plain, dropout=0.0, drop_path=0.0)
    with pytest.raises(EvaluationError, match=r"dropout is 0\.2 in \[training\], but the network has no dropout layer"):
        set_drop_rates(plain, dropout=0.2, drop_path=None)
    with pytest.raises(EvaluationError, match="no layer of stochastic depth"):
        set_drop_rates(plain, dropout=None, drop_path=0.2)
