import signal

import pytest

from leni.errors import DataError
from search.service import job
from search.service.home import Home


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.path.mkdir()
    made.write(made.job, {"attempt": 3, "spec": {"epochs": 1}, "trials": 5, "address": None})
    before = signal.getsignal(signal.SIGINT)
    yield made
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def calls(monkeypatch):
    import types

    import search.driver.run_search as module

    made = []

    def run(spec):
        made.append(("run", spec.trials, spec.epochs, spec.out))
        return types.SimpleNamespace(environment={"ended": "complete"})

    def resume(path, *, add_trials, address):
        made.append(("resume", add_trials, path))
        return types.SimpleNamespace(environment={"ended": "interrupted"})

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "resume", resume)
    monkeypatch.setattr(job.os, "nice", lambda _: 0)
    monkeypatch.setattr(job, "_watch", lambda _: None)  # it would interrupt the tests
    return made


def test_new_search_is_run_in_its_folder(home, calls):
    assert job.main(str(home.path)) == 0
    assert calls == [("run", 5, 1, home.run.path)]
    assert home.read(home.end) == {"attempt": 3, "code": 0, "ended": "complete", "sentence": ""}


def test_search_that_has_begun_is_gone_on_with_to_the_total_that_is_asked_for(home, calls):
    home.run.path.mkdir()
    home.run.spec.write_text("")
    home.write(home.run.environment, {"trials": 3})
    assert job.main(str(home.path)) == 130
    assert calls == [("resume", 2, home.run.path)]
    home.write(home.run.environment, {"trials": 5})  # killed after it had taken the extension: no second one
    job.main(str(home.path))
    assert calls[-1] == ("resume", 0, home.run.path)


def test_folder_of_a_process_that_was_killed_before_its_first_trial_is_begun_anew(home, calls):
    home.run.path.mkdir()
    home.run.spec.write_text("trials = 3")
    home.run.study.write_text("")
    assert job.main(str(home.path)) == 0
    assert calls == [("run", 5, 1, home.run.path)]
    assert not home.run.path.exists()


def test_mistake_is_told_in_one_sentence_and_a_bug_with_its_traceback_in_the_log(home, monkeypatch, calls, capsys):
    import search.driver.run_search as module

    for error, code, sentence in ((DataError("no files"), 2, "no files"), (KeyError("x"), 1, "KeyError: 'x'")):

        def fail(_, error=error):
            raise error

        monkeypatch.setattr(module, "run", fail)
        assert job.main(str(home.path)) == code
        assert home.read(home.end) == {"attempt": 3, "code": code, "ended": "failed", "sentence": sentence}
    assert "Traceback" in capsys.readouterr().err


def test_search_that_is_cancelled_before_it_begins_does_not_begin(home, calls):
    home.cancel.touch()
    assert job.main(str(home.path)) == 130
    assert calls == []
    assert home.read(home.end)["ended"] == "interrupted"


def test_second_process_of_a_search_does_nothing(home, calls):
    import fcntl

    with home.lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert job.main(str(home.path)) == 2
    assert calls == []
    assert home.read(home.end) == {}
