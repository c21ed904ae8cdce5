import json

import optuna
import pytest

import results
from leni.errors import FolderError
from search.cli import app
from search.followup.trial_facts import trial_facts
from search.spec import Spec
from search.store.folder import RunFolder, environment, write_environment, write_text
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from spaces import Candidate, Configuration

TRACE = 'Traceback (most recent call last):\n  File "ev.py", line 3, in f\nValueError: bad \x1b[31mthing [/b]'


def written(folder, spec, *trials):
    """A run's folder with these (candidate, outcome), as `search.run` writes one."""
    place = RunFolder(folder)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place.create()
    write_text(place.spec, spec.to_toml())
    write_environment(place.environment, environment(objectives=spec.directions()))
    store = StudyStore(place.study, spec.directions())
    for candidate, outcome in trials:
        store.end(store.begin(candidate, {"params": 1, "macs": 1}, {}, {}), outcome)
    results.write(results.to_frame(store.records()), place.trials)
    results.write(results.to_curves(store.curves()), place.curves)
    store.close()
    return place.path


@pytest.fixture
def main(monkeypatch):
    """The command in this process: its exit code."""

    def call(words):
        monkeypatch.setattr("sys.argv", ["leni-search", *words])
        with pytest.raises(SystemExit) as ended:
            app.main()
        return int(ended.value.code or 0)

    return call


@pytest.fixture
def evaluated(tmp_path):
    spec = Spec(
        evaluator="ev:f", objectives=("loss:min",), space={"parameters": {"state": ["x", "y"]}}, out=tmp_path / "run"
    )
    return written(
        tmp_path / "run", spec,
        (Configuration((("state", "y"),)), Outcome("failed", error="ValueError: bad", traceback=TRACE)),
        (Configuration((("state", "x"),)), Outcome("completed", {"loss": 0.25})),
    )  # fmt: skip


def test_records_have_the_traceback_of_trials_that_failed_alone(evaluated):
    trials = results.load(evaluated).trials
    assert trials["traceback"].isna().tolist() == [False, True]
    assert trials["traceback"].iloc[0] == TRACE
    assert "traceback" not in results.front_columns(results.load(evaluated).front()).columns


def test_facts_of_an_evaluators_trial_have_the_users_own_names(evaluated):
    failed, completed = trial_facts(evaluated, 0), trial_facts(evaluated, 1)
    assert (failed.state, failed.error, failed.values["state"]) == ("failed", "ValueError: bad", "y")
    assert failed.traceback.endswith("ValueError: bad thing [/b]")
    assert (completed.state, completed.traceback, completed.values["loss"]) == ("completed", "", 0.25)
    with pytest.raises(FolderError, match="no trial 7"):
        trial_facts(evaluated, 7)


def test_inspect_shows_a_traceback_without_control_characters(evaluated, main, capsys):
    assert main(["inspect", str(evaluated), "--trial", "0"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == "trial 0 failed: ValueError: bad"
    assert shown.rstrip().endswith("ValueError: bad thing [/b]")
    assert 'File "ev.py", line 3, in f' in shown
    assert shown.replace("\n", "").isprintable()


def test_inspect_as_json_and_of_a_completed_trial(evaluated, main, capsys):
    assert main(["inspect", str(evaluated), "--trial", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["number"], told["state"], told["values"]["state"], told["values"]["loss"]) == (
        1,
        "completed",
        "x",
        0.25,
    )
    assert main(["inspect", str(evaluated), "--trial", "1", "--figure", "a.svg"]) == 2


def test_training_that_failed_shows_where_and_one_that_did_not_is_trained_again(tmp_path):
    leni = Candidate("resnet8", (2, 4, 8), "leni")
    folder = written(
        tmp_path / "run", Spec(data="digits", out=tmp_path / "run"),
        (leni, Outcome("failed", error="no luck", traceback=TRACE)), (leni, Outcome("failed", error="killed")),
        (leni, Outcome("completed", {"accuracy": 0.5})),
    )  # fmt: skip
    assert trial_facts(folder, 0).values["activation"] == "leni"
    assert [trial_facts(folder, number) for number in (1, 2)] == [None, None]
