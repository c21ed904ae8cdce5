import pytest

from leni.errors import SpaceError
from spaces.backbones.network_names import NetworkName


def test_names_read_back_what_they_are_given():
    options = {"layers": [2, 1, 1], "drop_rate": 0.1, "flag": True, "act_layer": "gelu", "text": "0.5"}
    name = NetworkName("timm:resnet18").with_options(options)
    assert str(name) == 'timm:resnet18?act_layer=gelu&drop_rate=0.1&flag=true&layers=[2,1,1]&text="0.5"'
    assert NetworkName.parse(str(name)) == name
    assert name.arguments == options
    assert str(NetworkName.parse("torchvision:resnet18")) == "torchvision:resnet18"


def test_options_are_laid_over_those_of_the_name():
    name = NetworkName.parse("m:f?a=1&b=2").with_options({"b": 3, "c": "x"})
    assert name.arguments == {"a": 1, "b": 3, "c": "x"}


@pytest.mark.parametrize("text", ["m:f?", "m:f?a", "m:f?2=1", "m:f?in_chans=1", "m:f?weights=DEFAULT"])
def test_name_that_cannot_be_read_is_refused(text):
    with pytest.raises(SpaceError):
        NetworkName.parse(text)


def test_option_of_another_type_is_refused():
    with pytest.raises(SpaceError, match="must be a text, a number"):
        NetworkName("m:f").with_options({"a": {"b": 1}})
