import pytest
import torch
from torch import nn

from spaces import Candidate, build
from spaces.memory import _kept_for_backward, step_memory


def test_kept_tensors_are_counted_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).to("meta")
    images = torch.empty(2, 3, 6, 6, device="meta")
    # the images for the convolution's gradient, the ReLU's result for its own and the linear layer's
    assert _kept_for_backward(network, images) == 4 * 2 * (3 * 36 + 4 * 36)


@pytest.mark.parametrize("name", ["resnet8", "small_networks:Residual"])
def test_memory_grows_with_the_batch_and_with_leni_and_has_three_copies_of_the_parameters(name):
    widths = (16, 32, 64) if name == "resnet8" else (16, 16, 16, 32)

    def memory(activation: str, batch: int) -> int:
        return step_memory(Candidate(name, widths, activation), input_shape=(1, 8, 8), classes=10, batch=batch)

    assert memory("relu", 64) - memory("relu", 32) == memory("relu", 96) - memory("relu", 64) > 0
    assert memory("leni", 64) > memory("relu", 64)
    network = build(Candidate(name, widths, "relu"), in_channels=1, classes=10)
    assert memory("relu", 0) == 3 * 4 * sum(parameter.numel() for parameter in network.parameters())
