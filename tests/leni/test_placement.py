from dataclasses import dataclass

import pytest

from leni.errors import PlacementError
from leni.placement import Placement


@dataclass(frozen=True)
class Site:
    name: str
    role: str
    stage: int


SITES = [
    Site("stem", "stem", 0),
    Site("a", "inner", 1),
    Site("b", "outer", 1),
    Site("se", "gate", 1),
    Site("c", "inner", 2),
    Site("d", "outer", 2),
    Site("e", "inner", 3),
    Site("fc", "head", 3),
]


def chosen(text: str) -> str:
    selected = Placement.parse(text).select(SITES)
    return " ".join(site.name for index, site in enumerate(SITES) if index in selected)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", "stem a b c d e"),
        ("none", ""),
        ("first", "stem"),
        ("last", "e"),
        ("stem", "stem"),
        ("inner", "a c e"),
        ("outer", "b d"),
        ("gate", "se"),
        ("head", "fc"),
        ("stage:0", "stem"),
        ("stage:2", "c d"),
        ("stage:1-2", "a b c d"),
        ("stage:2-9", "c d e"),
        ("every:1", "stem a b c d e"),
        ("every:2", "stem b d"),
        ("every:9", "stem"),
        ("sites:fc,a", "a fc"),
        ("outer+stem", "stem b d"),
        ("all+gate", "stem a b se c d e"),
        (" last + sites: se ", "se e"),
        ("none+last", "e"),
    ],
)
def test_placement_selects_sites(text: str, names: str) -> None:
    assert chosen(text) == names


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("inner+stem", "stem+inner"),
        ("stage:3-3", "stage:3"),
        ("stage:2+stage:1+stage:2", "stage:1+stage:2"),
        ("inner+all", "all"),
        ("stage:1+all+head", "all+head"),
        ("none+none", "none"),
        ("stem+none", "stem"),
        ("sites:b, a,b", "sites:b,a"),
        ("every:2+first", "first+every:2"),
    ],
)
def test_placement_has_one_canonical_text(text: str, canonical: str) -> None:
    placement = Placement.parse(text)

    assert str(placement) == canonical
    assert Placement.parse(canonical) == placement
    assert hash(Placement.parse(canonical)) == hash(placement)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"cannot read '' at column 1"),
        ("stem+iner", r"cannot read 'iner' at column 6; did you mean 'inner'"),
        ("stage:3-1", r"it is written stage:2 or stage:1-3"),
        ("stage:x", "stage:2 or stage:1-3"),
        ("every:0", "it is written every:2"),
        ("sites:", "it is written sites:NAME,NAME"),
        ("sites:a,,b", "it is written sites:NAME,NAME"),
        ("stem+", "cannot read '' at column 6"),
        ("all:2", "cannot read 'all:2'"),
    ],
)
def test_placement_that_cannot_be_read_points_at_the_word(text: str, sentence: str) -> None:
    with pytest.raises(PlacementError, match=sentence):
        Placement.parse(text)


def test_placement_that_matches_nothing_says_what_there_is() -> None:
    with pytest.raises(PlacementError, match=r"'stage:7' matches none .*8 call sites.*stages: 0, 1, 2, 3"):
        Placement.parse("stem+stage:7").select(SITES)
    with pytest.raises(PlacementError, match=r"'gate' matches none .*roles: stem, inner\b"):
        Placement.parse("gate").select(SITES[:2])
    with pytest.raises(PlacementError, match="'all' matches none"):
        Placement.parse("all").select([])
    assert Placement.parse("none").select([]) == frozenset()


def test_placement_of_unknown_site_says_what_is_near() -> None:
    with pytest.raises(PlacementError, match=r"no call site is called 'stm'; near names are stem"):
        Placement.parse("sites:a,stm").select(SITES)
