"""Values of a record as a column of a frame: which dtype holds them all, and each value in it.

Whatever a search has ended with must be written, so a column that is not in the schema always finds a dtype: boolean,
Int64, Float64 or string where all values are of that kind, else texts. As texts, numbers and truth values stand as in
JSON (0.5, true); if two different values of the column would read alike ("1" and 1), each stands as JSON, texts quoted.
Lone surrogates, which no file can hold, are written out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from results.errors import RecordError

__all__ = ["column_values", "present_value"]

KINDS: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,), "Int64": (int,), "Float64": (int, float), "string": (str,)
}  # fmt: skip
_LEAST, _MOST = -(2**63), 2**63 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


def present_value(value: Any) -> Any:
    """A Python value for a NumPy or missing one; None for NaN."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    return None if isinstance(plain, float) and plain != plain else plain


def column_values(name: str, values: Sequence[Any], dtype: str = "", *, relaxed: bool = False) -> pd.Series[Any]:
    """One column in its dtype.

    Args:
        name: of the column, for messages.
        values: as `present_value` gives them.
        dtype: of the schema; empty for the narrowest that holds all values.
        relaxed: whether whole numbers of the schema may be others, as an evaluator may count in millions.

    Raises:
        RecordError: a value does not fit the schema's dtype, or is neither number, text nor truth value.
    """
    if dtype.startswith("datetime64"):
        return pd.Series([_time(name, row, value) for row, value in enumerate(values)], dtype=dtype)
    if relaxed and dtype == "Int64" and not all(value is None or _whole(value) for value in values):
        dtype = "Float64"
    if not dtype:
        dtype, values = _inferred(name, values)
    for row, value in enumerate(values):
        if value is not None and not (_whole(value) if dtype == "Int64" else _fits(value, KINDS[dtype])):
            raise RecordError(f"column {name} must be {dtype}, got {value!r} (row {row})")
    makers: Mapping[str, Callable[[Any], Any]] = {"Int64": int, "Float64": float, "string": _written}
    made = makers.get(dtype, bool)
    return pd.Series([None if value is None else made(value) for value in values], dtype=dtype)


def _inferred(name: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The narrowest dtype that holds all values exactly, and the values in it: as texts where no other does."""
    present = [value for value in values if value is not None]
    if not present:
        return "Float64", values
    for dtype, kinds in KINDS.items():
        held = {"Int64": _whole, "Float64": _exact}.get(dtype, lambda value: True)
        if all(_fits(value, kinds) and held(value) for value in present):
            return dtype, values
    if others := sorted({type(value).__name__ for value in present if not isinstance(value, (bool, int, float, str))}):
        raise RecordError(f"column {name} must hold numbers, or texts, or truth values, got {', '.join(others)}")
    as_json = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    texts = [value if isinstance(value, str) else text for value, text in zip(values, as_json, strict=True)]
    alike = len({text for text in texts if text is not None}) < len({text for text in as_json if text is not None})
    return "string", as_json if alike else texts


def _exact(value: Any) -> bool:
    """Whether a 64-bit float holds a number."""
    try:
        return isinstance(value, float) or int(float(value)) == value
    except (OverflowError, TypeError, ValueError):
        return False


def _whole(value: Any) -> bool:
    """Whether 64 bits hold it as a whole number."""
    if isinstance(value, float):
        return value.is_integer() and _LEAST <= value < _MOST
    return _fits(value, (int,)) and _LEAST <= value <= _MOST


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _written(text: str) -> str:
    """A text that UTF-8 has: a byte of a file's name, or another lone surrogate, as an escape."""
    return _SURROGATE.sub(lambda found: found.group().encode("utf-8", "backslashreplace").decode(), text)


def _time(name: str, row: int, value: Any) -> Any:
    """A moment in UTC."""
    if value is None:
        return pd.NaT
    try:
        if isinstance(value, (int, float)):
            raise ValueError("a number has no unit")
        moment = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise RecordError(f"column {name} must be a datetime or ISO 8601 text, got {value!r} (row {row})") from error
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
