"""Expressions over parameters: Python's values for what is allowed, one sentence for everything else."""

import math

import pytest

from leni.errors import SpaceError
from spaces.expressions import Expression

VALUES = {"width": 7, "depth": 3, "rate": 0.25, "kind": "conv", "widths": [4, 9, 2], "on": True}


@pytest.mark.parametrize(
    "text",
    [
        "width**2 * depth * 9",
        "-width + 2 * (depth - 1) / 4",
        "width // 2 % 2",
        "1 if width < 64 else 4",
        "4 if kind in ['attention', 'mixer'] else 1",
        "kind != 'conv' or on",
        "not on and width",
        "2 < depth <= 3",
        "max(widths) * len(widths) + sum(widths)",
        "widths[-1] + widths[depth - 3]",
        "round(width / 2) + int(2.7) + ceil(0.1) + floor(1.9)",
        "log2(8) + sqrt(width) + abs(-rate) + min(width, depth, 1)",
    ],
)
def test_value_is_pythons(text):
    functions = {"ceil": math.ceil, "floor": math.floor, "log2": math.log2, "sqrt": math.sqrt}
    assert Expression(text)(VALUES) == eval(text, functions, dict(VALUES))


def test_name_that_is_no_identifier_is_asked_of_config():
    expression = Expression('config["learning rate"] * 2 + config["max"]')
    assert expression({"learning rate": 3, "max": 1}) == 7
    assert expression.names == {"learning rate", "max"}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "width.__class__",
        "[w for w in widths]",
        "(lambda: 1)()",
        "open('x')",
        "max(widths, key=abs)",
        "widths[0:2]",
        "f'{width}'",
        "width := 2",
        "{'a': 1}['a']",
        "width | 2",
        "1j",
        "b'x'",
        "None",
        "max",
        "width width",
        "",
        "   ",
        "x" * 3000,
        "(" * 60 + "1" + ")" * 60 + " + " + "-" * 60 + "1",
    ],
)
def test_everything_else_is_refused_when_it_is_read(text):
    with pytest.raises(SpaceError, match=r"^known\.params "):
        Expression(text, "known.params")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("width / (depth - 3)", "division by zero"),
        ("9**9**9", "4096 bits"),
        ("sqrt(-width)", "math domain|nonnegative"),
        ("(-8) ** 0.5", "negative number"),
        ("exp(10000)", "range"),
        ("kind + 1", "numbers, got 'conv' and 1"),
        ("kind * 1000000000", "numbers, got 'conv'"),
        ("widths[5]", "index out of range"),
        ("max(3)", "not iterable"),
        ("heads * 2", "'heads', which this candidate does not have"),
    ],
)
def test_arithmetic_that_has_no_value_is_one_sentence(text, why):
    with pytest.raises(SpaceError, match=why):
        Expression(text)(VALUES)


def test_branch_that_is_not_taken_is_not_evaluated():
    assert Expression("heads * 2 if kind == 'attention' else 5")(VALUES) == 5
    assert Expression("kind == 'attention' and heads > 1")(VALUES) is False


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(SpaceError, match=r"asks for 'widht', which there is not; did you mean 'width'\?"):
        Expression("widht * 2").check_names(frozenset(VALUES))
