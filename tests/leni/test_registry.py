"""Rows by name: looking up, refusing, checking options, plug-ins."""

import pytest
from torch import nn

import leni
from leni import registry
from leni.errors import ActivationError
from leni.registry import Activation, Option, create, get, names, register, register_activation


@pytest.fixture(autouse=True)
def _own_rows(monkeypatch):
    """What a test registers, no other test sees."""
    names()
    monkeypatch.setattr(registry, "_ROWS", dict(registry._ROWS))
    monkeypatch.setattr(registry, "_STATE", dict(registry._STATE))


def test_names_are_the_promised_ones():
    torchs = {"relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "gelu", "silu", "mish", "hardswish"}
    peers = {"crelu", "frelu", "acon_c", "meta_acon", "dynamic_relu_b", "pelu", "srelu"}
    assert set(names()) == torchs | peers | {"leni"}


def test_get_unknown_name_suggests_near_ones():
    with pytest.raises(ActivationError, match=r"no activation is called 'prelo' \(near: .*prelu.*\)"):
        get("prelo")
    with pytest.raises(ActivationError, match=r"no activation is called 'swish'.*; known are crelu, "):
        get("swish")


def test_create_unknown_option_names_the_known():
    with pytest.raises(ActivationError, match=r"'elu' has no option 'alfa' \(near: alpha\); it has alpha"):
        create("elu", 4, alfa=2.0)
    with pytest.raises(ActivationError, match="'relu' has no option 'inplace'; it has none"):
        create("relu", 4, inplace=True)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("kernel_size", 4, "an odd number of at least 1"),
        ("kernel_size", -1, "an odd number of at least 1"),
        ("kernel_size", 3.0, "an odd number of at least 1"),
        ("kernel_size", True, "an odd number of at least 1"),
        ("kernel_size", None, "an odd number of at least 1"),
        ("transform", "conv", "one of depthwise, scale, grouped, dense"),
        ("transform", 3, "one of depthwise, scale, grouped, dense"),
        ("groups", 0, "a whole number of at least 1, or None"),
        ("init_std", -0.1, "a number of at least 0"),
        ("init_std", float("nan"), "a number of at least 0"),
        ("init_slope", "much", "a number"),
        ("init_slope", float("inf"), "a number"),
        ("decay", 1, "True or False"),
    ],
)
def test_check_bad_value_says_what_is_allowed(option, value, allowed):
    with pytest.raises(ActivationError) as caught:
        get("leni").check({option: value})
    assert str(caught.value) == f"activation 'leni': option `{option}` must be {allowed}, got {value!r}"


def test_check_fills_defaults_in_the_rows_order():
    options = get("leni").check({"decay": True, "init_std": 1, "groups": 2})
    assert list(options) == list(get("leni").options)
    assert (options["decay"], options["init_std"], options["groups"], options["kernel_size"]) == (True, 1, 2, 3)


def test_structure_leaves_out_start_and_decay():
    kept = get("leni").structure({"init_std": 1.0, "kernel_size": 5})
    assert kept == {
        "kernel_size": 5,
        "transform": "depthwise",
        "groups": None,
        "compression": "grouped",
        "norm": "none",
    }


def test_create_gives_the_module_with_its_options():
    module = create("leni", 6, transform="grouped", groups=2, init_slope=0.25)
    assert isinstance(module, leni.LENI)
    assert (module.groups, module.init_slope) == (2, 0.25)


@pytest.mark.parametrize("name", ["relu", "leni"])
def test_register_twice_is_an_error(name):
    with pytest.raises(ActivationError, match=rf"'{name}' is registered already, by .*; leni\.block must"):
        register(Activation(name=name, label="", factory=leni.LENI))
    assert get(name).label


@pytest.mark.parametrize("name", ["ReLU", "a-b", "", "2x"])
def test_register_bad_name_is_an_error(name):
    with pytest.raises(ActivationError, match="lower-case letters, digits and underscores"):
        register(Activation(name=name, label="", factory=nn.ReLU))


def test_register_option_under_another_name_is_an_error():
    row = Activation(name="mine", label="", factory=nn.ReLU, options={"a": Option("b", 1, kind=int)})
    with pytest.raises(ActivationError, match="option 'a' is listed under another name"):
        register(row)


def test_decorator_keeps_the_class_and_registers_it():
    @register_activation(name="shifted", options=(Option("by", 1.0, kind=float),), formula="x + by")
    class Shifted(nn.Module):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def forward(self, x):
            return x + self.by

    assert isinstance(create("shifted", 4, by=2.0), Shifted)
    assert get("shifted").label == "Shifted"
    assert not get("shifted").channelled


def test_row_is_frozen_also_in_its_options():
    row = get("prelu")
    with pytest.raises(TypeError):
        row.options["per"] = None
    assert hash(row) == hash(get("prelu"))


class Point:
    group, name, value = "leni.activations", "plugged", "somewhere:plugged"

    def __init__(self, error=None):
        self.error, self.loads = error, 0

    def load(self):
        self.loads += 1
        if self.error:
            raise self.error
        register_activation(name="plugged")(nn.ReLU)


def plug(monkeypatch, point):
    registry._STATE["entry points read"] = False
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [point] if group == Point.group else [])


def test_entry_point_is_loaded_once_at_the_first_look_up(monkeypatch):
    point = Point()
    plug(monkeypatch, point)
    assert isinstance(create("plugged", 4), nn.ReLU)
    assert "plugged" in names()
    assert point.loads == 1


def test_entry_point_that_cannot_load_is_named_each_time(monkeypatch):
    plug(monkeypatch, Point(ImportError("no module named somewhere")))
    for _ in range(2):
        with pytest.raises(
            ActivationError, match=r"entry point 'plugged' .* cannot load 'somewhere:plugged': no module"
        ):
            get("relu")
