"""Every registered activation passes the contract, and the contract fails where it should."""

import dataclasses

import pytest
import torch
from torch import nn

import leni
from leni.registry import Option
from leni.testing import ActivationContract, variants


@pytest.mark.parametrize("name", leni.activations())
class TestRegistry(ActivationContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.activation = name


class Doubling(nn.Module):
    """Says that it keeps its channels and has nothing to learn, and does neither."""

    def __init__(self, channels):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return torch.cat([x, x], 1) * torch.rand(()) / x.abs().sum()

    def no_weight_decay(self):
        return {"elsewhere"}


def row(**changes):
    plain = leni.Activation(name="doubling", label="", factory=Doubling, channelled=True)
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize(
    "test",
    [
        "test_shape_is_kept_but_for_the_multiple",
        "test_learned_counts_the_parameters",
        "test_values_and_gradients_are_finite",
        "test_evaluation_is_deterministic",
        "test_copies_compute_the_same",
        "test_memory_layout_does_not_change_values",
        "test_no_weight_decay_names_own_parameters",
        "test_row_says_where_it_comes_from",
        "test_meta_device_allocates_nothing",
    ],
)
def test_contract_broken_activation_fails(test):
    class Broken(ActivationContract):
        activation = row()

    with pytest.raises(AssertionError):
        getattr(Broken(), test)()


def test_contract_default_outside_choices_fails():
    class Broken(ActivationContract):
        activation = row(options={"mode": Option("mode", "c", ("a", "b"))})

    with pytest.raises(AssertionError):
        Broken().test_options_have_valid_defaults()


def test_variants_cover_every_choice_alone():
    seen = [(v["transform"], v["compression"], v["norm"]) for v in variants(leni.activation("leni"))]
    assert seen[0] == ("depthwise", "grouped", "none")
    assert sorted(seen[1:]) == sorted(
        [
            ("scale", "grouped", "none"),
            ("grouped", "grouped", "none"),
            ("dense", "grouped", "none"),
            ("depthwise", "dense", "none"),
            ("depthwise", "none", "none"),
            ("depthwise", "grouped", "batch"),
        ]
    )
