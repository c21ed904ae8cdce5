"""Random candidates of a search's space, for what is measured or checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from search.decide.quiet import without_optunas_lines
from search.decide.samplers import sampler
from search.engine.asker import Asker, Point
from search.spec import Spec

__all__ = ["random_candidates"]


def random_candidates(spec: Spec, count: int, *, check: Callable[[Any], Any] = lambda _: None) -> Iterator[Point]:
    """Different candidates, the same for every call with one spec: the first of a fixed list, else random ones.

    Args:
        spec: with the space and the seed.
        count: how many, at most; a space may have fewer.
        check: raises CandidateError for one that is left out.
    """
    if spec.candidates:
        yield from islice(spec.only_candidates(), count)
        return
    with without_optunas_lines():
        asker = Asker(
            spec.search_space(), sampler("random", seed=spec.seed), directions=["maximize"], seed=spec.seed, check=check
        )
        for _ in range(count):
            asked = asker.ask()
            if asked is None:
                return
            yield asked.candidate
