"""A row a shape and layout, with ratios that belong together."""

import pytest
import torch

from leni.errors import SpecError
from search.bench.block import bench_block


def test_row_per_shape_and_layout_with_consistent_ratios():
    rows = list(bench_block(shapes=[(2, 3, 4, 5), (1, 8, 2, 2)], seconds=0.0, threads=1))
    assert [(row["shape"], row["layout"]) for row in rows] == [
        ([2, 3, 4, 5], "contiguous"),
        ([2, 3, 4, 5], "channels_last"),
        ([1, 8, 2, 2], "contiguous"),
        ([1, 8, 2, 2], "channels_last"),
    ]
    for row in rows:
        assert row["threads"] == 1
        assert row["relu_ms"] > 0
        assert row["leni/eager"] == pytest.approx(row["leni"] / row["eager"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match="no GPU"):
        next(bench_block(device="cuda"))
