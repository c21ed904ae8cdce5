from copy import deepcopy

import pytest
import torch
from torch import nn

from leni import LENI
from leni.errors import SpecError
from search.training.folding import fold
from search.training.optimisers import make_optimiser, parameter_groups, unfusable
from search.training.recipe import Recipe


@pytest.mark.parametrize("decay", [False, True])
def test_parameter_groups_hold_each_parameter_once_and_spare_what_asks_for_it(decay):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), LENI(4, decay=decay))
    with_decay, without = parameter_groups(network, 0.5)
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.5, 0.0)
    ids = [id(parameter) for group in (with_decay, without) for parameter in group["params"]]
    assert sorted(ids) == sorted(id(parameter) for parameter in network.parameters())
    decayed = {id(parameter) for parameter in with_decay["params"]}
    assert id(network[0].weight) in decayed
    assert id(network[0].bias) not in decayed
    assert id(network[1].weight) not in decayed
    assert (id(network[2].kernel) in decayed) is decay


OPTIONS = {
    "adamw": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6},
    "rmsprop": {"alpha": 0.9, "eps": 1e-5, "momentum": 0.3, "centered": True},
    "nadam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "momentum_decay": 0.01},
    "sgd": {"momentum": 0.7, "nesterov": False},
}


def theirs(name: str, groups: list[dict]) -> torch.optim.Optimizer:
    """torch's optimizer with the options of OPTIONS."""
    return {
        "adamw": lambda: torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-6),
        "rmsprop": lambda: torch.optim.RMSprop(groups, alpha=0.9, eps=1e-5, momentum=0.3, centered=True),
        "nadam": lambda: torch.optim.NAdam(groups, betas=(0.8, 0.95), eps=1e-6, momentum_decay=0.01),
        "sgd": lambda: torch.optim.SGD(groups, lr=1.0, momentum=0.7),
    }[name]()


def small(seed: int) -> nn.Module:
    """A network with a convolution, a norm, LENI and a classifier, in channels_last as trainings have it."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), LENI(4), nn.Flatten(), nn.Linear(64, 5))
    return network.double().to(memory_format=torch.channels_last)


def gradients(network: nn.Module, step: int) -> list[torch.Tensor]:
    images = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    return list(torch.autograd.grad(network(images).square().sum(), list(network.parameters())))


def stepped(network: nn.Module, optimiser, count: int) -> None:
    for step in range(count):
        optimiser.set_learning_rate(0.01 / (step + 1))
        optimiser.step(gradients(network, step))


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("name", OPTIONS)
def test_optimiser_equals_torchs_after_one_step_and_ten(name, steps):
    ours, alone = small(3), small(3)
    recipe = Recipe(optimizer=name, weight_decay=0.1, clip=0.5, **OPTIONS[name])
    stepped(ours, make_optimiser(recipe, ours, dict(ours.named_parameters()), decays=(0.1,), factors=(0.5,)), steps)
    other = theirs(name, parameter_groups(alone, 0.1))
    for step in range(steps):
        for parameter, gradient in zip(alone.parameters(), gradients(alone, step), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(alone.parameters(), 0.5)
        for group in other.param_groups:
            group["lr"] = 0.5 * 0.01 / (step + 1)
        other.step()
    for one, two in zip(ours.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 10])
def test_muon_moves_hidden_weights_as_torchs_and_the_rest_as_adamw(steps):
    ours, alone = small(3), small(3)
    recipe = Recipe(optimizer="muon", weight_decay=0.1, momentum=0.8, ns_steps=4)
    stepped(ours, make_optimiser(recipe, ours, dict(ours.named_parameters()), decays=(0.1,), factors=(1.0,)), steps)
    weight = alone[0].weight
    matrix = weight.detach().permute(0, 2, 3, 1).reshape(4, 18).clone()
    muon = torch.optim.Muon([matrix], weight_decay=0.1, momentum=0.8, ns_steps=4, adjust_lr_fn="match_rms_adamw")
    rest = parameter_groups(alone, 0.1)
    rest[0]["params"] = [each for each in rest[0]["params"] if each is not weight]
    adamw = torch.optim.AdamW(rest)
    for step in range(steps):
        for parameter, gradient in zip(alone.parameters(), gradients(alone, step), strict=True):
            parameter.grad = gradient
        matrix.grad = weight.grad.permute(0, 2, 3, 1).reshape(4, 18)
        for optimizer in (muon, adamw):
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (step + 1)
            optimizer.step()
        with torch.no_grad():
            weight.copy_(matrix.view(4, 3, 3, 2).permute(0, 3, 1, 2))
    for one, two in zip(ours.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("decays", [(0.1, 0.1, 0.1), (0.1, 0.0, 0.3)])
@pytest.mark.parametrize("name", ["adamw", "rmsprop", "nadam"])
def test_optimiser_of_fused_replicas_equals_one_each(name, decays):
    networks, factors = [small(seed) for seed in range(3)], (1.0, 0.3, 2.0) if decays[1] == 0 else (1.0, 1.0, 1.0)
    folded, recipe = fold(networks), Recipe(optimizer=name, clip=0.4)
    together = make_optimiser(recipe, networks[0], dict(folded.named_parameters()), decays=decays, factors=factors)
    every = [torch.zeros_like(parameter) for parameter in folded.parameters()]
    singles = [make_optimiser(recipe, network, dict(network.named_parameters()), decays=(decay,), factors=(factor,))
               for network, decay, factor in zip(networks, decays, factors, strict=True)]  # fmt: skip
    for step in range(4):
        for index, (network, single) in enumerate(zip(networks, singles, strict=True)):
            found = gradients(network, 10 * step + index)
            for whole, part in zip(every, found, strict=True):
                whole.unflatten(0, (3, -1))[index].copy_(part.view(whole.unflatten(0, (3, -1))[index].shape))
            single.set_learning_rate(0.02)
            single.step(found)
        together.set_learning_rate(0.02)
        together.step(every)
    for index, network in enumerate(networks):
        for whole, alone in zip(folded.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(
                whole.unflatten(0, (3, -1))[index].view(alone.shape), alone, rtol=1e-12, atol=1e-12
            )


@pytest.mark.parametrize("name", ["adamw", "rmsprop", "nadam", "muon"])
def test_optimiser_goes_on_from_its_state(name):
    whole = small(1)
    optimiser = make_optimiser(
        Recipe(optimizer=name), whole, dict(whole.named_parameters()), decays=(0.1,), factors=(1.0,)
    )
    stepped(whole, optimiser, 3)
    state, resumed = optimiser.state_dict(), deepcopy(whole)
    other = make_optimiser(
        Recipe(optimizer=name), resumed, dict(resumed.named_parameters()), decays=(0.1,), factors=(1.0,)
    )
    stepped(whole, optimiser, 4)
    other.load_state_dict(state)
    stepped(resumed, other, 4)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_muon_is_not_fused_and_needs_a_torch_that_has_it(monkeypatch):
    assert "bfloat16" in unfusable(Recipe(optimizer="muon"))
    assert unfusable(Recipe(optimizer="nadam")) == ""
    network = small(0)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(SpecError, match=r"optimizer 'muon' needs torch\.optim\.Muon"):
        make_optimiser(
            Recipe(optimizer="muon"), network, dict(network.named_parameters()), decays=(0.1,), factors=(1.0,)
        )
