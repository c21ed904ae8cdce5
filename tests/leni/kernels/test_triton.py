"""The Triton kernels against the reference: in Triton's interpreter, compiled for a card that is not there, on CUDA.

Triton decides at its import whether it interprets, so the interpreter runs in a process of its own, one for all tests.
"""

import builtins
import os
import pickle
import subprocess
import sys
from itertools import product

import pytest
import torch

from leni import LENI
from leni.kernels import leni_forward, operator, path, reference

pytest.importorskip("triton")
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as compile_kernel

from leni.kernels import triton as kernels

SERVER = """
import pickle, sys, torch
from leni.kernels import triton
torch.set_num_threads(1)
while True:
    try:
        name, values = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    pickle.dump(getattr(triton, name)(*values), sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""
LAYOUTS = (torch.contiguous_format, torch.channels_last)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(scope="module")
def interpreted():
    """Calls a function of leni.kernels.triton in the interpreter."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:

        def call(name, *values):
            pickle.dump((name, values), child.stdin)
            child.stdin.flush()
            return pickle.load(child.stdout)

        yield call
        child.stdin.close()


def arguments(shape=(2, 3, 5, 4), size=3, dtype=torch.float64, *, layout=torch.contiguous_format, device="cpu"):
    """grad, x, weight, kernel; x has zeros of both signs, also on its border."""
    generator = torch.Generator().manual_seed(sum(shape) + size)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, grad, weight, kernel = normal(*shape), normal(*shape), normal(shape[1]), normal(shape[1], 1, size, size)
    x[torch.rand(shape, generator=generator) < 0.2] = 0.0
    x[torch.rand(shape, generator=generator) < 0.1] = -0.0
    grad, x = (value.contiguous(memory_format=layout) for value in (grad, x))
    return tuple(value.to(device, dtype) for value in (grad, x, weight, kernel))


def by_autograd(function, grad, *inputs):
    """The value and the three gradients, by torch's own differentiation."""
    leaves = [value.detach().requires_grad_() for value in inputs]
    value = function(*leaves)
    return value.detach(), *torch.autograd.grad(value, leaves, grad)


def exact(grad, *inputs):
    """As `by_autograd` of the reference, in float64 on the CPU."""
    return by_autograd(reference.forward, *(value.detach().cpu().double() for value in (grad, *inputs)))


def assert_same(actual, expected, **tolerance):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one.double().cpu(), other.double(), equal_nan=True, **tolerance)


def both(interpreted, grad, *inputs):
    return interpreted("forward", *inputs), *interpreted("backward", grad, *inputs)


# Odd sizes, maps below k, a tile that is not full; the last three: several items a program, chunks, blocks of columns
# and of channels.
SHAPES = [(2, 3, 5, 4), (1, 1, 1, 1), (3, 2, 1, 9), (2, 2, 9, 1), (5, 3, 4, 3), (1, 2, 19, 3), (1, 37, 2, 20)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("shape", "size"), [*product(SHAPES, [3]), ((2, 3, 3, 4), 1), ((1, 2, 3, 2), 5), ((1, 1, 2, 3), 7)]
)
def test_interpreted_kernel_equals_reference(interpreted, shape, size, layout):
    values = arguments(shape, size, layout=layout)
    assert_same(both(interpreted, *values), exact(*values), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("stored", "weights", "value", "sums"),
    [
        (torch.float32, torch.float32, 1e-5, 1e-5),
        (torch.bfloat16, torch.float32, 2**-7, 1e-5),
        (torch.bfloat16, torch.bfloat16, 2**-7, 2**-8),
        (torch.float16, torch.float16, 2**-10, 2**-11),
        (torch.float16, torch.bfloat16, 2**-10, 2**-8),
        (torch.float32, torch.float64, 1e-7, 1e-13),
        (torch.bfloat16, torch.float64, 2**-7, 1e-13),
    ],
    ids=str,
)
def test_interpreted_kernel_rounds_once(interpreted, stored, weights, value, sums, layout):
    grad, x, *parameters = arguments(layout=layout)
    values = (grad.to(stored), x.to(stored), *(parameter.to(weights) for parameter in parameters))
    y, grad_x, *gradients = both(interpreted, *values)
    assert (y.dtype, grad_x.dtype) == (stored, stored)  # the interpreter cuts where a card rounds: one unit, not half
    assert {gradient.dtype for gradient in gradients} == {weights}
    expected = exact(*values)
    assert_same((y, grad_x), expected[:2], rtol=value, atol=1e-6)
    assert_same(gradients, expected[2:], rtol=sums, atol=1e-5 if sums >= 1e-5 else 1e-13)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_interpreted_kernel_keeps_nan_and_infinity_where_the_reference_has_them(interpreted, layout):
    grad, x, weight, kernel = arguments((2, 2, 6, 5), layout=layout)
    x[0, 1, 2, 4] = x[1, 0, 0, 0] = torch.nan  # at a row's end, where a slip would reach the next row
    x[1, 1, 5, 4], x[1, 1, 0, 0] = torch.inf, -torch.inf
    grad[0, 0, 3, 0] = torch.nan
    y, grad_x, *_ = both(interpreted, grad, x, weight, kernel)
    expected = exact(grad, x, weight, kernel)
    assert 0 < y.isnan().sum() < 30
    assert_same((y, grad_x), expected[:2])


@pytest.mark.parametrize("kind", ["transposed", "sliced", "expanded gradient", "other layout", "a pixel"])
def test_interpreted_kernel_takes_any_strides(interpreted, kind):
    grad, x, weight, kernel = arguments((2, 3, 6, 4))
    if kind == "transposed":
        x = x.transpose(2, 3).contiguous().transpose(2, 3)
    elif kind == "sliced":
        x = torch.cat([x, x], 3)[..., :4]
    elif kind == "expanded gradient":
        grad = torch.full((), 2.0, dtype=torch.float64).expand(x.shape)
    elif kind == "other layout":
        grad = grad.contiguous(memory_format=torch.channels_last)
    else:
        grad, x = grad[..., :1, :1].contiguous(), x[..., :1, :1].contiguous()
    assert_same(both(interpreted, grad, x, weight, kernel), exact(grad, x, weight, kernel), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 0, 4)])
def test_kernel_of_nothing_gives_nothing_and_no_gradient(shape):
    grad, *inputs = arguments(shape)
    assert kernels.forward(*inputs).shape == shape
    grad_x, *gradients = kernels.backward(grad, *inputs)
    assert grad_x.shape == shape
    assert_same(gradients, [torch.zeros(3), torch.zeros(3, 1, 3, 3)])


def test_kernel_larger_than_the_registers_hold_goes_through_the_reference():
    values = arguments((2, 3, 5, 4), kernels.LARGEST + 2)
    assert_same((kernels.forward(*values[1:]), *kernels.backward(*values)), exact(*values), rtol=1e-12, atol=1e-12)
    halves = [value.bfloat16() for value in values]
    y, *gradients = kernels.forward(*halves[1:]), *kernels.backward(*halves)
    assert {value.dtype for value in (y, *gradients)} == {torch.bfloat16}
    assert_same((y, *gradients), exact(*halves), rtol=2**-8, atol=1e-5)


TILED = [*SHAPES, (256, 64, 56, 56), (128, 8, 8, 8), (32, 2048, 7, 7), (1, 3, 1000, 999), (2, 1, 3, 70_000)]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", TILED)
def test_tiling_covers_the_maps_once(shape, size):
    samples, channels, height, width = shape
    for last, backward, stored, summed in product([False, True], [False, True], [2, 4, 8], [4, 8]):
        tiles = kernels.tiling(shape, size=size, last=last, backward=backward, bytes_stored=stored, bytes_summed=summed)
        for extent, blocks, covered in (
            (tiles.channels, tiles.channel_blocks, channels),
            (tiles.columns, tiles.column_blocks, width),
            (tiles.rows, tiles.chunks, height),
        ):
            assert (blocks - 1) * extent < covered <= blocks * extent
        assert tiles.items == samples * tiles.chunks * tiles.column_blocks
        assert 1 <= tiles.programs <= tiles.items
        assert tiles.channels.bit_count() == tiles.columns.bit_count() == tiles.warps.bit_count() == 1
        assert tiles.warps <= 4


@pytest.mark.parametrize("shape", [(256, 64, 56, 56), (256, 256, 14, 14), (256, 512, 7, 7)])
def test_tiling_writes_few_sums(shape):
    tiles = kernels.tiling(shape, size=3, last=True, backward=True, bytes_stored=2, bytes_summed=4)
    sums = 2 * tiles.programs * 10 * shape[1] * 4  # written, and read again
    assert sums < 0.1 * 3 * torch.Size(shape).numel() * 2


def compiled(name, shape, dtype, last):
    """The kernel for an H100, compiled here."""
    function = getattr(kernels, name)
    x = torch.empty(shape, dtype=dtype, device="meta")
    _, _, options = kernels._plan(x, torch.float32, size=3, last=last, backward=name == "_backward")
    warps, stored = options.pop("num_warps"), "*bf16" if dtype == torch.bfloat16 else "*fp32"
    kinds = dict.fromkeys(["x", "y", "grad", "grad_x"], stored) | dict.fromkeys(
        ["weight", "kernel", "partial"], "*fp32"
    )
    signature = {name: "constexpr" if name in options else kinds.get(name, "i32") for name in function.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(signature.values()) if kind[0] == "*"}
    source = ASTSource(fn=function, signature=signature, constexprs=options, attrs=aligned)
    return compile_kernel(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})


@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_channels_last_kernel_compiles_to_vectors_that_are_copied_ahead(monkeypatch, tmp_path, name, dtype):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    text = compiled(name, (256, 64, 56, 56), dtype, True).asm["ptx"]
    ahead = [line for line in text.splitlines() if "cp.async.ca.shared.global" in line]
    assert ahead
    assert all(" 0x8," in line or ", 8," in line for line in ahead), ahead[0]
    assert "st.global.v2.b32" in text
    assert "atom." not in text


@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_contiguous_kernel_compiles(monkeypatch, tmp_path, name):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = compiled(name, (256, 64, 56, 56), torch.bfloat16, False)
    assert kernel.asm["cubin"]
    assert "atom." not in kernel.asm["ptx"]


@pytest.fixture
def choose_again():
    operator._path.cache_clear()
    yield
    operator._path.cache_clear()


@pytest.mark.usefixtures("choose_again")
def test_path_of_cuda_is_told():
    assert path("cuda") == "triton"


@pytest.mark.usefixtures("choose_again")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'triton'", name="triton"), "reference: triton is not installed"),
        (ImportError("wrong libc"), "reference: triton cannot be imported (wrong libc)"),
    ],
)
def test_missing_triton_falls_back_and_says_so(monkeypatch, error, words):
    plain = builtins.__import__

    def without(name, globals_=None, locals_=None, fromlist=(), level=0):
        if name == "leni.kernels" and "triton" in fromlist:
            raise error
        return plain(name, globals_, locals_, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    assert path("cuda") == words
    assert operator._path("cuda").forward is reference.forward


@pytest.mark.usefixtures("choose_again")
def test_failing_compiler_falls_back_and_says_so(monkeypatch):
    def broken(*values):
        raise RuntimeError("Failed to find C compiler.\nSet CC")

    plain = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *shape, device, **options: plain(*shape, **options))
    monkeypatch.setattr(kernels, "forward", broken)
    assert path("cuda") == "reference: triton cannot compile the kernel (Failed to find C compiler.)"


# On a card.


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("shape", [*SHAPES, (0, 3, 4, 4), (9, 24, 28, 30), (3, 130, 7, 65)])
def test_cuda_equals_reference(shape, size, layout):
    assert path("cuda") == "triton"
    tolerances = {torch.float64: 1e-11, torch.float32: 2e-4}
    if size > kernels.LARGEST:  # torch's own convolution, which may use TF32
        del tolerances[torch.float32]
    for dtype, tolerance in tolerances.items():
        values = arguments(shape, size, dtype, layout=layout, device="cuda")
        actual = by_autograd(leni_forward, *values)
        assert_same(actual, exact(*values), rtol=tolerance, atol=tolerance)
        assert actual[0].is_contiguous(memory_format=layout)


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(("dtype", "half_unit"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_cuda_half_precision_is_rounded_once(dtype, half_unit, layout):
    values = arguments((8, 64, 14, 14), dtype=dtype, layout=layout, device="cuda")
    assert_same(by_autograd(leni_forward, *values), exact(*values), rtol=1.01 * half_unit, atol=2e-5)


@pytest.mark.gpu
def test_cuda_keeps_nan_where_the_reference_has_it():
    grad, x, weight, kernel = arguments((2, 8, 6, 5), layout=torch.channels_last, device="cuda")
    x[0, 1, 2, 4] = x[1, 0, 0, 0] = torch.nan
    assert_same(by_autograd(leni_forward, grad, x, weight, kernel)[:2], exact(grad, x, weight, kernel)[:2])


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_cuda_gives_the_same_bits_in_every_run(layout):
    values = arguments((64, 32, 28, 28), dtype=torch.float32, layout=layout, device="cuda")
    first = by_autograd(leni_forward, *values)
    for _ in range(3):
        assert all(map(torch.equal, by_autograd(leni_forward, *values), first))


@pytest.mark.gpu
def test_cuda_autocast_computes_in_the_precision_of_the_parameters():
    grad, x, weight, kernel = arguments((4, 16, 9, 9), dtype=torch.float32, layout=torch.channels_last, device="cuda")
    grad, x = grad.bfloat16(), x.bfloat16()
    with torch.autocast("cuda", torch.bfloat16):
        y, grad_x, *gradients = by_autograd(leni_forward, grad, x, weight, kernel)
    assert y.dtype == grad_x.dtype == torch.bfloat16
    expected = exact(grad, x, weight, kernel)
    assert_same((y, grad_x), expected[:2], rtol=1.01 * 2**-8, atol=1e-5)
    assert_same(gradients, expected[2:], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_cuda_compiled_module_agrees(backend):
    module = LENI(16, init_std=0.5, device="cuda")
    x = torch.randn(4, 16, 9, 9, device="cuda").contiguous(memory_format=torch.channels_last).requires_grad_()
    results = []
    for call in (module, torch.compile(module, backend=backend, fullgraph=True)):
        y = call(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), [x, *module.parameters()])))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.gpu
def test_cuda_vmap_equals_a_loop():
    replicas = [arguments((2, 4, 6, 5), dtype=torch.float64, device="cuda")[1:] for _ in range(3)]
    stacked = [torch.stack([replica[i] * (n + 1) for n, replica in enumerate(replicas)]) for i in range(3)]

    def loss(x, weight, kernel):
        return leni_forward(x, weight, kernel).square().sum()

    together = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)))(*stacked)
    for n in range(3):
        leaves = [value[n].clone().requires_grad_() for value in stacked]
        expected = torch.autograd.grad(reference.forward(*leaves).square().sum(), leaves)
        assert_same([value[n] for value in together], [value.cpu() for value in expected])


@pytest.mark.gpu
def test_cuda_graph_replays_on_new_values():
    values = arguments((4, 16, 9, 9), dtype=torch.float32, layout=torch.channels_last, device="cuda")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        by_autograd(leni_forward, *values)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        results = by_autograd(leni_forward, *values)
    values[1].neg_()
    graph.replay()
    torch.cuda.synchronize()
    assert_same(results, exact(*values), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_cuda_device_other_than_the_current_one():
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one CUDA device")
    values = arguments(device="cuda:1")
    with torch.cuda.device(0):
        assert_same(by_autograd(leni_forward, *values), exact(*values))


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_cuda_offsets_beyond_32_bits(layout):
    shape = (33, 64, 1024, 1024)  # 2.2e9 elements
    if torch.cuda.mem_get_info()[0] < 16 * 2**30:
        pytest.skip("needs 16 GiB of free memory")
    x = torch.empty(shape, dtype=torch.bfloat16, device="cuda", memory_format=layout).fill_(1.0)
    x[-1].normal_(generator=torch.Generator("cuda").manual_seed(0))
    _, _, weight, kernel = arguments((1, 64, 1, 1), dtype=torch.float32, device="cuda")
    one = x[-1:].contiguous(memory_format=layout)
    assert torch.equal(leni_forward(x, weight, kernel)[-1:], leni_forward(one, weight, kernel))
    assert torch.equal(kernels.backward(x, x, weight, kernel)[0][-1:], kernels.backward(one, one, weight, kernel)[0])
