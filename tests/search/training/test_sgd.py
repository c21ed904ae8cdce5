import pytest
import torch
from torch import nn

from search.training.sgd import Sgd


def problem() -> tuple[list[torch.Tensor], torch.Tensor]:
    """Parameters of two shapes for each of three replicas, and the rates of five steps."""
    generator = torch.Generator().manual_seed(3)
    shapes = ((3, 2, 5), (3, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes], torch.linspace(
        0.3, 0.1, 5
    )


def gradient(parameter: torch.Tensor, step: int) -> torch.Tensor:
    """Of some function, of very different size in each replica."""
    scale = torch.tensor([0.01, 1.0, 30.0], dtype=torch.float64).view(-1, *[1] * (parameter.dim() - 1))
    return scale * (parameter.sin() + step)


@pytest.mark.parametrize("factors", [(0.5, 0.5, 0.5), (1.0, 0.2, 3.0)])
@pytest.mark.parametrize("decays", [[(0.1, 0.1, 0.1), (0.0, 0.0, 0.0)], [(0.1, 0.0, 0.3), (0.0, 0.2, 0.0)]])
@pytest.mark.parametrize(
    ("momentum", "clip", "nesterov"), [(0.9, 0.0, True), (0.0, 2.0, True), (0.8, 2.0, True), (0.8, 0.0, False)]
)
def test_sgd_equals_torchs_replica_by_replica(factors, decays, momentum, clip, nesterov):
    start, rates = problem()
    together = [value.flatten(0, 1).clone() for value in start]  # replicas side by side
    ours = Sgd(together, decays, momentum=momentum, clip=clip, factors=factors, nesterov=nesterov)
    for step, rate in enumerate(rates.tolist()):
        ours.set_learning_rate(rate)
        parts = [value.unflatten(0, (3, -1)) for value in together]
        ours.step([gradient(part, step).flatten(0, 1) for part in parts])
    for index in range(3):
        alone = [value[index].clone() for value in start]
        groups = [{"params": [value], "weight_decay": decay[index]} for value, decay in zip(alone, decays, strict=True)]
        theirs = torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=nesterov and momentum > 0)
        for step, rate in enumerate(rates.tolist()):
            for group, value in zip(theirs.param_groups, alone, strict=True):
                group["lr"] = rate * factors[index]
                value.grad = gradient(value[None].expand(3, *value.shape), step)[index].clone()
            if clip:
                nn.utils.clip_grad_norm_(alone, clip)
            theirs.step()
        for ended, value in zip(together, alone, strict=True):
            torch.testing.assert_close(ended.unflatten(0, (3, -1))[index], value, rtol=1e-12, atol=1e-12)


def test_sgd_leaves_the_gradients_alone_and_goes_on_from_its_state():
    (one, _), _ = problem()
    whole, resumed = (Sgd([one.clone()], [(0.1,)], momentum=0.9, clip=1.0, factors=(1.0,)) for _ in range(2))
    for optimiser in (whole, resumed):
        optimiser.set_learning_rate(0.1)
    given = torch.ones_like(one)
    whole.step([given])
    assert torch.equal(given, torch.ones_like(one))
    state = whole.state_dict()
    resumed.parameters[0].copy_(whole.parameters[0])
    whole.step([given])
    resumed.load_state_dict(state)
    resumed.step([given])
    assert torch.equal(whole.parameters[0], resumed.parameters[0])
