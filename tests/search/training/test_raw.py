import numpy as np

from search.training.raw import in_memory, numbered


def test_in_memory_takes_images_in_the_order_asked_for():
    images = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    labelled = in_memory(images, np.array([3, 1, 2, 0]))
    assert labelled.take(np.array([2, 0])).images[:, 0, 0, 0].tolist() == [12, 0]
    assert labelled.labels.tolist() == [3, 1, 2, 0]


def test_numbered_counts_from_zero():
    assert numbered(3) == ("0", "1", "2")
