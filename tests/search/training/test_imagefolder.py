import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from leni.errors import DataError
from search.training.imagefolder import decode, find_folder, folder_parts, list_images, read_folder

COUNTS = {"zebra": 3, "ant": 5, "cat": 4}


def test_read_folder_agrees_with_torchvision(write_images):
    folder = write_images("set", COUNTS)
    convention = transforms.Compose([transforms.Resize(16), transforms.CenterCrop(16), transforms.PILToTensor()])
    theirs = ImageFolder(folder, convention)
    raw = read_folder(folder, 16)
    assert raw.classes == ("ant", "cat", "zebra")
    assert raw.train.labels.tolist() == theirs.targets
    order = np.random.default_rng(0).permutation(12)
    for image, index in zip(raw.train.take(order), order, strict=True):
        assert np.array_equal(image, theirs[index][0].numpy())


def test_decode_cuts_the_middle_of_the_longer_side(tmp_path):
    pixels = np.repeat(np.arange(12, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert decode([tmp_path / "wide.png"], 4)[0, 0, 0].tolist() == [4, 5, 6, 7]


def test_decode_grey_palette_and_transparent_images_become_rgb(tmp_path):
    grey = Image.fromarray(np.full((5, 5), 90, np.uint8))
    for mode in ("L", "RGBA", "P"):
        grey.convert(mode).save(tmp_path / f"{mode}.png")
    images = decode(sorted(tmp_path.glob("*.png")), 5)
    assert images.shape == (3, 3, 5, 5)
    assert (images == 90).all()


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow on a TIFF file, before it gives up
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif"])
def test_decode_truncated_image_is_named(tmp_path, ending, share):
    path = tmp_path / f"broken.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=f"broken.{ending} cannot be decoded"):
        decode([path], 8)


@pytest.mark.parametrize("place", [1, 12, 36, 60])  # the signature, a chunk's name, a later one's, the pixels
def test_decode_corrupt_image_is_named(tmp_path, place):
    path = tmp_path / "broken.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png cannot be decoded"):
        decode([path], 8)


def test_decode_16_bit_image_is_refused(tmp_path):
    Image.fromarray(np.full((9, 9), 3000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has the mode I;16.* 8 bits"):
        decode([tmp_path / "deep.png"], 8)


def test_read_folder_opens_only_the_images_that_are_taken(write_images):
    folder = write_images("set", COUNTS)
    (folder / "ant" / "1.png").write_bytes(b"no image")
    train = read_folder(folder, 8).train
    assert train.take(np.array([0, 2])).shape == (2, 3, 8, 8)
    with pytest.raises(DataError, match=r"1\.png cannot be decoded"):
        train.take(np.array([1]))


def test_list_images_counts_nested_folders_and_ignores_other_files(write_images):
    folder = write_images("set", {**COUNTS, "cat/more": 2})
    (folder / "cat" / "notes.txt").touch()
    (folder / "README.md").touch()
    found = list_images(folder)
    assert np.bincount(found.labels).tolist() == [5, 6, 3]
    assert [path.parent.name for path in found.paths[5:7]] == ["cat", "cat"]


def test_list_images_empty_class_single_class_and_no_class_are_named(write_images, tmp_path):
    folder = write_images("set", {"ant": 2, "bee": 0})
    with pytest.raises(DataError, match=r"bee holds no image.*png"):
        list_images(folder)
    with pytest.raises(DataError, match="one class folder, 'only'"):
        list_images(write_images("single", {"only": 2}))
    with pytest.raises(DataError, match="ant holds no class folders"):
        list_images(folder / "ant")
    with pytest.raises(DataError, match="gone"):
        list_images(tmp_path / "gone")


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (("train/a", "val/a"), {"train": "train", "test": "val"}),
        (("train/a", "test/a"), {"train": "train", "test": "test"}),
        (("train/a", "val/a", "test/a"), {"train": "train", "validation": "val", "test": "test"}),
        (("train/a", "val/a", "test"), {"train": "train", "test": "val"}),
        (("train", "bus", "plane"), {"train": "."}),
        (("val/a", "test/a"), {"train": "."}),
    ],
)
def test_folder_parts_follow_the_sub_folders(tmp_path, made, parts):
    for name in made:
        (tmp_path / name).mkdir(parents=True)
    assert folder_parts(tmp_path) == {part: tmp_path / name for part, name in parts.items()}


def test_read_folder_with_train_and_val_has_a_test_part(write_images):
    write_images("set/train", {"a": 4, "b": 3})
    raw = read_folder(write_images("set/val", {"b": 2, "a": 1}).parent, 8)
    assert raw.train.labels.tolist() == [0] * 4 + [1] * 3
    assert raw.test.labels.tolist() == [0, 1, 1]
    assert raw.validation is None


def test_read_folder_parts_with_other_classes_are_named(write_images):
    write_images("set/train", {"a": 3, "b": 3})
    folder = write_images("set/val", {"a": 2, "c": 2}).parent
    with pytest.raises(DataError, match=r"val and .*train differ in the class 'b'"):
        read_folder(folder, 8)


def test_read_folder_without_a_size_says_so(tmp_path):
    with pytest.raises(DataError, match="an image size in pixels must be given"):
        read_folder(tmp_path, None)


def test_find_folder_wants_a_folder(tmp_path):
    assert find_folder(tmp_path) == tmp_path
    assert find_folder(tmp_path / "gone") is find_folder(None) is None
