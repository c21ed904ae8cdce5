import random

import pytest

from leni.placement import Placement
from spaces import backbone
from spaces.backbones.placing import placement_of


@pytest.mark.parametrize("name", ["resnet20", "vgg16_bn", "small_networks:Residual"])
def test_placement_of_any_sites_selects_these_sites(name):
    sites, generator = backbone(name).sites, random.Random(8)
    for _ in range(40):
        places = {place for place in range(len(sites)) if generator.random() < 0.5}
        text = placement_of(sites, places)
        assert Placement.parse(text).select(sites) == places
        assert str(Placement.parse(text)) == text


def test_words_are_found_where_they_say_it():
    sites = backbone("resnet20").sites
    for text in ("all", "none", "stem", "stem+outer", "stage:1", "stage:0-1+stage:3", "sites:stages.0.1.inner"):
        assert placement_of(sites, Placement.parse(text).select(sites)) == text
