import pytest
import torch
from torch import nn

from leni.errors import NetworkError
from search.training.augment import normalise
from spaces import Candidate, Exported, build, load_exported
from spaces.exported import state_on_cpu, to_bytes

LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5})
MEAN, STD = (0.2, 0.5, 0.7), (0.1, 0.3, 0.9)


def images(count: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, 9, 6), generator=generator, dtype=torch.uint8)


def trained() -> nn.Module:
    """A network whose statistics and weights are not those of any start."""
    torch.manual_seed(11)
    network = build(LENI, in_channels=3, classes=4)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand(value.shape))
    return network.eval()


def exported(network: nn.Module) -> Exported:
    return Exported(LENI, in_channels=3, classes=4, mean=MEAN, std=STD, state=network.state_dict())


def test_exported_network_normalises_as_training_does():
    network = trained()
    expected = network(normalise(images(), MEAN, STD))
    assert torch.equal(exported(network)(images()), expected)
    assert torch.equal(exported(network)(images().float()), expected)
    assert expected.std(0).min() > 1e-3  # the images can be told apart


def test_load_exported_gives_the_network_of_the_file_in_evaluation(tmp_path):
    network = trained()
    (tmp_path / "n.pt").write_bytes(to_bytes(exported(network)))
    loaded = load_exported(tmp_path / "n.pt")
    assert torch.equal(loaded(images()), exported(network)(images()))
    assert (loaded.candidate, loaded.training, loaded.classes) == (LENI, False, 4)


def test_building_an_exported_network_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    exported(trained_once := trained())
    torch.set_rng_state(before)
    exported(trained_once)
    assert torch.equal(torch.get_rng_state(), before)


def test_state_on_cpu_is_a_copy_in_plain_layout():
    network = trained().to(memory_format=torch.channels_last)
    state = state_on_cpu(network)
    assert all(value.is_contiguous() for value in state.values())
    first = next(iter(state))
    kept = state[first].clone()
    with torch.no_grad():
        network.get_parameter(first).add_(1)
    assert torch.equal(state[first], kept)


@pytest.mark.parametrize("case", ["missing", "text", "another object", "another candidate", "truncated", "a pickle"])
def test_load_exported_refuses_what_is_no_exported_network_in_one_sentence(tmp_path, case):
    path = tmp_path / "n.pt"
    whole = to_bytes(exported(trained()))
    if case == "text":
        path.write_text("no network")
    elif case == "another object":
        torch.save({"weights": torch.zeros(1)}, path)
    elif case == "truncated":
        path.write_bytes(whole[:200])
    elif case == "a pickle":
        torch.save(Exported, path)
    elif case == "another candidate":
        path.write_bytes(whole)
        values = torch.load(path)
        torch.save({**values, "candidate": Candidate("resnet8", (3, 4, 8), "leni").to_json()}, path)
    with pytest.raises(NetworkError, match=r"n\.pt") as refused:
        load_exported(path)
    assert "\n" not in str(refused.value)
