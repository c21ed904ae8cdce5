"""Arithmetic over a candidate's parameters, written as text: "width**2 * depth * 9", "1 if width < 64 else 4".

An expression is a subset of Python's: numbers, texts, truth values, names, arithmetic, comparisons, `and`, `or`, `not`,
`in`, `x if condition else y`, indices, lists, and the functions of `FUNCTIONS`. It is parsed, checked and walked; it is
never given to Python to run, so a file that holds one can do nothing but arithmetic.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from leni.errors import SpaceError

__all__ = ["CONFIG", "FUNCTIONS", "Expression"]

CONFIG = "config"
"""`config["NAME"]` is the parameter NAME, for names that are no identifiers."""

LONGEST, DEEPEST = 2000, 40  # characters of an expression, and how deep it may be nested
BITS = 4096  # of a power or a product of whole numbers

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "min": min, "max": max, "sum": sum, "len": len, "int": int, "float": float,
    "round": lambda value: round(value), "ceil": math.ceil, "floor": math.floor, "sqrt": math.sqrt, "exp": math.exp,
    "log": math.log, "log2": math.log2, "log10": math.log10,
}  # fmt: skip
OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda item, group: item in group, ast.NotIn: lambda item, group: item not in group,
}  # fmt: skip
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub)
CONSTANTS = (int, float, str, bool)


class MissingName(SpaceError):
    """An expression asks for a parameter that this candidate does not have."""


@dataclass(frozen=True)
class Expression:
    """One expression.

    Attributes:
        text: as it was written; a number stands for itself.
        what: where it stands, for messages: "known.params".

    Raises:
        SpaceError: it is no expression of this kind; one sentence.

    Example:
        >>> Expression("width**2 * (9 if kind == 'conv' else 1)")({"width": 4, "kind": "conv"})
        144
    """

    text: str
    what: str = field(default="the expression", compare=False)

    def __post_init__(self) -> None:
        text: Any = self.text
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            object.__setattr__(self, "text", text := repr(text))
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
            raise SpaceError(f"{self.what} must be a text of 1 to {LONGEST} characters, got {str(text)[:80]!r}")
        self._check(self._tree, 0)

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = getattr(error, "msg", None) or str(error)
            raise SpaceError(f"{self.what} is no expression: {why} in {self.text!r}") from None

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of parameters that it may ask for."""
        found = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} - {CONFIG, *FUNCTIONS}
        return frozenset(found | {str(key.value) for node in ast.walk(self._tree) if (key := _config_key(node))})

    def check_names(self, there: Mapping[str, Any] | frozenset[str]) -> None:
        """Refuse a name that no candidate has.

        Raises:
            SpaceError: there is one; the message has the nearest.
        """
        for name in sorted(self.names - set(there)):
            near = difflib.get_close_matches(name, list(there), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(str, there))}"
            raise SpaceError(f"{self.what} asks for {name!r}, which there is not; {hint}")

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value.

        Args:
            values: by name.

        Raises:
            SpaceError: a name is missing, or the arithmetic is impossible, as a division by 0.
        """
        try:
            return self._value(self._tree, values)
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"{self.what} = {self.text!r} has no value: {error}") from None

    def _check(self, node: ast.AST, depth: int) -> None:
        """Every part is of an allowed kind."""
        if depth > DEEPEST:
            raise SpaceError(f"{self.what} is nested more than {DEEPEST} deep")
        if not self._allowed(node):
            raise SpaceError(
                f"{self.what} may hold numbers, texts, names of parameters, arithmetic, comparisons, `x if c else y` "
                f"and {', '.join(FUNCTIONS)}, got {ast.unparse(node)[:80]!r} in {self.text!r}"
            )
        if _config_key(node) is not None:
            return
        called = node.func if isinstance(node, ast.Call) else None
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr) and part is not called:
                self._check(part, depth + 1)

    @staticmethod
    def _allowed(node: ast.AST) -> bool:
        match node:
            case ast.Constant(value=value):
                return isinstance(value, CONSTANTS)
            case ast.Name(id=name):
                return name not in FUNCTIONS and name != CONFIG
            case ast.BinOp(op=op) | ast.UnaryOp(op=op):
                return type(op) in OPERATORS
            case ast.Compare(ops=ops):
                return all(type(op) in OPERATORS for op in ops)
            case ast.Call(func=ast.Name(id=name), keywords=[]):
                return name in FUNCTIONS
            case ast.Subscript(slice=key):
                return not isinstance(key, ast.Slice)
            case _:
                return isinstance(node, (ast.BoolOp, ast.IfExp, ast.List, ast.Tuple))

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name, values)
            case ast.BoolOp(op=op, values=parts):
                return self._logical(isinstance(op, ast.And), parts, values)
            case ast.IfExp(test=test, body=yes, orelse=no):
                return self._value(yes if self._value(test, values) else no, values)
            case ast.BinOp(left=left, op=op, right=right):
                return _applied(op, self._value(left, values), self._value(right, values))
            case ast.UnaryOp(op=op, operand=operand):
                return _applied(op, self._value(operand, values))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(self._value(left, values), ops, others, values)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return FUNCTIONS[name](*(self._value(argument, values) for argument in arguments))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, values) for part in parts]
            case ast.Subscript(value=group, slice=key):
                if (constant := _config_key(node)) is not None:
                    return self._named(str(constant.value), values)
                return self._value(group, values)[self._value(key, values)]
        raise AssertionError(f"{type(node).__name__} was let through")

    def _named(self, name: str, values: Mapping[str, Any]) -> Any:
        if name not in values:
            raise MissingName(
                f"{self.what} = {self.text!r} asks for {name!r}, which this candidate does not have: ask for it only "
                f"where it is there, as in `... if kind == 'x' else 0`"
            )
        return values[name]

    def _logical(self, every: bool, parts: list[ast.expr], values: Mapping[str, Any]) -> Any:
        """`and` and `or`, which look no further than they must."""
        found: Any = every
        for part in parts:
            found = self._value(part, values)
            if bool(found) != every:
                break
        return found

    def _compared(self, left: Any, ops: list[ast.cmpop], others: list[ast.expr], values: Mapping[str, Any]) -> bool:
        for op, other in zip(ops, others, strict=True):
            right = self._value(other, values)
            if not OPERATORS[type(op)](left, right):
                return False
            left = right
        return True


def _config_key(node: ast.AST) -> ast.Constant | None:
    """The text of `config["text"]`."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str()) as key) if name == CONFIG:
            return key
    return None


def _applied(op: ast.AST, *operands: Any) -> Any:
    """An operator's value; of numbers alone where it is arithmetic, and never a number without end."""
    if isinstance(op, ARITHMETIC) and not all(isinstance(one, (int, float)) for one in operands):
        shown = " and ".join(repr(one)[:40] for one in operands)
        raise TypeError(f"arithmetic is for numbers, got {shown}")
    if isinstance(op, (ast.Pow, ast.Mult)) and all(isinstance(one, int) for one in operands):
        left, right = operands
        bits = left.bit_length() * abs(right) if isinstance(op, ast.Pow) else left.bit_length() + right.bit_length()
        if bits > BITS:
            raise OverflowError(f"a whole number of more than {BITS} bits")
    found = OPERATORS[type(op)](*operands)
    if isinstance(found, complex):
        raise ValueError("a root of a negative number")
    return found
