"""The contract of an activation, as tests to inherit.

    class TestMine(ActivationContract):
        activation = "mine"

pytest then runs everything that search spaces, surgery, cost and recipes rely on, at the defaults and at each choice of
each option. This file does not import pytest.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from leni.registry import Activation, get

__all__ = ["ActivationContract", "variants"]


def variants(row: Activation) -> Iterator[dict[str, object]]:
    """The defaults, then each choice of each option that lists its choices, alone.

    Args:
        row: the activation.

    Yields:
        Complete options, as `row.check` gives them.
    """
    yield row.check({})
    for option in row.options.values():
        for choice in option.choices or ():
            if choice != option.default:
                yield row.check({option.name: choice})


class ActivationContract:
    """Tests of one activation; a subclass names it, by a registered name or by a row of its own."""

    activation: str | Activation
    channels: tuple[int, ...] = (1, 4, 6, 16)

    @property
    def row(self) -> Activation:
        """The registry's row."""
        return get(self.activation) if isinstance(self.activation, str) else self.activation

    def _modules(self) -> Iterator[tuple[nn.Module, int, dict[str, object]]]:
        for options in variants(self.row):
            for channels in self.channels:
                yield self.row.factory(channels, **options), channels, options

    def test_shape_is_kept_but_for_the_multiple(self) -> None:
        """(N, C, H, W) -> (N, C * multiple, H, W), for maps that are not square."""
        for module, channels, options in self._modules():
            result = module(_maps(channels))
            expected = (2, channels * self.row.multiple(**options), 5, 3)
            assert tuple(result.shape) == expected, (channels, options)

    def test_learned_counts_the_parameters(self) -> None:
        """`learned(C)` is what torch counts."""
        for module, channels, options in self._modules():
            counted = sum(parameter.numel() for parameter in module.parameters())
            assert self.row.learned(channels, **options) == counted, (channels, options)

    def test_options_have_valid_defaults(self) -> None:
        """Every default may be given, and the options that are not structural leave the count alone."""
        for option in self.row.options.values():
            assert option.allows(option.default), option
            assert option.choices is None or option.default in option.choices, option
        assert set(self.row.structure({})) <= set(self.row.check({}))

    def test_values_and_gradients_are_finite(self) -> None:
        """Forward and backward, on ordinary, large and zero values; every parameter is reached by the graph."""
        for module, channels, options in self._modules():
            for scale in (1.0, 100.0, 0.0):
                x = (scale * _maps(channels)).requires_grad_()
                module(x).sum().backward()
                assert x.grad is not None
                assert torch.isfinite(x.grad).all(), (channels, options, scale)
            for name, parameter in module.named_parameters():
                assert parameter.grad is not None, (name, options)
                assert torch.isfinite(parameter.grad).all(), (name, options)

    def test_dtype_of_the_input_is_kept(self) -> None:
        """Float64 in, float64 out."""
        for module, channels, _ in self._modules():
            assert module.double()(_maps(channels).double()).dtype == torch.float64

    def test_memory_layout_does_not_change_values(self) -> None:
        """channels_last in gives the same numbers."""
        for module, channels, options in self._modules():
            module.eval()
            x = _maps(channels)
            result = module(x.contiguous(memory_format=torch.channels_last))
            torch.testing.assert_close(result, module(x), rtol=1e-5, atol=1e-5, msg=str(options))

    def test_copies_compute_the_same(self) -> None:
        """deepcopy, pickle, and state_dict into a second module."""
        for module, channels, options in self._modules():
            module.eval()
            fresh = self.row.factory(channels, **options)
            fresh.load_state_dict(module.state_dict())
            expected = module(_maps(channels))
            for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh.eval()):
                assert torch.equal(twin(_maps(channels)), expected), options

    def test_evaluation_is_deterministic(self) -> None:
        """In eval mode the same maps give the same result, and no buffer moves."""
        for module, channels, options in self._modules():
            module.eval()
            before = {name: value.clone() for name, value in module.state_dict().items()}
            assert torch.equal(module(_maps(channels)), module(_maps(channels))), options
            assert all(torch.equal(before[name], value) for name, value in module.state_dict().items()), options

    def test_meta_device_allocates_nothing(self) -> None:
        """Built and run on the meta device, as counting does."""
        with torch.device("meta"):
            for module, channels, options in self._modules():
                assert all(value.is_meta for value in module.state_dict().values()), options
                result = module(torch.empty(2, channels, 5, 3))
                assert result.is_meta
                assert result.shape[1] == channels * self.row.multiple(**options)

    def test_no_weight_decay_names_own_parameters(self) -> None:
        """timm's convention: a set of names, each of which exists."""
        for module, _, options in self._modules():
            names = module.no_weight_decay() if hasattr(module, "no_weight_decay") else set()  # type: ignore[operator]
            assert names <= {name for name, _ in module.named_parameters()}, options

    def test_row_says_where_it_comes_from(self) -> None:
        """Figures and reports need label, source and formula."""
        assert self.row.label
        assert self.row.source
        assert self.row.formula


def _maps(channels: int) -> Tensor:
    """(2, C, 5, 3), of both signs, asymmetric, with exact zeros."""
    count = 2 * channels * 15
    ramp = torch.arange(count, dtype=torch.float32)
    values = torch.sin(ramp * 1.7 + 0.3 * math.pi) * (1 + ramp / count)
    return torch.where(ramp % 7 == 0, 0.0, values).reshape(2, channels, 5, 3)
