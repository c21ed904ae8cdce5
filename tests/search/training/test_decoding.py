import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision import transforms

from leni.errors import DataError
from search.training.decoding import CHUNK, decode, looks_like_image


def _noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def _decoded(path, size):
    """Height, width, channels."""
    return decode([path], size).images[0].transpose(1, 2, 0)


@pytest.mark.parametrize("shape", [(40, 31), (31, 40), (9, 100), (100, 9), (8, 8), (3, 5)])
def test_decode_agrees_with_torchvision(tmp_path, shape):
    Image.fromarray(_noise(*shape)).save(tmp_path / "x.png")
    convention = transforms.Compose([transforms.Resize(16), transforms.CenterCrop(16), transforms.PILToTensor()])
    theirs = convention(Image.open(tmp_path / "x.png")).numpy()
    assert np.array_equal(decode([tmp_path / "x.png"], 16).images[0], theirs)


def test_decode_cuts_the_middle_of_the_longer_side(tmp_path):
    pixels = np.repeat(np.arange(12, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert _decoded(tmp_path / "wide.png", 4)[0, :, 0].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("turned", [False, True])
def test_decode_strip_gives_its_middle(tmp_path, turned):
    pixels = np.zeros((2, 100_000, 3), dtype=np.uint8)
    pixels[:, 49_999:50_001] = 200
    image = Image.fromarray(pixels)
    (image.transpose(Image.Transpose.ROTATE_90) if turned else image).save(tmp_path / "strip.png")
    assert (_decoded(tmp_path / "strip.png", 32)[10:22, 10:22] >= 190).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (1, 1000)])
def test_decode_image_of_one_pixel_in_a_direction(tmp_path, shape):
    Image.fromarray(np.full((*shape, 3), 77, np.uint8)).save(tmp_path / "thin.png")
    assert (_decoded(tmp_path / "thin.png", 12) == 77).all()


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_an_image_as_its_exif_says(tmp_path, ending, orientation):
    corners = np.array([[0, 60], [120, 240]], np.uint8)  # top left, top right, bottom left, bottom right
    upright = Image.fromarray(np.kron(corners, np.ones((16, 16), np.uint8))).convert("RGB")
    stored = {  # how a camera stores an upright picture: the inverse of what a viewer does (EXIF 2.3, tag 274)
        1: lambda image: image,
        2: ImageOps.mirror,
        3: lambda image: image.rotate(180),
        4: ImageOps.flip,
        5: lambda image: ImageOps.mirror(image).rotate(90),
        6: lambda image: image.rotate(90),
        7: lambda image: ImageOps.mirror(image).rotate(270),
        8: lambda image: image.rotate(270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"x.{ending}", exif=exif)
    found = _decoded(tmp_path / f"x.{ending}", 32)[4::24, 4::24, 0]
    assert np.abs(found.astype(int) - corners).max() < 12


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_decode_orientation_out_of_range_changes_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = _noise(10, 10)
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(_decoded(tmp_path / "x.png", 10), pixels)


def test_decode_corrupt_exif_costs_no_image(tmp_path):
    pixels = _noise(10, 10)
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert np.array_equal(_decoded(tmp_path / "x.png", 10), pixels)


def _with_alpha(mode, alpha):
    image = Image.fromarray(np.dstack([np.full((6, 6, 3), 100, np.uint8), np.full((6, 6), alpha, np.uint8)]))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("alpha", "grey"), [(255, 100), (0, 255), (51, 224)])  # 100 a + 255 (1 - a)
def test_decode_lays_a_transparent_image_on_white(tmp_path, mode, alpha, grey):
    _with_alpha(mode, alpha).save(tmp_path / "x.png")
    assert (_decoded(tmp_path / "x.png", 6) == grey).all()


def _palette():
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8).repeat(4, 0).repeat(4, 1)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    return image


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_decode_palette_with_a_transparent_colour(tmp_path, ending):
    _palette().save(tmp_path / f"x.{ending}", transparency=1)
    found = _decoded(tmp_path / f"x.{ending}", 8)
    assert found[0, 0].tolist() == found[7, 7].tolist() == [10, 20, 30]
    assert found[0, 7].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("mode", "ending"), [("L", "png"), ("RGB", "png"), ("I;16", "png")])
def test_decode_declared_transparent_value_becomes_white(tmp_path, mode, ending):
    values = {"L": 7, "RGB": (7, 7, 7), "I;16": 7}
    image = Image.new(mode, (4, 4), values[mode])
    image.save(tmp_path / f"x.{ending}", transparency=values[mode])
    assert (_decoded(tmp_path / f"x.{ending}", 4) == 255).all()


def test_decode_grey_palette_and_one_bit_images_become_rgb(tmp_path):
    Image.fromarray(np.full((5, 5), 90, np.uint8)).save(tmp_path / "grey.png")
    _palette().save(tmp_path / "palette.bmp")
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "bits.tif")
    assert (_decoded(tmp_path / "grey.png", 5) == 90).all()
    assert _decoded(tmp_path / "palette.bmp", 8)[0, 7].tolist() == [200, 100, 50]
    assert np.array_equal(_decoded(tmp_path / "bits.tif", 8), np.eye(8, dtype=np.uint8)[..., None].repeat(3, 2) * 255)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_decode_16_bit_image_keeps_its_levels(tmp_path, ending):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / f"deep.{ending}")
    assert np.array_equal(_decoded(tmp_path / f"deep.{ending}", 8)[..., 0], np.rint(ramp / 257).astype(np.uint8))


def test_decode_16_bit_colour_image_keeps_its_levels(tmp_path):
    import zlib

    ramp = np.linspace(0, 65535, 64 * 3).astype(">u2").reshape(8, 8 * 3)
    rows = b"".join(b"\0" + row.tobytes() for row in ramp)
    chunks = (b"IHDR", bytes([0, 0, 0, 8, 0, 0, 0, 8, 16, 2, 0, 0, 0])), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in chunks
    )
    (tmp_path / "deep.png").write_bytes(png)
    difference = _decoded(tmp_path / "deep.png", 8).reshape(8, 24).astype(int) - ramp.astype(int) / 257
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_decode_float_image_is_read_in_the_range_that_its_values_show(tmp_path, white):
    ramp = np.linspace(0, white, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    assert np.array_equal(_decoded(tmp_path / "float.tiff", 8)[..., 0], np.rint(ramp / white * 255).astype(np.uint8))


@pytest.mark.parametrize("value", [-0.5, 70000.0, np.nan, np.inf])
def test_decode_float_image_of_another_range_is_named(tmp_path, value):
    Image.fromarray(np.array([[0.5, value]], np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match=r"float\.tiff has values from .*0 to 1 or 0 to 255 or 0 to 65535"):
        decode([tmp_path / "float.tiff"], 8)


@pytest.mark.parametrize(("white", "dtype"), [(255, np.int32), (65535, np.int32)])
def test_decode_32_bit_image_is_read_in_the_range_that_its_values_show(tmp_path, white, dtype):
    ramp = np.linspace(0, white, 64).astype(dtype).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "x.tif")
    assert np.array_equal(_decoded(tmp_path / "x.tif", 8)[..., 0], np.rint(ramp / (white / 255)).astype(np.uint8))


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_decode_cmyk_image_has_the_colours_of_its_inks(tmp_path, ending):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8] = (255, 0, 0, 0)  # cyan
    inks[:, 8:] = (0, 0, 0, 0)  # paper
    Image.frombytes("CMYK", (16, 16), inks.tobytes()).save(tmp_path / f"x.{ending}", quality=95)
    found = _decoded(tmp_path / f"x.{ending}", 16).astype(int)
    assert np.abs(found[8, 2] - (0, 255, 255)).max() < 6
    assert np.abs(found[8, 13] - (255, 255, 255)).max() < 6


def test_decode_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    for ending in ("gif", "webp", "tif"):
        path = tmp_path / f"x.{ending}"
        frames[0].save(
            path, save_all=True, append_images=frames[1:], **({"lossless": True} if ending == "webp" else {})
        )
        assert (_decoded(path, 6) == (255, 0, 0)).all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif"])
def test_decode_truncated_image_is_named(tmp_path, ending, share):
    path = tmp_path / f"broken.{ending}"
    Image.fromarray(_noise(30, 30)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=rf"broken\.{ending} (cannot be decoded|is not an image)[^.]*"):
        decode([path], 8)


@pytest.mark.parametrize("place", [1, 12, 36, 60])  # the signature, a chunk's name, a later one's, the pixels
def test_decode_corrupt_image_is_named(tmp_path, place):
    path = tmp_path / "broken.png"
    Image.fromarray(_noise(30, 30)).save(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png (cannot be decoded|is not an image)"):
        decode([path], 8)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", r"x\.jpg is not an image that Pillow reads: it is empty\.$"),
        (b"<!DOCTYPE html><html>", r"x\.jpg is not an image .* web page, beginning with b'<!DOCTYPE html><html>'\.$"),
        (b"version https://git-lfs", r"x\.jpg is not an image that Pillow reads: it begins with b'version"),
    ],
)
def test_decode_file_of_another_kind_is_described(tmp_path, content, complaint):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        decode([tmp_path / "x.jpg"], 8)


def test_decode_decompression_bomb_is_named(tmp_path, monkeypatch):
    Image.fromarray(_noise(30, 30)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(DataError, match=r"bomb\.png is too large to be decoded"):
        decode([tmp_path / "bomb.png"], 8)


def test_decode_large_image_warns_of_nothing(tmp_path, monkeypatch):
    Image.fromarray(_noise(30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode([tmp_path / "large.png"], 8)
    assert caught == []


def test_decode_missing_file_and_folder_are_named(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(DataError, match=r"a\.png cannot be read \(Is a directory\)"):
        decode([tmp_path / "a.png"], 8)
    with pytest.raises(DataError, match=r"b\.png cannot be read \(No such file or directory\)"):
        decode([tmp_path / "b.png"], 8)


def test_decode_skipping_broken_images_says_which(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        Image.fromarray(_noise(9, 9, seed=number)).save(path)
    for number in (1, 3):
        paths[number].write_bytes(b"")
    taken = decode(paths, 9, skip_broken=True)
    assert sorted(taken.broken) == [1, 3]
    assert "3.png is not an image" in taken.broken[3]
    for number in (0, 2, 4):
        assert np.array_equal(taken.images[number].transpose(1, 2, 0), _noise(9, 9, seed=number))


def test_decode_several_chunks_keep_their_order(tmp_path):
    count = CHUNK + 3
    paths = [tmp_path / f"{number}.ppm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"P6 1 1 255\n" + bytes([number % 251, number // 251, 9]))
    assert decode(paths, 1).images[:, :, 0, 0].tolist() == [[number % 251, number // 251, 9] for number in range(count)]


def test_looks_like_image_goes_by_the_first_bytes(tmp_path):
    Image.fromarray(_noise(9, 9)).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.unknown")
    for name, content in {"a": b"BMW is a make of cars", "b": b"P5 and so on", "c": b"", "d": b"%PDF-1.4"}.items():
        (tmp_path / name).write_bytes(content)
        assert not looks_like_image(tmp_path / name)
    assert looks_like_image(tmp_path / "x.unknown")
    assert not looks_like_image(tmp_path / "gone")
