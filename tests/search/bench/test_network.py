"""Every network has its activation, and the ratio is to the first."""

import pytest

from leni.errors import ActivationError, SpecError
from search.bench.network import bench_network


def test_backbone_has_the_parameters_of_each_activation():
    rows = bench_network("resnet8", ["leni", "relu"], width=0.25, image_size=8, batch=4, seconds=0.0, threads=1)
    assert [row["activation"] for row in rows] == ["leni", "relu"]
    assert rows[0]["ratio"] == 1.0
    assert rows[1]["ratio"] == pytest.approx(rows[1]["step_ms"] / rows[0]["step_ms"])
    sites = 4 + 2 * 4 + 2 * 8 + 2 * 16  # channels of stem and two sites a block, at widths 4, 8, 16
    assert rows[0]["params"] - rows[1]["params"] == 10 * sites


def test_network_of_torchvision_is_swapped():
    rows = bench_network("torchvision:squeezenet1_1", ["relu", "prelu"], image_size=32, batch=2, seconds=0.0)
    assert rows[1]["params"] > rows[0]["params"]


@pytest.mark.parametrize(
    ("names", "error"), [(["relu"], SpecError), (["relu", "relu"], SpecError), (["relu", "leny"], ActivationError)]
)
def test_nothing_to_compare_is_refused(names, error):
    with pytest.raises(error):
        bench_network("resnet8", names, image_size=8, batch=2, seconds=0.0)
