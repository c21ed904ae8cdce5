"""What a user's function returned, as values that a study and a record can hold.

A number is a number, whoever made it: NumPy's scalars, tensors and arrays of one element, Decimal, Fraction, and a
boolean. The objectives must be finite numbers. Everything else is kept as it is, as far as it can be: other numbers may
be NaN or infinite; texts, lists, arrays and nested mappings become attributes, JSON in the records. What cannot be kept
is named in a note, and costs nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from leni.errors import EvaluationError
from results.names import metric_column, plain_name
from results.text import readable

__all__ = ["COUNTS", "Returned", "number_of", "read_metrics"]

COUNTS = ("params", "macs")
OURS = ("accuracy_std", "seeds", "epochs")  # also taken for the record's own field, where the value can be one
LONGEST = 10_000  # characters of an attribute's JSON
LONGEST_NAME = 200
MOST = 500  # metrics of a call
EXACT = 2**53  # up to which a float holds every whole number
DEEPEST = 20


@dataclass
class Returned:
    """What is kept of a call.

    Attributes:
        values: by column of the records; numbers, truth values, texts, and lists and mappings of these.
        ours: fields of a record that the function knows better than we do: accuracy_std, seeds, epochs.
        notes: what is not kept, and why, a sentence each.
    """

    values: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def number_of(value: Any) -> bool | int | float | None:
    """A value as a plain number, None where it is not a number.

    Example:
        >>> number_of(Decimal("0.5")), number_of("0.5"), number_of(True)
        (0.5, None, True)
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value) if abs(int(value)) <= EXACT else _float(int(value))
    if isinstance(value, (Real, Decimal)):
        return _float(value)
    if callable(getattr(value, "item", None)) and math.prod(getattr(value, "shape", (2,))) == 1:
        try:
            inner = value.item()  # of a NumPy scalar or array, or a tensor on any device
        except (RuntimeError, TypeError, ValueError):  # a tensor without values
            return None
        return None if inner is value else number_of(inner)
    return None


def read_metrics(
    returned: Any, path: str, *, objectives: Collection[str], taken: Collection[str] = (), network: bool = False
) -> Returned:
    """What a function returned, by column of the records.

    Args:
        returned: what it returned.
        path: of the function, for messages.
        objectives: columns that must have a finite number.
        taken: columns of the parameters.
        network: whether it evaluated a network of ours, whose accuracy is a fraction and whose costs are counts.

    Raises:
        EvaluationError: it returned no mapping, or an objective is missing or no finite number.
    """
    kept = Returned()
    found = returned if isinstance(returned, Mapping) else {}
    wanted = {plain_name(column): column for column in objectives}
    for name, column in wanted.items():
        if name not in found:
            raise EvaluationError(
                f"{path} must return a mapping with {name!r}, got {_shown(returned)}", code="LS-EVALUATION-METRICS"
            )
        kept.values[column] = _objective(found[name], column, path, network)
    others = [name for name in found if name not in wanted]
    for name in others[:MOST]:
        if why := _keep(kept, name, found[name], {*taken, *objectives}, network):
            kept.notes.append(f"{path} returned {_shown(name)}, which is not kept: {why}")
    if len(others) > MOST:
        kept.notes.append(f"{path} returned {len(others):,} metrics besides the objectives, and {MOST} are kept")
    return kept


def _objective(value: Any, column: str, path: str, network: bool) -> int | float:
    """An objective's value, checked."""
    number, name = number_of(value), plain_name(column)
    if number is None or not math.isfinite(number) or (isinstance(number, bool) and column == "accuracy"):
        raise EvaluationError(
            f"{path} must return finite numbers, got {name}={_shown(value)}", code="LS-EVALUATION-METRICS"
        )
    if network and column == "accuracy" and not 0 <= number <= 1:
        raise EvaluationError(f"{path} must return an accuracy in 0..1, got {number}", code="LS-EVALUATION-METRICS")
    if network and column in COUNTS and not _is_count(number):
        raise EvaluationError(
            f"{path} must return a whole number of at least 1 as {name}, got {number}", code="LS-EVALUATION-METRICS"
        )
    return float(number) if isinstance(number, bool) else number


def _keep(kept: Returned, name: Any, value: Any, taken: Collection[str], network: bool) -> str:
    """Keep a metric that is no objective; why it cannot be kept, empty where it can."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or readable(name) != name:
        return f"a metric's name is a text of 1 to {LONGEST_NAME} characters without control characters"
    number, column = number_of(value), metric_column(name, taken=taken)
    if number is None:
        try:
            attribute = _attribute(value, 0)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            return readable(str(error), 200) or type(error).__name__
        kept.values[column] = attribute
        return ""
    if network and column == "accuracy" and not 0 <= number <= 1:
        return f"a network's accuracy is in 0..1, and this is {number}"
    if network and column in COUNTS and not _is_count(number):
        return f"a network's {name} is a whole number of at least 1, and this is {number}"
    kept.values[column] = None if math.isnan(number) else number
    if name in OURS and (number >= 0 if name == "accuracy_std" else _is_count(number)):
        kept.ours[name] = float(number) if name == "accuracy_std" else int(number)
    return ""


def _attribute(value: Any, depth: int) -> Any:
    """A text, list or mapping as JSON has it.

    Raises:
        TypeError: there is something in it that JSON does not have.
        ValueError: it is too long or too deep.
    """
    plain = _json(value, depth)
    if len(json.dumps(plain)) > LONGEST:
        raise ValueError(f"an attribute has {LONGEST:,} characters of JSON at most")
    return plain


def _json(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"an attribute is nested {DEEPEST} deep at most")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, bytes)) and len(value) > LONGEST:
        raise ValueError(f"an attribute has {LONGEST:,} characters of JSON at most")
    if isinstance(value, str):
        return readable(value)
    if (number := number_of(value)) is not None:
        return number if math.isfinite(number) else None if math.isnan(number) else str(number)
    if callable(getattr(value, "tolist", None)) and math.prod(getattr(value, "shape", ())) <= LONGEST:
        return _json(value.tolist(), depth + 1)
    if isinstance(value, Mapping) and len(value) <= LONGEST:
        return {readable(str(name), LONGEST_NAME): _json(part, depth + 1) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and len(value) <= LONGEST:
        return [_json(part, depth + 1) for part in value]
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) or hasattr(value, "tolist"):
        raise ValueError(f"an attribute has {LONGEST:,} characters of JSON at most")
    raise TypeError(f"it holds a {type(value).__name__}, which JSON does not have")


def _is_count(number: float) -> bool:
    return not isinstance(number, bool) and math.isfinite(number) and 1 <= number < 2**63 and number % 1 == 0


def _float(value: Any) -> float | None:
    """A number as a float, None where it is beyond every float."""
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def _shown(value: Any) -> str:
    """A value for a message, in one line."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever a user's __repr__ raises
        text = f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return " ".join(readable(text, 200).split())
