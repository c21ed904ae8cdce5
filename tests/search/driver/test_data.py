import io

import pytest
from PIL import Image
from rich.console import Console

from search.driver.data import spec_data
from search.spec import Spec


@pytest.fixture
def spec(tmp_path):
    for number in range(10):
        folder = tmp_path / "set" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 9 * number).save(folder / f"{number}.png")
    return Spec(data="imagefolder", data_folder=tmp_path / "set", image_size=4, trials=1, epochs=1)


def _shown(spec, **options):
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    data = spec_data(spec, console=console, **options)
    assert len(data.train.labels) == 6
    return console.file.getvalue()


def test_spec_data_shows_a_bar_while_images_are_decoded_and_nothing_afterwards(spec):
    assert "decoding" in _shown(spec)
    assert _shown(spec) == ""


def test_spec_data_quiet_shows_nothing(spec):
    assert _shown(spec, quiet=True) == ""


def test_spec_data_of_a_set_that_is_not_decoded_shows_nothing(capfd):
    spec_data(Spec(data="digits"))
    assert capfd.readouterr() == ("", "")
