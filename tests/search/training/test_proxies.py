import math

import numpy as np
import pytest
import torch
from torch import nn

from leni.errors import SpecError
from search.training.augment import normalise
from search.training.data import load
from search.training.proxies import IMAGES, PROXIES, measure
from spaces import Candidate, build


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def chain():
    """Two layers without an activation's bends, whose flow is a product of matrices."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2, bias=False))


def test_synflow_is_the_sum_over_paths_of_absolute_weights():
    network, images = chain(), torch.randn(5, 1, 2, 2)
    first, second = network[0].weight.detach().abs().double(), network[3].weight.detach().abs().double()
    paths = (first.flatten().repeat_interleave(4)[None] * second).sum()
    found = PROXIES["synflow"](network, images, torch.zeros(5, dtype=torch.int64), [])
    assert float(found) == pytest.approx(math.log(2 * float(paths)))  # each path is in two layers' flows


def test_naswot_is_the_log_determinant_of_equal_signs():
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    images = torch.randn(3, 4)
    signs = (network[0](images) > 0).numpy()
    equal = (signs[:, None] == signs[None]).sum(axis=2).astype(float)
    found = PROXIES["naswot"](network, images, torch.zeros(3, dtype=torch.int64), ["1"])
    assert float(found) == pytest.approx(np.linalg.slogdet(equal).logabsdet)


def test_grad_is_the_norm_summed_over_the_layers():
    network, images, labels = nn.Linear(4, 3), torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    rest = (network(images).softmax(1) - nn.functional.one_hot(labels, 3)).detach() / 6
    expected = (rest.T @ images).norm() + rest.sum(0).norm()
    assert float(PROXIES["grad"](network, images, labels, [])) == pytest.approx(math.log(float(expected)), rel=1e-5)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("resnet8", (4, 6, 9), "leni", placement="inner", options=(("init_std", 0.1),)),
        Candidate("vgg16_bn", (4, 4, 8, 8, 8), "crelu"),
        Candidate("resnet8", (4, 8, 16), "rrelu"),
    ],
)
def test_every_proxy_is_the_same_each_time_and_leaves_the_random_numbers_alone(candidate, digits):
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first, second = (measure(candidate, digits, list(PROXIES)) for _ in range(2))
    assert torch.rand(1) == expected
    assert first == second
    assert all(map(math.isfinite, first.values()))


def test_grad_of_a_candidate_is_that_of_its_network_at_the_first_images(digits):
    candidate = Candidate("resnet8", (4, 6, 9), "relu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(candidate, in_channels=1, classes=10)
    images = normalise(digits.train.images[:IMAGES], digits.mean, digits.std)
    loss = nn.functional.cross_entropy(network(images), digits.train.labels[:IMAGES])
    norms = [gradient.norm() for gradient in torch.autograd.grad(loss, list(network.parameters()))]
    assert measure(candidate, digits, ["grad"])["grad"] == pytest.approx(math.log(sum(map(float, norms))), rel=1e-5)


def test_wider_networks_have_more_synflow(digits):
    found = [
        measure(Candidate("resnet8", widths, "relu"), digits, ["synflow"])["synflow"]
        for widths in ((4, 4, 4), (8, 8, 8))
    ]
    assert found[0] < found[1]


def test_a_proxy_that_is_not_there_is_refused(digits):
    with pytest.raises(SpecError, match="synflow, grad, naswot, got 'zen'"):
        measure(Candidate("resnet8", (4, 4, 4), "relu"), digits, ["grad", "zen"])
