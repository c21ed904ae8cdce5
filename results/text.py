"""Text from elsewhere (an exception, a file name, an evaluator) in a form that every file and terminal takes."""

from __future__ import annotations

import re

__all__ = ["counted", "readable"]

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def counted(number: int, thing: str) -> str:
    """A number with what it counts, in the plural where it is not one.

    Example:
        >>> counted(1, "seed"), counted(1200, "seed")
        ('1 seed', '1,200 seeds')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def readable(text: str, limit: int | None = None) -> str:
    """A text without terminal sequences, its other control characters and lone surrogates written out.

    Tabs and line feeds stay. A byte that was no UTF-8 in a file's name is written as that byte.

    Args:
        text: any text.
        limit: characters at most; a longer text ends in "...". None for all of it.

    Example:
        >>> readable("\\x1b[31mno\\x1b[0m /data/caf\\udce9.csv\\x07")
        'no /data/caf\\\\xe9.csv\\\\x07'
    """
    shown = text if limit is None else text[: 8 * limit + 1]  # a huge text is not searched to its end
    shown = _CONTROLS.sub(_written_out, _ESCAPES.sub("", shown))
    return shown if limit is None or len(shown) <= limit else shown[: max(0, limit - 3)] + "..."


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as os.fsdecode keeps it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
