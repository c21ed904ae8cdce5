"""What leaves torch: swapped networks and activations through torch.export, ONNX and onnxruntime; copies and files."""

import copy
import io
import pickle
import shutil
from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torchvision.models import ResNet, squeezenet1_1
from torchvision.models.resnet import BasicBlock

from leni import LENI, activations, create_activation, swap
from spaces.building import build
from spaces.candidate import Candidate

BATCH = torch.export.Dim("batch")


def randomised(network):
    """Every parameter and statistic away from its start, so that nothing is at 0 or 1 by luck; in evaluation."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
                value.mul_(0.8 + 0.4 * noise) if name.endswith("running_var") else value.add_(0.2 * noise - 0.1)
    return network.eval()


def maps(*shape):
    """Maps of both signs, with exact zeros."""
    x = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    x.view(-1)[::7] = 0.0
    return x


def resnet10(num_classes):
    """ResNet-18 with half of its blocks."""
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes)


def swapped_torchvision(factory):
    torch.manual_seed(0)
    return randomised(swap(factory(num_classes=10), "leni", example_input=torch.empty(1, 3, 32, 32)).network)


def swapped_backbone(factory):
    torch.manual_seed(0)
    return randomised(build(Candidate(factory, (8, 8, 16), "leni"), in_channels=3, classes=10))


NETWORKS = {
    "resnet10": (swapped_torchvision, resnet10),  # calls one ReLU module at several sites
    "squeezenet1_1": (swapped_torchvision, squeezenet1_1),
    "resnet8": (swapped_backbone, "resnet8"),
}


def in_onnxruntime(module, example, x):
    """The file's operators, and the outputs that onnxruntime makes of `x` with `module` exported on `example`."""
    pytest.importorskip("onnxscript")
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    program = torch.onnx.export(module, (example,), dynamo=True, dynamic_shapes=({0: BATCH},), verbose=False)
    file = io.BytesIO()
    program.save(file)
    operators = {(node.domain, node.op_type) for node in onnx.load_from_string(file.getvalue()).graph.node}
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return operators, [torch.from_numpy(output) for output in outputs]


@pytest.mark.parametrize("name", ["resnet10", "resnet8", pytest.param("squeezenet1_1", marks=pytest.mark.exhaustive)])
def test_swapped_network_gives_the_same_in_onnxruntime_at_any_batch(name):
    make, factory = NETWORKS[name]
    network, x = make(factory), maps(5, 3, 32, 32)
    operators, (actual,) = in_onnxruntime(network, x[:2], x)
    expected = network(x).detach()
    assert (expected.amax(1) - expected.amin(1)).min() > 0.01  # logits that could be told apart
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(actual.argmax(1), expected.argmax(1))
    assert {domain for domain, _ in operators} == {""}


class Beside(nn.Module):
    """Modules beside one another on the same maps: one export for all of them."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.beside = nn.ModuleDict(modules)
        self.eval()

    def forward(self, x):
        return tuple(module(x) for module in self.beside.values())

    def assert_close(self, actual, x, **tolerances):
        for (name, module), value in zip(self.beside.items(), actual, strict=True):
            torch.testing.assert_close(
                value, module(x).detach(), **tolerances, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.fixture(scope="module")
def every_activation():
    return Beside({name: randomised(create_activation(name, 4)) for name in activations()})


def test_every_activation_gives_the_same_in_onnxruntime_at_any_batch(every_activation):
    x = maps(3, 4, 6, 5)
    operators, actual = in_onnxruntime(every_activation, x[:2], x)
    assert len(actual) == len(activations()) >= 19
    every_activation.assert_close(actual, x, rtol=1e-4, atol=1e-5)
    assert {domain for domain, _ in operators} == {""}


FORMS = [
    {"kernel_size": 5},
    {"norm": "batch"},
    {"transform": "grouped"},
    {"transform": "scale"},
    {"compression": "none"},
    {"transform": "dense", "compression": "dense"},
]


def test_forms_of_leni_give_the_same_in_onnxruntime():
    forms, x = (
        Beside({str(place): randomised(LENI(4, **options)) for place, options in enumerate(FORMS)}),
        maps(3, 4, 6, 5),
    )
    _, actual = in_onnxruntime(forms, x[:2], x)
    assert {value.shape[1] for value in actual} == {4, 8}
    forms.assert_close(actual, x, rtol=1e-4, atol=1e-5)


def test_every_activation_survives_torch_export_into_a_file(every_activation):
    x, file = maps(3, 4, 6, 5), io.BytesIO()
    torch.export.save(torch.export.export(every_activation, (x[:2],), dynamic_shapes=({0: BATCH},)), file)
    file.seek(0)
    actual = torch.export.load(file).module()(x)
    assert len(actual) == len(activations())
    every_activation.assert_close(actual, x)


def test_exported_leni_in_half_precision_stays_in_it():
    module, x = randomised(LENI(4)).bfloat16(), maps(3, 4, 6, 5).bfloat16()
    program = torch.export.export(module, (x,))
    assert program.module()(x).dtype == torch.bfloat16
    torch.testing.assert_close(program.module()(x), module(x), rtol=2**-6, atol=2**-6)


def test_swapped_torchvision_network_survives_copies_and_files(tmp_path):
    network, x = swapped_torchvision(resnet10), maps(2, 3, 32, 32)
    expected = network(x)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin(x), expected)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = swap(resnet10(num_classes=10), "leni", example_input=x).network.eval()
    assert not torch.allclose(other(x), expected)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(x), expected)


def test_compiled_swapped_network_agrees_forward_and_backward():
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2), nn.ReLU())
    x = maps(2, 3, 9, 8).requires_grad_()
    network = randomised(swap(layers, "leni", example_input=x.detach()).network)
    backend = "inductor" if shutil.which("g++") or shutil.which("clang++") else "aot_eager"
    results = []
    for call in (network, torch.compile(network, backend=backend, fullgraph=True)):
        y = call(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *network.parameters()])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
