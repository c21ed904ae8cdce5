import io
import math
import sys
import threading

import pandas as pd
import pytest
from rich.console import Console

from results import hypervolume_of
from search.driver.progress import Progress
from search.store.outcome import Outcome
from spaces import Candidate, Configuration

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}
CANDIDATE = Candidate("resnet8", (2, 4, 8), "leni", "inner")
POINTS = [(0.5, 900), (0.75, 5000), (0.75, 4000), (0.3, 900), (0.4, 4500)]  # unsorted, with ties at both ends


class Clock:
    """The time, set by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("search.driver.progress.time", clock)
    return clock


def progress(*, terminal: bool = False, trials: int = 10, epochs: int = 4, **options: object) -> Progress:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    return Progress(trials=trials, epochs=epochs, objectives=OBJECTIVES, console=console, **options)


def text_of(shown: Progress) -> str:
    return shown.console.file.getvalue()


def complete(shown: Progress, number: int, accuracy: float, params: int) -> None:
    shown.begun(number, CANDIDATE)
    shown.ended(
        number, CANDIDATE, {"params": params, "macs": 10 * params}, Outcome("completed", {"accuracy": accuracy})
    )


def rendered(shown: Progress) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(shown.render())
    return console.file.getvalue()


def test_line_before_the_first_trial_knows_nothing():
    assert (
        progress().line()
        == "0/10 trials, 0 running, 0 failed, - left, hypervolume 0.0000, best accuracy -; best params -"
    )
    assert math.isnan(progress().time_left())


def test_hypervolume_is_that_of_the_completed_records():
    shown = progress()
    for number, point in enumerate(POINTS):
        complete(shown, number, *point)
    shown.ended(9, CANDIDATE, {"params": 1, "macs": 1}, Outcome("stopped", {"epochs": 1}))
    frame = pd.DataFrame({"accuracy": [a for a, _ in POINTS], "params": [p for _, p in POINTS], "state": "completed"})
    assert shown.hypervolume() == hypervolume_of(frame, objectives=OBJECTIVES) > 0
    by_hand = 0.5 * (1 - math.log10(900) / 9) + 0.25 * (1 - math.log10(4000) / 9)
    assert shown.hypervolume() == pytest.approx(by_hand)


def test_ends_are_the_most_accurate_and_the_smallest_with_ties_to_the_better():
    shown = progress()
    for number, point in enumerate(POINTS):
        complete(shown, number, *point)
    assert shown.ends() == {"accuracy": "0.75 (params 4,000)", "params": "900 (accuracy 0.5)"}


def test_ended_takes_the_parameters_that_an_evaluator_measured():
    shown = progress()
    shown.ended(0, CANDIDATE, {"params": 5000, "macs": 1}, Outcome("completed", {"accuracy": 0.5, "params": 7}))
    assert shown.ends()["accuracy"] == "0.5 (params 7)"


def test_time_left_counts_trials_and_the_epochs_of_running_ones(clock):
    shown = progress(trials=10, epochs=4)
    with shown:
        complete(shown, 0, 0.5, 900)
        shown.begun(1, CANDIDATE)
        shown.reported(1, {"epoch": 2})
        shown.reported(7, {"epoch": 3})  # of a trial that is over
        clock.now += 30
        assert shown.time_left() == pytest.approx(30 / 1.5 * 8.5)
        assert "2:50 left" in shown.line()
        clock.now += 3600
        assert "5:42:50 left" in shown.line()


def test_time_left_of_a_trial_with_more_epochs_than_told_is_not_below_zero(clock):
    shown = progress(trials=1, epochs=2)
    shown.begun(0, CANDIDATE)
    shown.reported(0, {"epoch": 9})
    clock.now += 5
    assert shown.time_left() == 0


def test_off_a_terminal_lines_come_now_and_then_and_at_the_end(clock):
    shown = progress(trials=3)
    with shown:
        complete(shown, 0, 0.5, 900)
        clock.now += 6
        complete(shown, 1, 0.6, 950)
        clock.now += 1
        complete(shown, 2, 0.7, 990)
    lines = text_of(shown).splitlines()
    assert [line.split(",")[0] for line in lines] == ["2/3 trials", "3/3 trials"]
    assert "\x1b" not in text_of(shown)
    assert lines[1].endswith("best accuracy 0.7 (params 990); best params 900 (accuracy 0.5)")


@pytest.mark.parametrize("verbose", [True, False])
def test_tracebacks_are_shown_as_they_happen_where_asked_for(verbose):
    shown = progress(verbose=verbose)
    with shown:
        shown.begun(0, CANDIDATE)
        outcome = Outcome("failed", error="why", traceback="Traceback:\n  [/b] \x1b[31mred")
        shown.ended(0, CANDIDATE, {"params": 1, "macs": 1}, outcome)
        assert ("Traceback:\n  [/b] red\n" in text_of(shown)) == verbose


def test_off_a_terminal_every_failure_is_a_line_as_it_is():
    shown = progress()
    reason = "RuntimeError: size [2, 3], closing [/b] :warning: [training] " + "x" * 200
    with shown:
        shown.begun(0, CANDIDATE)
        shown.ended(0, CANDIDATE, {"params": 1, "macs": 1}, Outcome("failed", error=reason))
    assert text_of(shown).splitlines()[0] == f"trial 0 failed: {reason}"
    assert "1/10 trials, 0 running, 1 failed" in text_of(shown)


def test_quiet_shows_nothing_on_a_terminal_or_off():
    for terminal in (True, False):
        shown = progress(terminal=terminal, quiet=True)
        with shown:
            complete(shown, 0, 0.5, 900)
            shown.ended(1, CANDIDATE, {"params": 1, "macs": 1}, Outcome("failed", error="why"))
        assert text_of(shown) == ""
        assert shown.done == 2


def test_on_a_terminal_the_display_is_live_and_ends_with_the_last_state():
    shown = progress(terminal=True, trials=2)
    with shown:
        assert shown.live.is_started
        complete(shown, 0, 0.5, 900)
        complete(shown, 1, 0.75, 4000)
    assert not shown.live.is_started
    last = text_of(shown)[text_of(shown).rindex("trials") :]
    assert "2 of 2" in last
    assert "0.75 (params 4,000)" in last
    assert "\x1b[" in text_of(shown)


def test_render_shows_running_trials_and_the_last_failure_as_it_is():
    shown = progress()
    for number in (12, 3, *range(20, 30)):
        shown.begun(number, CANDIDATE)
    shown.reported(3, {"epoch": 2})
    shown.ended(12, CANDIDATE, {"params": 1, "macs": 1}, Outcome("failed", error="odd [/b] text"))
    text = rendered(shown)
    assert "trial 3: epoch 2 of 4  resnet8 2-4-8 leni @ inner" in text
    assert "trial 12 failed: odd [/b] text" in text
    assert text.count(": epoch") == 8
    assert text.index("trial 3:") < text.index("trial 20:")


def test_render_while_trials_begin_and_end_does_not_fail():
    shown = progress(trials=100_000)
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            for number in range(50):
                shown.begun(number, CANDIDATE)
            shown.running.clear()

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=change)
    sys.setswitchinterval(1e-6)  # the display's thread and the run's take turns as often as they can
    try:
        thread.start()
        for _ in range(2000):
            assert math.isnan(shown.time_left())  # no trial has ended, so there is nothing to judge by
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_objectives_of_another_kind_are_shown_by_their_names():
    console = Console(file=io.StringIO(), width=100)
    objectives = {"loss": "minimize", "gain": "maximize"}
    shown = Progress(trials=2, epochs=1, objectives=objectives, console=console)
    for number, values in enumerate([{"loss": 3.0, "gain": 1.0}, {"loss": 2.0, "gain": 0.5}]):
        shown.begun(number, Configuration({"x": 1}))
        assert f"trial {number}: epoch 0 of 1  x=1" in rendered(shown)
        shown.ended(number, Configuration({"x": 1}), {}, Outcome("completed", values))
    assert shown.ends() == {"loss": "2 (gain 0.5)", "gain": "1 (loss 3)"}
    assert 0 < shown.hypervolume() < 1


def test_trials_that_were_over_before_are_counted_and_cost_no_time(clock):
    class Past:
        completed = ({"accuracy": 0.5, "params": 900.0},)
        begun, waiting = 4, ("running",)

    shown = progress(trials=10, epochs=4)
    with shown:
        shown.recall(Past())
        complete(shown, 4, 0.75, 4000)
        clock.now += 10
        assert shown.time_left() == pytest.approx(10 * 6)
    assert shown.done == 4
    assert shown.ends()["params"] == "900 (accuracy 0.5)"
