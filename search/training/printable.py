"""Names of files as they can be printed: on one line, on any terminal."""

from pathlib import Path

__all__ = ["printable"]


def printable(name: str | Path) -> str:
    """The name with every character that cannot be printed (line breaks, bytes that are not UTF-8) as its escape.

    Example:
        >>> printable("caf\\udce9\\n.png")
        'caf\\\\udce9\\\\n.png'
    """
    text = str(name)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
