from contextlib import contextmanager

import pytest
import torch

from search.training.graph import WARM, CapturedStep


class FakeGraph:
    """Does at a replay what was recorded while it was captured."""

    recording: "FakeGraph | None" = None

    def __init__(self) -> None:
        self.recorded: list = []
        self.generators: list = []

    def register_generator_state(self, generator) -> None:
        self.generators.append(generator)

    def replay(self) -> None:
        for action in self.recorded:
            action()


class FakeStream:
    def wait_stream(self, other) -> None:
        pass


@pytest.fixture
def fake_cuda(monkeypatch):
    """The calls of torch.cuda that a capture makes, without a device."""

    @contextmanager
    def capture(graph, stream):
        FakeGraph.recording = graph
        yield
        FakeGraph.recording = None

    @contextmanager
    def on(stream):
        yield

    for name, value in {"CUDAGraph": FakeGraph, "graph": capture, "Stream": FakeStream, "stream": on}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def test_every_call_is_one_step_and_all_but_the_first_are_replays(fake_cuda):
    done, generator = [], torch.Generator()

    def step() -> None:
        if FakeGraph.recording:
            FakeGraph.recording.recorded.append(lambda: done.append("replayed"))
        else:
            done.append("as it is")

    captured = CapturedStep(step, [generator])
    for _ in range(WARM + 4):
        captured()
    assert done == ["as it is"] * WARM + ["replayed"] * 4
    assert captured.graph.generators == [generator]
    assert captured.reason == ""


def test_a_step_that_cannot_be_captured_goes_on_as_it_is_and_says_why(fake_cuda):
    done = []

    def step() -> None:
        if FakeGraph.recording:
            FakeGraph.recording = None
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        done.append("as it is")

    captured = CapturedStep(step)
    for _ in range(WARM + 4):
        captured()
    assert len(done) == WARM + 4
    assert captured.reason == "the step cannot be captured: operation not permitted when stream is capturing"


def test_memory_that_runs_out_in_a_capture_is_no_reason_to_go_on(fake_cuda):
    def step() -> None:
        if FakeGraph.recording:
            FakeGraph.recording = None
            raise torch.OutOfMemoryError("out of memory")

    captured = CapturedStep(step)
    for _ in range(WARM):
        captured()
    with pytest.raises(torch.OutOfMemoryError):
        captured()


@pytest.mark.gpu
def test_replays_read_the_buffers_as_they_are_and_move_the_generator_on():
    generator = torch.Generator("cuda").manual_seed(1)
    scale, total = torch.ones((), device="cuda"), torch.zeros((), device="cuda")

    def step() -> None:
        total.add_(scale * torch.rand((), device="cuda", generator=generator))

    captured = CapturedStep(step, [generator])
    for turn in range(8):
        scale.fill_(turn)
        captured()
    other = torch.Generator("cuda").manual_seed(1)
    expected = sum(turn * float(torch.rand((), device="cuda", generator=other)) for turn in range(8))
    assert captured.graph is not None
    assert float(total) == pytest.approx(expected, rel=1e-5)
