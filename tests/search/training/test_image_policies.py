import pytest
import torch
from torchvision.transforms import v2

from leni.errors import SpecError
from search.training.image_policies import Mixing, Policies, check_channels, seeded
from search.training.recipe import Recipe


def images(channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (9, channels, 10, 12), generator=generator, dtype=torch.uint8)


POLICIES = [
    ({}, "resized-crop", [v2.RandomResizedCrop((10, 12), antialias=True)]),
    ({}, "resized-crop-flip", [v2.RandomResizedCrop((10, 12), antialias=True), v2.RandomHorizontalFlip()]),
    ({"policy": "randaugment", "policy_operations": 3, "policy_magnitude": 20}, "none", [v2.RandAugment(3, 20)]),
    (
        {"policy": "trivialaugment", "erasing": 0.5},
        "crop",
        [v2.TrivialAugmentWide(), v2.RandomErasing(0.5, value=[51, 102, 26])],
    ),
]


@pytest.mark.parametrize(("values", "kind", "transforms"), POLICIES)
def test_policies_do_to_each_image_what_torchvision_does(values, kind, transforms):
    policies = Policies.of(Recipe(**values), kind, size=(10, 12), mean=(0.2, 0.4, 0.1))
    ours = [policies(images(), generator) for generator in [torch.Generator().manual_seed(5)] for _ in range(2)]
    seeds = torch.Generator().manual_seed(5)
    for found in ours:
        torch.manual_seed(int(torch.randint(2**63 - 1, (), generator=seeds)))
        expected = []
        for image in images():
            for transform in transforms:
                image = transform(image)
            expected.append(image)
        assert torch.equal(found, torch.stack(expected))
        assert found.dtype == torch.uint8
    assert not torch.equal(*ours)


def test_policies_are_none_where_nothing_is_asked_for():
    assert Policies.of(Recipe(), "crop-flip", size=(8, 8), mean=(0.5,)) is None
    assert Mixing.of(Recipe(), 10) is None


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_check_channels_refuses_a_policy_on_two_channels(channels):
    check_channels(Recipe(erasing=0.5), channels)
    if channels != 2:
        check_channels(Recipe(policy="randaugment"), channels)
        return
    with pytest.raises(SpecError, match="policy 'randaugment' needs images of 1 or 3 channels, and these have 2"):
        check_channels(Recipe(policy="randaugment"), channels)


def test_seeded_leaves_torchs_generator_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(RuntimeError, match="negative"), seeded(generator):
        torch.rand(5).new_empty(-int(torch.rand(1) >= 0))
    assert torch.equal(torch.rand(2), expected)


MIXINGS = [
    ({"mixup": 0.4}, v2.MixUp(alpha=0.4, num_classes=5)),
    ({"cutmix": 1.0}, v2.CutMix(alpha=1.0, num_classes=5)),
    (
        {"mixup": 0.4, "cutmix": 1.0},
        v2.RandomChoice([v2.MixUp(alpha=0.4, num_classes=5), v2.CutMix(alpha=1.0, num_classes=5)]),
    ),
]


@pytest.mark.parametrize(("values", "transform"), MIXINGS)
def test_mixing_does_to_each_replica_what_torchvision_does_to_a_batch(values, transform):
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(6, 2, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (6, 2), generator=generator)
    mixing = Mixing.of(Recipe(**values), 5)
    for turn in range(4):
        mixed, targets = mixing(
            batch, labels, [torch.Generator().manual_seed(turn), torch.Generator().manual_seed(9 + turn)]
        )
        for replica, seed in enumerate((turn, 9 + turn)):
            torch.manual_seed(int(torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(seed))))
            pictures, wanted = transform(batch[:, replica], labels[:, replica])
            assert torch.equal(mixed[:, replica], pictures)
            torch.testing.assert_close(targets[:, replica], wanted.double())
    assert not torch.equal(mixed, batch)
