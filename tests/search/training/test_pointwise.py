"""Strided 1x1 convolutions on channels_last maps of few channels: oneDNN's gradient is wrong, or ends the process."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from search.training.pointwise import subsample_before_pointwise

# In a process of its own, for what the fault does to its neighbours: many steps of a network as a search trains it.
TRAINING = """
from search.training.data import load
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate
data = load("digits")
for width in (3, 4, 6):
    candidate = Candidate("resnet8", (width, 2 * width, 4 * width), "relu", "all")
    for epoch in Training(candidate, data, Recipe(epochs=2, batch_size=32, lr=0.05), seed=0):
        print(epoch.accuracy)
"""


@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, 16])
@pytest.mark.parametrize("stride", [2, (2, 1), 3])
def test_same_function_and_gradients_without_the_stride(channels, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 2 * channels, 1, stride=stride)
    x = torch.randn(8, channels, 9, 8, requires_grad=True)
    expected = plain(x)  # contiguous maps, where the fault is not
    upper = torch.randn_like(expected)
    truth = torch.autograd.grad(expected, [x, *plain.parameters()], upper)
    network = subsample_before_pointwise(nn.Sequential(plain)).to(memory_format=torch.channels_last)
    result = network(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    for found, true in zip(torch.autograd.grad(result, [x, *network.parameters()], upper), truth, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-4)
    assert list(network.state_dict()) == ["0.weight", "0.bias"]


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(4, 8, 1),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.Conv2d(4, 8, 1, stride=2, groups=2),
        nn.Conv2d(4, 8, 1, stride=2, padding=1),
    ],
)
def test_other_convolutions_stay(other):
    assert type(subsample_before_pointwise(other)) is nn.Conv2d


def test_narrow_networks_train_in_a_process_that_survives():
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1"}  # one thread: most surely it dies
    command = [sys.executable, "-c", TRAINING]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(ended.stdout.split()) == 6
