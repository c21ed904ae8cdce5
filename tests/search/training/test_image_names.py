import pytest
from PIL import Image

from search.training.image_names import OTHER_SUFFIXES, SUFFIXES, is_hidden, is_image


@pytest.mark.parametrize(
    "ending",
    [
        "jpg", "jpeg", "jfif", "jpe", "JPG", "Jpeg", "png", "PNG", "webp", "bmp", "tif", "tiff", "TIFF", "gif", "ppm",
        "pgm", "pbm", "avif", "jp2", "tga", "ico",
    ],
)  # fmt: skip
def test_is_image_takes_the_suffixes_of_images_in_any_case_unread(tmp_path, ending):
    assert is_image(str(tmp_path / f"gone.{ending}"))


def test_is_image_knows_all_that_torchvision_does():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert set(IMG_EXTENSIONS) <= SUFFIXES
    assert not SUFFIXES & OTHER_SUFFIXES


@pytest.mark.parametrize("name", ["image", "image.2024", "image.unknown", "a.b/image"])
def test_is_image_looks_into_files_whose_suffix_says_nothing(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"any text")
    assert not is_image(str(path))
    Image.new("L", (3, 3)).save(path, "JPEG")
    assert is_image(str(path))


@pytest.mark.parametrize("name", ["x.txt", "x.json", "x.XML", "x.jpg.bak", "x.png.part", "x.cr2", "x.tmp"])
def test_is_image_descriptions_and_leavings_are_none_whatever_they_hold(tmp_path, name):
    Image.new("L", (3, 3)).save(tmp_path / name, "PNG")
    assert not is_image(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (".x", True),
        ("x~", True),
        ("THUMBS.DB", True),
        ("Icon\r", True),
        ("x.png", False),
        ("-x", False),
        ("Icon", False),
    ],
)
def test_is_hidden(name, hidden):
    assert is_hidden(name) is hidden
