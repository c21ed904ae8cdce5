import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leni.errors import NetworkError
from leni.rewire import inputs_of, rewire
from leni.tracing import own_class


class Scope(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act, self.new = nn.ReLU(), nn.Tanh()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = F.relu(self.act(x) - 1, inplace=True)
        if self.training:
            x = x * 2
        return self.act(x - 0.5) if mask is None else x * mask


KINDS = ("relu", "relu", "relu")


def test_rewire_redirects_the_chosen_call_in_both_modes() -> None:
    scope, x = Scope(), torch.linspace(-2, 4, 13)

    rewire(scope, kinds=KINDS, targets=(None, "new", None), inlined=(), inputs=("x",))

    middle = torch.tanh(F.relu(x) - 1)
    assert torch.equal(scope.train()(x), F.relu(middle * 2 - 0.5))
    assert torch.equal(scope.eval()(x), F.relu(middle - 0.5))
    assert isinstance(scope, Scope)
    assert own_class(scope) is Scope


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.new = Scope(), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


def test_rewire_tells_the_calls_of_an_inlined_module_apart() -> None:
    twice, x = Twice().eval(), torch.linspace(-2, 4, 13)
    first = twice.inner(x)

    targets = (None, None, None, None, "new", None)
    rewire(twice, kinds=KINDS * 2, targets=targets, inlined=[twice.inner], inputs=("x",))

    assert torch.equal(twice(x), F.relu(torch.sigmoid(F.relu(first) - 1) - 0.5))
    assert type(twice.inner) is Scope


def test_rewire_again_builds_on_the_rewired_forward() -> None:
    scope, x = Scope().eval(), torch.linspace(-2, 4, 13)
    rewire(scope, kinds=KINDS, targets=(None, "new", None), inlined=(), inputs=("x",))
    scope.second = nn.Sigmoid()

    rewire(scope, kinds=("relu", "tanh", "relu"), targets=(None, None, "second"), inlined=(), inputs=("x",))

    assert torch.equal(scope(x), torch.sigmoid(torch.tanh(F.relu(x) - 1) - 0.5))
    assert type(scope).__mro__[1] is Scope


def test_rewired_module_survives_copy_and_pickle() -> None:
    scope, x = Scope(), torch.linspace(-2, 4, 13)
    rewire(scope, kinds=KINDS, targets=("new", None, None), inlined=(), inputs=("x",))

    for again in (copy.deepcopy(scope), pickle.loads(pickle.dumps(scope))):
        for mode in (True, False):
            assert torch.equal(again.train(mode)(x), scope.train(mode)(x))
        again.new = nn.Identity()
        assert not torch.equal(again(x), scope(x))  # it has children of its own


class Hidden(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        F.relu_(x)
        return x + 1


class ByValue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("scope", "kinds", "sentence"),
    [
        (Scope(), ("relu", "silu", "relu"), "calls relu, relu, relu in evaluation mode, not relu, silu, relu"),
        (Hidden(), ("relu",), "Hidden calls relu in place and does not use what it returns"),
        (ByValue(), ("relu",), "cannot trace the forward of ByValue: .*control flow"),
    ],
)
def test_rewire_of_other_forward_raises_and_changes_nothing(
    scope: nn.Module, kinds: tuple[str, ...], sentence: str
) -> None:
    before, state = type(scope), set(vars(scope))

    with pytest.raises(NetworkError, match=sentence):
        rewire(scope, kinds=kinds, targets=("new",) * len(kinds), inlined=(), inputs=("x",))

    assert type(scope) is before
    assert set(vars(scope)) == state


def test_inputs_of_names_the_tensors_by_position() -> None:
    x = torch.empty(1)
    assert inputs_of(Scope(), (x,), {}) == ["x"]
    assert inputs_of(Scope(), (x, x), {}) == ["x", "mask"]


@pytest.mark.parametrize(("args", "kwargs"), [((torch.empty(1), None), {}), ((torch.empty(1),), {"mask": None})])
def test_inputs_of_other_calls_raises(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match="Scope is called with arguments that are not tensors by position"):
        inputs_of(Scope(), args, kwargs)
