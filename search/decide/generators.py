"""Where random number generators stand, as data: numbers and texts that JSON holds, read without running anything.

A sampler's generators are found by looking: in its attributes, in those of the parts that it is made of, by name.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["reseed", "set_states", "states_of"]

Generator = np.random.Generator | np.random.RandomState | random.Random
PARTS = ("optuna.", "search.")  # modules whose objects are looked into
DEPTH = 6
MT_WORDS = 624  # of a Mersenne Twister's state


def states_of(owner: object) -> dict[str, Any]:
    """The state of every generator that an object works with, by where it is: `sampler._rng._rng`."""
    return {place: _state(generator) for place, generator in _generators(owner)}


def set_states(owner: object, states: Mapping[str, Any]) -> None:
    """Let the generators of an object that was made with the same arguments continue from what `states_of` gave.

    Raises:
        ValueError: these are no states of the generators that the object has. Some of them may have been set.
        TypeError: likewise.
        KeyError: likewise.
        OverflowError: likewise.
    """
    found = dict(_generators(owner))
    if set(found) != set(states):
        raise ValueError(f"it holds the generators {sorted(states)}, not {sorted(found)}")
    for place, generator in found.items():
        _set(generator, states[place])


def reseed(owner: object, *entropy: int) -> None:
    """Let the generators of an object begin anew, each from a seed that follows from the entropy and its place."""
    found = list(_generators(owner))
    for (_, generator), child in zip(found, np.random.SeedSequence(entropy).spawn(len(found)), strict=True):
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = type(generator.bit_generator)(child).state
        elif isinstance(generator, np.random.RandomState):
            generator.seed(child.generate_state(8))
        else:
            generator.seed(int.from_bytes(child.generate_state(8).tobytes(), "little"))


def _generators(owner: object) -> Iterator[tuple[str, Generator]]:
    """The generators within an object, each once, in the order of its attributes."""
    seen: set[int] = set()

    def look(part: object, place: str, depth: int) -> Iterator[tuple[str, Generator]]:
        if id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, (np.random.Generator, np.random.RandomState, random.Random)):
            yield place, part
        elif depth and type(part).__module__.startswith(PARTS):
            for name, value in getattr(part, "__dict__", {}).items():
                yield from look(value, f"{place}.{name}" if place else name, depth - 1)

    yield from look(owner, "", DEPTH)


def _state(generator: Generator) -> Any:
    if isinstance(generator, np.random.Generator):
        return _plain(generator.bit_generator.state)
    if isinstance(generator, np.random.RandomState):
        return _plain(generator.get_state(legacy=False))
    return _plain(generator.getstate())


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings alone."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _set(generator: Generator, state: Any) -> None:
    if isinstance(generator, random.Random):
        version, words, gauss = state
        generator.setstate((version, tuple(words), gauss))
        return
    if not isinstance(state, dict):
        raise TypeError("a generator's state must be a table")
    if state.get("bit_generator") == "MT19937":
        state = {**state, "state": _checked(state["state"])}
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _checked(twister: Mapping[str, Any]) -> dict[str, Any]:
    """A Mersenne Twister's state; numpy itself would read beyond its end where the position is beyond it."""
    words, position = np.asarray(twister["key"], dtype=np.uint32), twister["pos"]
    if words.shape != (MT_WORDS,) or type(position) is not int or not 0 <= position <= MT_WORDS:
        raise ValueError("it is not a state of a Mersenne Twister")
    return {"key": words, "pos": position}
