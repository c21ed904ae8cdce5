from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leni.errors import DataError
from search.training.splits import quotas, split, subset


def _labels(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def _split(labels, shares, seed=0):
    return split(labels, shares, seed=seed, names=[f"class{i}" for i in range(labels.max() + 1)], where="here")


def _nearest(counts, size, most):
    """The least squared distance to the exact shares that any admissible quota has, by trying them all."""
    exact = np.array(counts) * size / sum(counts)
    choices = [c for c in product(*(range(1, m + 1) for m in most)) if sum(c) == size]
    return min(((np.array(choice) - exact) ** 2).sum() for choice in choices)


@given(st.lists(st.integers(3, 9), min_size=2, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_quotas_are_as_near_to_the_exact_shares_as_can_be(counts, data):
    most = [data.draw(st.integers(1, count)) for count in counts]
    size = data.draw(st.integers(len(counts), sum(most)))
    found = quotas(np.array(counts), size, most=np.array(most))
    assert found.sum() == size
    assert (found >= 1).all()
    assert (found <= most).all()
    assert ((found - np.array(counts) * size / sum(counts)) ** 2).sum() == pytest.approx(_nearest(counts, size, most))


def test_quotas_give_the_left_over_place_to_the_largest_fraction_and_ties_to_the_first():
    assert quotas(np.array([5, 7, 9]), 4, most=np.array([5, 7, 9])).tolist() == [1, 1, 2]
    assert quotas(np.array([5, 5, 5]), 4, most=np.array([5, 5, 5])).tolist() == [2, 1, 1]


@given(st.lists(st.integers(3, 40), min_size=2, max_size=12), st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
@settings(max_examples=80, deadline=None)
def test_split_takes_every_image_once_and_every_class_into_every_part(counts, seed, cuts):
    labels = _labels(counts)
    parts = _split(labels, [0.1] if cuts == 1 else [0.2, 0.2], seed)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part in parts:
        assert (np.diff(part) > 0).all()
        assert (np.bincount(labels[part], minlength=len(counts)) >= 1).all()


def test_split_sizes_and_class_shares_are_exact():
    counts = [103, 57, 240, 100]
    labels = _labels(counts)
    validation, test, train = _split(labels, [0.2, 0.2])
    assert (len(validation), len(test), len(train)) == (100, 100, 300)
    assert np.bincount(labels[validation]).tolist() == np.bincount(labels[test]).tolist() == [21, 11, 48, 20]


def test_split_depends_on_the_seed_alone():
    labels = _labels([30, 30])
    first, again, other = (_split(labels, [0.2, 0.2], seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_split_of_this_version_stays_what_it_is():
    order = np.random.RandomState(3).permutation(8)  # the stream that numpy has frozen
    expected = sorted([next(i for i in order if i % 2 == 0), next(i for i in order if i % 2 == 1)])
    assert _split(np.arange(8) % 2, [0.25], 3)[0].tolist() == expected


def test_quotas_leave_no_class_out_where_small_ones_take_the_places():
    assert quotas(np.array([3, 9, 3, 3]), 4, most=np.array([3, 9, 3, 3])).tolist() == [1, 1, 1, 1]


def test_split_leaves_something_of_a_small_class_for_the_rest():
    labels = _labels([4, 29])  # 2 of the 4 in each of two parts would be nearest to the shares
    assert [np.bincount(labels[part]).tolist() for part in _split(labels, [0.4, 0.4])] == [[1, 12], [1, 12], [2, 5]]


def test_split_of_three_images_a_class_has_one_in_each_part():
    labels = _labels([3] * 10)
    assert [np.bincount(labels[part]).tolist() for part in _split(labels, [0.2, 0.2])] == [[1] * 10] * 3


@pytest.mark.parametrize(("shares", "counts"), [([0.1], [1, 9, 9]), ([0.2, 0.2], [2, 9, 9]), ([0.2, 0.2], [0, 9, 9])])
def test_split_class_with_too_few_images_is_named(shares, counts):
    with pytest.raises(DataError, match=rf"here has {counts[0]} images of the class 'class0', .* {len(shares) + 1} of"):
        _split(_labels(counts), shares)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_split_seed_out_of_range_is_named(seed):
    with pytest.raises(DataError, match=f"seed {seed} is outside"):
        _split(_labels([9, 9]), [0.2, 0.2], seed)


def test_subset_has_the_size_and_every_class():
    labels = _labels([100, 10, 1])
    chosen = subset(labels, 20, seed=0, names=["a", "b", "c"], where="here")
    assert np.bincount(labels[chosen]).tolist() == [18, 1, 1]  # of 18.02, 1.80, 0.18 in exact shares
    assert len(set(chosen)) == 20


def test_subset_of_all_is_all():
    assert subset(_labels([4, 7]), 11, seed=1, names=["a", "b"], where="here").tolist() == list(range(11))


@pytest.mark.parametrize("size", [-3, 0, 2, 112])
def test_subset_size_out_of_range_is_named(size):
    with pytest.raises(DataError, match=rf"train size of {size} .* here allows 3 .* 111"):
        subset(_labels([100, 10, 1]), size, seed=0, names=["a", "b", "c"], where="here")
