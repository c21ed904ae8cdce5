"""One forward pass on the meta device, recorded as a torch.fx graph: which activations are called, by whom, on what.

The network is copied with all its tensors on the meta device, so nothing is computed, nothing allocated, and neither
the network nor its batch statistics are touched; recording.py writes down what the copy does. Since tensors are tensors
here and not fx's proxies, control flow on shapes, types and options goes the way that it goes in use. Where the pass
stops, or asks on which device a tensor is, it is repeated with fake tensors, which say that they are on the network's
device; where that stops too (control flow on values), the copy is run for real. The pass is an evaluation: heads that a
network has in training alone (GoogLeNet's auxiliary classifiers) are not part of it.
"""

from __future__ import annotations

import contextlib
import logging

import torch
from torch import Tensor, nn

from leni.copying import fake_copy, meta_copy, real_copy
from leni.errors import NetworkError, reason_of
from leni.kinds import PUT_BY_SWAP, function_kind, is_leaf, module_kind, own_class
from leni.recording import Call, Recorder, Step, Trace

__all__ = [
    "PUT_BY_SWAP",
    "Call",
    "Step",
    "Stopped",
    "Trace",
    "function_kind",
    "is_leaf",
    "meta_copy",
    "module_kind",
    "own_class",
    "trace",
]


def trace(model: nn.Module, example_input: Tensor, *, training: bool = False) -> Trace:
    """Run a network once and record it.

    Args:
        model: any network of one input; neither its tensors nor its training flag are changed.
        example_input: (N, C, H, W), or whatever the network takes; only its shape and dtype matter, but for networks
            that cannot run without values.
        training: run the copy in training mode, on two samples, since batch norm refuses a single value.

    Returns:
        The record of the pass, in evaluation mode if not told otherwise, without data. Where that stops (control flow
        on values), of a real pass, provided that activations are modules there, each called once.

    Raises:
        NetworkError: the network cannot be copied, the pass fails, or it needs values and calls activations otherwise;
            the message says where and why.
    """
    if not isinstance(example_input, Tensor):
        raise NetworkError(
            f"`example_input` must be a tensor, the one input of the network, got {type(example_input).__name__}; wrap "
            "a network of several inputs in a module of one"
        )
    example = example_input[:1].detach()
    if training:
        example = example.repeat(2, *[1] * (example.dim() - 1))
    on_meta = stopped = None
    try:
        on_meta = _record(model, meta_copy(model), torch.empty_like(example, device="meta"), training)
    except Stopped as error:
        stopped = error
    if on_meta is not None and not on_meta.asked_device:
        return on_meta
    with contextlib.suppress(Stopped):
        return _fake_record(model, example, training)
    if on_meta is not None:
        return on_meta
    record = _record(model, real_copy(model), example, training)
    _refuse_uncertain(record, stopped)
    return record


class Stopped(NetworkError):
    """A pass that did not come to its end.

    Attributes:
        record: what it did until then.
    """

    def __init__(self, message: str, record: Trace) -> None:
        super().__init__(message)
        self.record = record


def _record(model: nn.Module, twin: nn.Module, example: Tensor, training: bool) -> Trace:
    """The record of `twin`, a copy of `model`, run on `example`."""
    twin.train(training)
    recorder = Recorder(twin, example)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.device(example.device), recorder:
            recorder.finish(twin(example))
    except Exception as error:
        reason = reason_of(error)
        if isinstance(error, TypeError) and "required positional argument" in reason:
            reason += "; wrap a network of several inputs in a module of one"
        sentence = f"cannot trace {type(model).__name__}: stopped in {recorder.where()}: {reason}"
        raise Stopped(sentence, recorder.trace) from error
    return recorder.trace


def _fake_record(model: nn.Module, example: Tensor, training: bool) -> Trace:
    """The record of a pass with fake tensors."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # its import is slow, and few networks need it

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    twin = fake_copy(model, mode)
    log = logging.getLogger(FakeTensorMode.__module__)
    disabled, log.disabled = log.disabled, True  # what stops the pass is said in our sentence, not logged
    try:
        with mode:
            return _record(model, twin, mode.from_tensor(example), training)
    finally:
        log.disabled = disabled


def _refuse_uncertain(record: Trace, stopped: NetworkError | None) -> None:
    """Refuse what a pass on values cannot tell: calls that another pass might not make in this order."""
    for call in record.calls:
        if call.functional or record.counts[call.path] > 1:
            what = f"calls the function {call.kind} in" if call.functional else "calls more than once"
            raise NetworkError(
                f"{stopped}; without a trace only modules called once can be found, but the network "
                f"{what} {call.path or 'its own forward'}; call a module (nn.ReLU) for each activation there, or "
                "compute nothing in Python from a tensor's values",
                code="LS-NETWORK-TRACE",
            ) from stopped
