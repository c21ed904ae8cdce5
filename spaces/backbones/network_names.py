"""Names of networks with options of their factories: `timm:resnet18?drop_rate=0.1`.

The options follow a question mark, sorted, each with its value as JSON (a plain word stands for itself), so that equal
networks have equal names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leni.errors import SpaceError

__all__ = ["NetworkName"]

FOLLOWED = {
    "pretrained": "weights come from a file, `weights` of [training]",
    "weights": "weights come from a file, `weights` of [training]",
    "num_classes": "it follows the data set",
    "in_chans": "it follows the data set",
    "in_channels": "it follows the data set",
}


@dataclass(frozen=True)
class NetworkName:
    """A network's name, taken apart.

    Attributes:
        source: torchvision:NAME, timm:NAME or package.module:factory.
        options: sorted (name, JSON) pairs for the factory.
    """

    source: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> NetworkName:
        """Read a name.

        Raises:
            SpaceError: an option has no value, or cannot be given.
        """
        source, mark, rest = text.partition("?")
        values: dict[str, Any] = {}
        for pair in rest.split("&") if mark else ():
            name, equals, value = pair.partition("=")
            if not name.isidentifier() or not equals:
                raise SpaceError(f"options of a network are written {source}?name=value&name=value, got {text!r}")
            values[name] = _value(value)
        return cls(source).with_options(values)

    def with_options(self, options: Mapping[str, Any]) -> NetworkName:
        """The name with further options.

        Args:
            options: texts, numbers, booleans, or lists of these, by name.

        Raises:
            SpaceError: an option follows the data set, or has a value of another type.
        """
        merged = dict(self.options)
        for name, value in options.items():
            if not name.isidentifier():
                raise SpaceError(f"network: an option is an argument of the factory {self.source}, got {name!r}")
            if name in FOLLOWED:
                raise SpaceError(f"network: {name} cannot be given: {FOLLOWED[name]}")
            if not _plain(value):
                raise SpaceError(
                    f"network: {name} must be a text, a number, a boolean or a list of them, got {value!r}"
                )
            merged[name] = json.dumps(value, separators=(",", ":"))
        return NetworkName(self.source, tuple(sorted(merged.items())))

    @property
    def arguments(self) -> dict[str, Any]:
        """The options as the factory gets them."""
        return {name: json.loads(value) for name, value in self.options}

    def __str__(self) -> str:
        pairs = [f"{name}={_word(value)}" for name, value in self.options]
        return f"{self.source}?{'&'.join(pairs)}" if pairs else self.source


def _value(text: str) -> Any:
    """What an option's text says: JSON, or a plain word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _word(value: str) -> str:
    """JSON as it is written in a name: a text without its quotation marks, where it reads back as the same."""
    word: Any = json.loads(value)
    plain = isinstance(word, str) and not set(word) & set('&="') and _value(word) == word
    return word if plain else value


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_plain(item) and not isinstance(item, list) for item in value)
    return isinstance(value, (str, bool, int, float)) and "&" not in str(value)
