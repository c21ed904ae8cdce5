import pytest
import torch
from torchvision.transforms import v2

from leni.errors import DataError
from search.training.augment import augment, draw_flips, draw_shifts, normalise


def _images(shape=(40, 3, 7, 9), dtype=torch.uint8):
    return torch.randint(1, 256, shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def _generator(seed=5, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def _slowly(images, kind, generator):
    """Image by image, pixel by pixel, from the same draws."""
    top, left = draw_shifts(len(images), generator=generator).tolist()
    flips = draw_flips(len(images), generator=generator).tolist() if kind == "crop-flip" else [False] * len(images)
    result = torch.zeros_like(images)
    _, _, height, width = images.shape
    for n in range(len(images)):
        for row in range(height):
            for column in range(width):
                y = row + top[n] - 4
                x = (width - 1 - column if flips[n] else column) + left[n] - 4
                if 0 <= y < height and 0 <= x < width:
                    result[n, :, row, column] = images[n, :, y, x]
    return result


@pytest.mark.parametrize("kind", ["crop", "crop-flip"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_augment_equals_a_loop_over_images(kind, dtype):
    images = _images(dtype=dtype)
    result = augment(images, kind, generator=_generator())
    assert result.dtype == dtype
    assert torch.equal(result, _slowly(images, kind, _generator()))
    assert torch.equal(images, _images(dtype=dtype))


def test_augment_takes_channels_last_and_other_strides():
    images = _images()
    expected = augment(images, "crop-flip", generator=_generator())
    strided = images.to(memory_format=torch.channels_last)
    assert torch.equal(augment(strided, "crop-flip", generator=_generator()), expected)
    assert torch.equal(augment(images.flip(0).flip(0)[::1], "crop-flip", generator=_generator()), expected)


def test_augment_none_is_the_same_images_without_a_draw():
    images, generator = _images(), _generator()
    before = generator.get_state()
    assert augment(images, "none", generator=generator) is images
    assert torch.equal(generator.get_state(), before)


def test_augment_draws_are_uniform_and_differ_from_image_to_image():
    shifts = draw_shifts(9000, generator=_generator())
    counts = torch.stack([torch.bincount(axis, minlength=9) for axis in shifts])
    assert counts.shape == (2, 9)
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()
    assert abs(int(draw_flips(9000, generator=_generator()).sum()) - 4500) < 5 * 2250**0.5
    assert not torch.equal(shifts[0], shifts[1])


def test_augment_is_a_function_of_the_generator():
    images = _images()
    first, again, other = (augment(images, "crop", generator=_generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augment_crop_never_mirrors():
    images = torch.arange(1, 9, dtype=torch.uint8).expand(200, 1, 8, 8).contiguous()
    steps = augment(images, "crop", generator=_generator()).int().diff(dim=3)
    inside = augment(images, "crop", generator=_generator()).bool()
    both = inside[..., 1:] & inside[..., :-1]
    assert (steps[both] == 1).all()


def test_augment_empty_batch_stays_empty():
    assert augment(_images((0, 3, 4, 4)), "crop-flip", generator=_generator()).shape == (0, 3, 4, 4)


def test_augment_unknown_kind_gets_the_nearest():
    with pytest.raises(
        DataError, match="no augmentation 'crop-flop'; none, crop, flip, crop-flip are known, and crop-flip is"
    ):
        augment(_images(), "crop-flop", generator=_generator())


def test_normalise_equals_the_formula_and_leaves_the_images():
    images, mean, std = _images(), (0.4, 0.5, 0.1), (0.2, 0.3, 1.0)
    expected = torch.stack([(images[:, c].double() / 255 - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(normalise(images, mean, std), expected.float(), rtol=1e-6, atol=1e-6)
    floats = images.float()
    normalise(floats, mean, std)
    assert torch.equal(floats, images.float())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_augment_on_the_device_equals_the_cpu():
    images = _images()
    moved = augment(images.cuda(), "crop-flip", generator=_generator())
    assert torch.equal(moved.cpu(), augment(images, "crop-flip", generator=_generator()))
    drawn_there = augment(images.cuda(), "crop-flip", generator=_generator(device="cuda"))
    assert torch.equal(drawn_there.cpu(), _slowly(images, "crop-flip", _generator(device="cuda")))


def test_augment_flip_mirrors_those_that_are_drawn():
    images = torch.arange(2 * 6 * 3 * 4, dtype=torch.uint8).view(6, 2, 3, 4)
    found = augment(images, "flip", generator=torch.Generator().manual_seed(2))
    drawn = draw_flips(6, generator=torch.Generator().manual_seed(2))
    assert 0 < drawn.sum() < 6
    for image, result, mirrored in zip(images, found, drawn, strict=True):
        assert torch.equal(result, v2.functional.horizontal_flip(image) if mirrored else image)
