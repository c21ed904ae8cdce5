"""Trainings that start from a file of weights: the function and the channels that are kept, and what is trained."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from leni.errors import SpecError
from search.training.data import Data, load
from search.training.recipe import Recipe
from search.training.train import Training
from search.training.trained_start import activation_parameters, check_weights, start_from
from search.training.training_run import TrainingEvaluator
from spaces import Candidate, build

SHAPE = (1, 8, 8)
EXACT = (("init_std", 0.0),)


def trained(candidate: Candidate, seed: int = 0) -> nn.Module:
    """A network with weights and statistics that differ everywhere."""
    torch.manual_seed(seed)
    network = build(candidate, in_channels=1, classes=10)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return network.eval()


def started(candidate: Candidate, path: Path) -> nn.Module:
    network = build(candidate, in_channels=1, classes=10)
    start_from(network, candidate, str(path), shape=SHAPE, classes=10)
    return network.eval()


@pytest.mark.parametrize(("name", "widths"), [("resnet8", (16, 32, 64)), ("small_networks:Residual", (16, 16, 16, 32))])
def test_sites_that_start_as_relu_keep_the_trained_networks_function(name, widths, tmp_path):
    source, images = trained(Candidate(name, widths, "relu")), torch.randn(5, *SHAPE)
    torch.save({"epoch": 3, "state_dict": source.state_dict()}, tmp_path / "w.pth")
    save_file({f"module.{key}": value for key, value in source.state_dict().items()}, tmp_path / "w.safetensors")
    for placement in ("all", "inner", "first"):
        for file in ("w.pth", "w.safetensors"):
            network = started(Candidate(name, widths, "leni", placement, EXACT), tmp_path / file)
            assert torch.equal(network(images), source(images))


def test_narrowed_layers_keep_the_filters_of_the_largest_norm_in_all_layers_that_share_them(tmp_path):
    source = trained(Candidate("small_networks:plain", (24, 40), "own"))
    torch.save(source.state_dict(), tmp_path / "w.pt")
    network = started(Candidate("small_networks:plain", (10, 7), "own"), tmp_path / "w.pt")
    first = source[0].weight.detach().square().sum((1, 2, 3)).topk(10).indices.sort().values
    second = source[3].weight.detach().square().sum((1, 2, 3)).topk(7).indices.sort().values
    assert torch.equal(network[0].weight, source[0].weight[first])
    assert torch.equal(network[1].running_var, source[1].running_var[first])
    assert torch.equal(network[3].weight, source[3].weight[second][:, first])
    assert torch.equal(network[7].weight, source[7].weight[:, second])


def test_file_of_another_network_is_refused_and_of_other_classes_starts_the_head_afresh(tmp_path):
    other = trained(Candidate("small_networks:plain", (24, 40), "own"))
    torch.save(other.state_dict(), tmp_path / "other.pt")
    with pytest.raises(SpecError, match=r"has no stem\.weight of small_networks:Residual"):
        check_weights("small_networks:Residual", str(tmp_path / "other.pt"), shape=SHAPE, classes=10)
    (note,) = check_weights("small_networks:plain", str(tmp_path / "other.pt"), shape=SHAPE, classes=4)
    assert "7.weight, 7.bias start afresh" in note
    (tmp_path / "text.pt").write_text("weights")
    for name, sentence in [("text.pt", "no file of torch.save"), ("none.pt", "No such file")]:
        with pytest.raises(SpecError, match=sentence):
            check_weights("small_networks:plain", str(tmp_path / name), shape=SHAPE, classes=10)


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits", train_size=64)


@pytest.mark.parametrize("name", ["resnet8", "small_networks:Residual"])
def test_frozen_backbone_trains_the_activations_alone(name, digits):
    widths = (4, 4, 8) if name == "resnet8" else (8, 8, 8, 8)
    candidate = Candidate(name, widths, "leni", "inner")
    training = Training(candidate, digits, Recipe(epochs=1, freeze="backbone"), seed=1)
    before = {key: value.clone() for key, value in training.network.state_dict().items()}
    training.epoch()
    changed = {key for key, value in training.network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == activation_parameters(training.network, candidate)
    assert len(changed) == 6


def test_evaluation_tells_the_accuracy_before_the_first_epoch(digits, tmp_path):
    relu = Candidate("resnet8", (16, 32, 64), "relu")
    first = Training(relu, digits, Recipe(epochs=1), seed=0)
    for _ in first:
        pass
    torch.save(first.network.state_dict(), tmp_path / "w.pt")
    recipe = Recipe(epochs=1, weights=str(tmp_path / "w.pt"))
    for seeds in ((3,), (4, 5)):
        evaluator = TrainingEvaluator(digits, recipe, seeds)
        full = Candidate("resnet8", (16, 32, 64), "leni", "stem", EXACT)
        assert next(evaluator.start(full)).metrics["start_accuracy"] == first.accuracy()
