"""Every path equals the reference, and the reference equals torch's own rules, with zeros, NaN and odd shapes."""

import builtins
import copy
import multiprocessing
import pickle
import threading

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from leni import LENI
from leni.kernels import leni_forward, operator, path, reference

cpu = pytest.importorskip("leni.kernels.cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arguments(shape=(2, 3, 5, 4), size=3, dtype=torch.float64, seed=0):
    """grad, x, weight, kernel; x has exact zeros, also on its border."""
    generator = torch.Generator().manual_seed(seed)
    channels = shape[1]
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x[torch.rand(shape, generator=generator) < 0.2] = 0.0
    grad = torch.randn(shape, generator=generator, dtype=torch.float64)
    weight = torch.randn(channels, generator=generator, dtype=torch.float64)
    kernel = torch.randn(channels, 1, size, size, generator=generator, dtype=torch.float64)
    return tuple(value.to(dtype) for value in (grad, x, weight, kernel))


def by_autograd(function, grad, *inputs):
    """The value and the three gradients, by torch's own differentiation."""
    leaves = [value.detach().requires_grad_() for value in inputs]
    value = function(*leaves)
    return value.detach(), *torch.autograd.grad(value, leaves, grad)


def assert_same(actual, expected, **tolerance):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True, **tolerance)


SHAPES = [
    (2, 3, 5, 4),
    (1, 1, 1, 1),
    (3, 2, 1, 9),
    (2, 2, 9, 1),
    (1, 4, 2, 2),
    (2, 1, 33, 40),
    (5, 3, 7, 7),
    (5, 13, 4, 3),  # tiny planes: pixel by pixel
    (3, 9, 1, 1),
    (0, 3, 4, 4),
]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_numba_equals_reference(shape, size):
    grad, *inputs = arguments(shape, size)
    actual = (cpu.forward(*inputs), *cpu.backward(grad, *inputs))
    assert_same(actual, by_autograd(reference.forward, grad, *inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize(
    "shape",
    [
        (2, 3, 5, 4),
        (2, 37, 7, 9),
        (3, 2, 1, 9),
        (2, 40, 2, 2),
        (0, 3, 4, 4),
        (2, 3, 4, 400),  # a row is more than one tile, and no whole number of them
        (1, 48, 3, 30),
        (2, 70, 5, 4),  # many channels: pixel by pixel
    ],
)
def test_numba_channels_last_equals_reference(shape, size):
    grad, x, weight, kernel = arguments(shape, size)
    last = x.contiguous(memory_format=torch.channels_last)
    actual = (cpu.forward(last, weight, kernel), *cpu.backward(grad, last, weight, kernel))
    assert_same(actual, by_autograd(reference.forward, grad, x, weight, kernel), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_reference_backward_equals_autograd(size):
    grad, *inputs = arguments(size=size)
    assert_same(reference.backward(grad, *inputs), by_autograd(reference.forward, grad, *inputs)[1:])


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_nan_reaches_its_neighbours_and_no_others(size, layout):
    grad, x, weight, kernel = arguments((2, 33, 6, 5), size)
    x = x.contiguous(memory_format=layout)
    x[0, 1, 2, 4] = torch.nan  # at a row's end, where a slip would reach the next row
    x[1, 0, 0, 0] = torch.nan
    y, grad_x, *_ = by_autograd(leni_forward, grad, x, weight, kernel)
    expected = by_autograd(reference.forward, grad, x, weight, kernel)
    assert y.isnan()[0, 1, 2, 4]
    assert not y.isnan().all()
    assert_same((y, grad_x), expected[:2])


def test_nan_in_gradient_reaches_only_its_neighbours():
    grad, *inputs = arguments((1, 2, 6, 5))
    grad[0, 0, 3, 0] = torch.nan
    actual = by_autograd(leni_forward, grad, *inputs)
    assert_same(actual[:3], by_autograd(reference.forward, grad, *inputs)[:3])


def test_nan_matches_where_relu_has_it():
    y = leni_forward(torch.full((1, 1, 1, 1), torch.nan), torch.ones(1), torch.zeros(1, 1, 1, 1))
    assert torch.equal(y.isnan(), F.relu(torch.full((1, 1, 1, 1), torch.nan)).isnan())


def test_infinity_stays_on_its_own_side():
    _, x, weight, kernel = arguments((1, 1, 3, 4))
    x[0, 0, 1, 3] = torch.inf
    x[0, 0, 0, 0] = -torch.inf
    assert_same([leni_forward(x, weight.abs(), kernel)], [reference.forward(x, weight.abs(), kernel)])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_parallel_equals_serial_bitwise(monkeypatch, memory_format):
    monkeypatch.setattr(cpu, "_PARALLEL_FROM", 1)
    grad, x, *weights = arguments((3, 5, 9, 8), dtype=torch.float32)
    inputs = (x.contiguous(memory_format=memory_format), *weights)
    serial = (cpu.forward(*inputs), *cpu.backward(grad, *inputs))
    torch.set_num_threads(2)
    parallel = (cpu.forward(*inputs), *cpu.backward(grad, *inputs))
    assert all(torch.equal(one, other) for one, other in zip(serial, parallel, strict=True))


def test_several_calling_threads_give_the_same(monkeypatch):
    monkeypatch.setattr(cpu, "_PARALLEL_FROM", 1)
    torch.set_num_threads(2)
    _, *inputs = arguments((4, 6, 16, 16), dtype=torch.float32)
    expected, results = cpu.forward(*inputs), []

    def work():
        results.extend(cpu.forward(*inputs) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert all(torch.equal(result, expected) for result in results)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    grad, *inputs = arguments(dtype=dtype)
    y, *gradients = by_autograd(leni_forward, grad, *inputs)
    exact = by_autograd(reference.forward, grad.float(), *(value.float() for value in inputs))
    assert y.dtype == gradients[0].dtype == gradients[1].dtype == gradients[2].dtype == dtype
    assert_same([value.float() for value in (y, *gradients)], exact, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("function", [leni_forward, reference.forward])
def test_autocast_computes_in_the_precision_of_the_parameters(function):
    _, x, weight, kernel = arguments(dtype=torch.float32)
    x = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = function(x, weight, kernel)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, reference.forward(x.float(), weight, kernel).bfloat16())


@pytest.mark.parametrize("kind", ["channels_last", "transposed", "sliced", "expanded gradient"])
def test_layouts_give_the_same(kind):
    grad, x, weight, kernel = arguments((2, 3, 6, 4))
    expected = by_autograd(reference.forward, grad, x, weight, kernel)
    if kind == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif kind == "transposed":
        x = x.transpose(2, 3).contiguous().transpose(2, 3)
    elif kind == "sliced":
        x = torch.cat([x, x], 3)[..., :4]
    else:
        grad = torch.full((), 2.0, dtype=torch.float64).expand(x.shape)
        expected = by_autograd(reference.forward, grad.contiguous(), x, weight, kernel)
    actual = by_autograd(leni_forward, grad, x, weight, kernel)
    assert_same(actual, expected)
    last = kind == "channels_last"
    assert all(value.is_contiguous(memory_format=torch.channels_last) == last for value in actual[:2])


def test_gradients_pass_gradcheck_twice():
    _, x, weight, kernel = arguments((2, 2, 3, 2))
    x[x == 0] = 0.3  # finite differences have no derivative there
    inputs = [value.requires_grad_() for value in (x, weight, kernel)]
    assert torch.autograd.gradcheck(leni_forward, inputs)
    assert torch.autograd.gradgradcheck(leni_forward, inputs)


def test_graph_saves_input_and_weights_alone():
    _, *inputs = arguments()
    leaves, saved = [value.requires_grad_() for value in inputs], []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: saved.append(value.data_ptr()) or value, lambda v: v):
        leni_forward(*leaves)
    assert sorted(saved) == sorted(value.data_ptr() for value in leaves)


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (1, 0, 0), (0, None, 0), (None, 0, 4), (0, None, None)])
def test_vmap_equals_a_loop(in_dims):
    replicas = [arguments(seed=seed)[1:] for seed in range(3)]
    stacked = [
        replicas[0][i] if dim is None else torch.stack([replica[i] for replica in replicas], dim)
        for i, dim in enumerate(in_dims)
    ]

    def loss(x, weight, kernel):
        return leni_forward(x, weight, kernel).square().sum()

    actual = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)), in_dims)(*stacked)
    for index in range(3):
        one = [value if dim is None else value.select(dim, index) for value, dim in zip(stacked, in_dims, strict=True)]
        leaves = [value.clone().requires_grad_() for value in one]
        expected = torch.autograd.grad(reference.forward(*leaves).square().sum(), leaves)
        assert_same([value[index] for value in actual], expected)


def test_vmap_over_stacked_modules_equals_separate_ones():
    modules = [LENI(4, init_std=0.5) for _ in range(3)]
    parameters, buffers = torch.func.stack_module_state(modules)
    x = torch.randn(3, 2, 4, 5, 5)

    def call(parameters, buffers, x):
        return torch.func.functional_call(modules[0], (parameters, buffers), (x,))

    together = torch.func.vmap(call)(parameters, buffers, x)
    for module, one, expected in zip(modules, x, together, strict=True):
        torch.testing.assert_close(module(one), expected)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_flop_counter_counts_as_the_convolution(device, size):
    x = torch.randn(2, 3, 5, 4, device=device, requires_grad=True)
    with FlopCounterMode(display=False) as expected:
        F.conv2d(x, torch.randn(3, 1, size, size, device=device), padding=size // 2, groups=3)
    with FlopCounterMode(display=False) as counted:
        y = LENI(3, kernel_size=size, device=device)(x)
    assert counted.get_total_flops() == expected.get_total_flops() == 2 * size**2 * 2 * 3 * 5 * 4
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    assert backward.get_total_flops() == 2 * counted.get_total_flops()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_operator_keeps_torchs_rules(memory_format):
    grad, x, weight, kernel = arguments(dtype=torch.float32)
    x = x.contiguous(memory_format=memory_format)
    tests = ("test_schema", "test_faketensor")
    passed = dict.fromkeys(tests, "SUCCESS")
    assert torch.library.opcheck(torch.ops.leni.block.default, (x, weight, kernel), test_utils=tests) == passed
    backward = torch.ops.leni.block_backward.default
    assert torch.library.opcheck(backward, (grad, x, weight, kernel), test_utils=tests) == passed


def test_exported_graph_is_torchs_own_operators():
    module, x = LENI(3, init_std=0.5), torch.randn(2, 3, 5, 4)
    program = torch.export.export(module, (x,)).run_decompositions({})
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert all(name.startswith("aten.") for name in names), names
    torch.testing.assert_close(program.module()(x), module(x))


def test_compiled_graph_holds_the_operator_and_agrees():
    module, graphs = LENI(3, init_std=0.5), []

    def backend(graph, inputs):
        graphs.append(graph.print_readable(print_output=False))
        return graph.forward

    x = torch.randn(2, 3, 5, 4, requires_grad=True)
    y = torch.compile(module, backend=backend, fullgraph=True)(x)
    y.sum().backward()
    assert "leni.block" in graphs[0]
    grad, expected = x.grad.clone(), module(x.detach())
    x.grad = None
    module(x).sum().backward()
    assert_same([y, grad], [expected, x.grad])


def test_copies_of_a_module_compute_the_same():
    module, x = LENI(3, init_std=0.5), torch.randn(2, 3, 5, 4)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x), module(x))


def test_path_is_told():
    assert path("cpu") == "numba"
    assert path("xla") == "reference: there is no faster kernel for xla"


@pytest.fixture
def choose_again():
    operator._path.cache_clear()
    yield
    operator._path.cache_clear()


@pytest.mark.usefixtures("choose_again")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "reference: numba is not installed"),
        (ImportError("Numba needs NumPy 2.2"), "reference: numba cannot be imported (Numba needs NumPy 2.2)"),
    ],
)
def test_missing_numba_falls_back_and_says_so(monkeypatch, error, words):
    plain = builtins.__import__

    def without(name, globals_=None, locals_=None, fromlist=(), level=0):
        if name == "leni.kernels" and "cpu" in fromlist:
            raise error
        return plain(name, globals_, locals_, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    assert path() == words
    grad, *inputs = arguments()
    assert_same(by_autograd(leni_forward, grad, *inputs), by_autograd(reference.forward, grad, *inputs))


@pytest.mark.usefixtures("choose_again")
def test_failing_compiler_falls_back_and_says_so(monkeypatch):
    def broken(parallel):
        raise cpu.NumbaError("no such instruction")

    monkeypatch.setattr(cpu, "_compiled", broken)
    assert path() == "reference: numba cannot compile the kernel (no such instruction)"


def test_entries_with_and_without_threads_are_told_apart_by_the_cache():
    serial, parallel = (cpu._compiled(way).py_func.__closure__[0].cell_contents for way in (False, True))
    assert serial != parallel


def test_cache_without_a_writable_place_is_not_fatal(monkeypatch):
    plain = cpu.numba.njit

    def read_only(*positional, cache=False, **options):
        def decorate(function):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return plain(*positional, **options)(function)

        return decorate

    monkeypatch.setattr(cpu, "jit", read_only)
    assert callable(cpu._compiled.__wrapped__(False))


def test_full_disk_under_the_cache_is_not_fatal(monkeypatch):
    plain, calls = cpu._compiled(False), []

    def entry(*values):
        calls.append(values)
        if len(calls) == 1:
            raise OSError("No space left on device")
        plain(*values)

    monkeypatch.setattr(cpu, "_compiled", lambda parallel: entry)
    _, *inputs = arguments()
    assert_same([cpu.forward(*inputs)], [reference.forward(*inputs)])
    assert len(calls) == 2


@pytest.mark.parametrize(("layer", "expected"), [("workqueue", 1), ("omp", 7)])
def test_layer_that_is_not_safe_among_threads_is_left_alone(monkeypatch, layer, expected):
    monkeypatch.setattr(cpu.numba, "get_num_threads", lambda: 7)
    monkeypatch.setattr(cpu.numba, "threading_layer", lambda: layer)
    assert cpu._most_threads.__wrapped__() == expected


def _forked(connection, inputs):
    connection.send(cpu.forward(*inputs).tolist())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_of_a_parallel_parent_computes(monkeypatch):
    monkeypatch.setattr(cpu, "_PARALLEL_FROM", 1)
    torch.set_num_threads(2)
    _, *inputs = arguments((4, 6, 16, 16), dtype=torch.float32)
    expected = cpu.forward(*inputs)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_forked, args=(sender, inputs))
    child.start()
    assert receiver.poll(120)
    assert torch.equal(torch.tensor(receiver.recv()), expected)
    child.join()
