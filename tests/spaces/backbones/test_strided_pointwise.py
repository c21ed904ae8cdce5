import torch
from torch import nn

from spaces.backbones.strided_pointwise import StridedPointwise, replace_strided_pointwise


def test_replace_changes_the_form_and_not_the_numbers_of_the_convolutions_concerned():
    network = nn.Sequential(
        nn.Conv2d(3, 5, 1, stride=(2, 3)), nn.Conv2d(5, 8, 3, stride=2), nn.Conv2d(8, 4, 1, stride=2)
    )
    images = torch.randn(2, 3, 17, 20, dtype=torch.float64)
    before = network.double()(images)
    replace_strided_pointwise(network)
    assert [type(layer) for layer in network] == [StridedPointwise, nn.Conv2d, nn.Conv2d]
    assert torch.allclose(network(images), before, rtol=0, atol=1e-14)
