import functools
import threading

import pytest

from search.training.reporter import Reporter, TrialStopped


@pytest.fixture
def stopping() -> Reporter:
    stop = threading.Event()
    stop.set()
    return Reporter(lambda *_: None, stop)


def test_report_is_received_with_checkpoint_and_step_and_answers_no():
    received = []
    report = Reporter(lambda *given: received.append(given), threading.Event())
    assert report({"loss": 1.0}, {"state": 1}, step=5) is False
    assert report(0.5) is False
    assert received == [({"loss": 1.0}, {"state": 1}, 5), (0.5, None, None)]


def dropping(report):
    report(0.5)


def dropping_with_keywords(report):
    report({"loss": 1.0}, step=3)


def dropping_unpacked(report):
    given, keys = ({"loss": 1.0},), {"step": 3}
    report(*given, **keys)


@pytest.mark.parametrize("function", [dropping, dropping_with_keywords, dropping_unpacked])
def test_report_raises_where_its_value_is_dropped(stopping, function):
    with pytest.raises(TrialStopped):
        function(stopping)


def branching(report):
    return bool(report(0.5))


def keeping(report):
    answers = [report(0.5)]
    return answers[0]


def passing_on(report):
    return next(map(report, [0.5]))


def wrapping(report):
    return functools.partial(report, step=1)(0.5)


@pytest.mark.parametrize("function", [branching, keeping, passing_on, wrapping])
def test_report_answers_where_its_value_is_used_and_raises_the_next_time(stopping, function):
    assert function(stopping) is True
    assert stopping.told
    with pytest.raises(TrialStopped):
        function(stopping)


def test_nothing_is_received_after_the_end():
    received = []
    report = Reporter(lambda *given: received.append(given), threading.Event())
    report.over = True
    told = report(0.5)
    assert (told, received) == (True, [])


def test_except_exception_does_not_catch_the_stop():
    assert not issubclass(TrialStopped, Exception)
