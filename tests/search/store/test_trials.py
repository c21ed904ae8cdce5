import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

import results
from leni.errors import StorageError
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from spaces import Candidate, SearchSpace

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}
COSTS = {"params": 5858, "macs": 82336}
SPACE = SearchSpace("s", "resnet8", ["relu", "leni"], ["all", "inner"], [0.25, 0.5])
LENI = Candidate("resnet8", (4, 8, 16), "leni", "inner")
CURVE = ({"epoch": 1, "accuracy": 0.5, "loss": 1.5}, {"epoch": 2, "accuracy": 0.75, "loss": float("nan")})
pytestmark = pytest.mark.usefixtures("quiet_optuna")


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture
def open_store(tmp_path) -> Iterator[Any]:
    """A function that opens the same storage again."""
    stores: list[StudyStore] = []

    def open_store() -> StudyStore:
        stores.append(StudyStore(f"sqlite:///{tmp_path / 'study.db'}", OBJECTIVES))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def begin(store: StudyStore, candidate: Candidate = LENI) -> int:
    parameters, distributions = SPACE.parameters(candidate) or ({}, {})
    return store.begin(candidate, COSTS, parameters, distributions)


def ended_in_every_way(store: StudyStore) -> None:
    """Trials 0 to 3: stopped, completed, failed, running; ended out of order."""
    for candidate in (LENI, Candidate("resnet8", (8, 16, 32), "relu"), LENI, LENI):
        begin(store, candidate)
    store.end(2, Outcome("failed", {"epochs": 1}, CURVE[:1], "a loss that is not finite"))
    store.end(1, Outcome("completed", {"accuracy": 0.75, "epochs": 2, "seeds": 1, "latency": 3.5}, CURVE))
    store.end(0, Outcome("stopped", {"epochs": 1}, CURVE[:1]))


def optunas(tmp_path: Path) -> optuna.Study:
    return optuna.load_study(study_name="leni-search", storage=f"sqlite:///{tmp_path / 'study.db'}")


def test_begin_counts_from_zero_and_writes_a_running_trial(open_store, tmp_path):
    store = open_store()
    assert [begin(store) for _ in range(3)] == [0, 1, 2]
    trial = optunas(tmp_path).trials[1]
    assert trial.state == TrialState.RUNNING
    assert trial.params == {"width": 0.25, "activation": "leni", "placement": "inner"}
    assert trial.user_attrs["costs"]["params"] == 5858
    assert Candidate.from_dict(trial.user_attrs["candidate"]) == LENI
    assert abs(datetime.now() - trial.datetime_start) < timedelta(minutes=1)
    assert store.records() == []


def test_end_writes_the_state_that_optuna_has_for_it(open_store, tmp_path):
    ended_in_every_way(open_store())
    states = [TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in optunas(tmp_path).trials] == states
    assert optunas(tmp_path).trials[1].values == [0.75, 5858.0]


def test_optuna_reads_the_same_file_with_directions_and_front(open_store, tmp_path):
    ended_in_every_way(open_store())
    study = optunas(tmp_path)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.user_attrs["objectives"] == OBJECTIVES
    assert study.metric_names == ["accuracy", "params"]
    assert [trial.number for trial in study.best_trials] == [1]


def test_optuna_goes_on_with_the_study_of_a_run(open_store, tmp_path):
    ended_in_every_way(open_store())
    study = optunas(tmp_path)
    trial = study.ask()
    SPACE.suggest(trial)
    study.tell(trial, [0.5, 100.0])
    assert study.trials[4].params.keys() >= {"width", "activation"}


def test_end_of_a_trial_that_has_ended_is_refused(open_store):
    store = open_store()
    begin(store)
    store.end(0, Outcome("completed", {"accuracy": 0.5}))
    with pytest.raises(KeyError):
        store.end(0, Outcome("failed"))
    other = open_store()
    other._ids[0] = store.storage.get_trial_id_from_study_id_trial_number(store.study_id, 0)
    with pytest.raises(UpdateFinishedTrialError):
        other.end(0, Outcome("failed"))
    assert [row["state"] for row in store.records()] == ["completed"]


def test_costs_that_an_evaluator_measured_replace_the_counted_ones(open_store, tmp_path):
    store = open_store()
    begin(store)
    store.end(0, Outcome("completed", {"accuracy": 0.5, "params": 12}))
    assert optunas(tmp_path).trials[0].values == [0.5, 12.0]
    assert store.records()[0]["params"] == 12
    assert store.records()[0]["macs"] == COSTS["macs"]


def test_records_are_every_trial_that_has_ended_once_as_results_has_them(open_store):
    store = open_store()
    ended_in_every_way(store)
    frame = results.to_frame(store.records())
    assert list(frame["number"]) == [0, 1, 2]
    assert list(frame["state"]) == ["stopped", "completed", "failed"]
    assert list(frame["widths"]) == ["4-8-16", "8-16-32", "4-8-16"]
    assert list(frame["placement"]) == ["inner", "all", "inner"]
    assert list(frame["error"]) == ["", "", "a loss that is not finite"]
    assert frame["accuracy"].isna().tolist() == [True, False, True]
    assert frame["kernel_size"].isna().tolist() == [False, True, False]
    assert list(frame["params"]) == [5858] * 3
    assert frame["latency"].dropna().tolist() == [3.5]
    assert (frame["wall_s"] >= 0).all()
    assert (datetime.now(UTC) - frame["started_at"] < pd.Timedelta(minutes=1)).all()
    assert results.front(frame)["number"].tolist() == [1]


def test_curves_are_a_row_an_epoch_and_hold_no_nan_on_disk(open_store, tmp_path):
    store = open_store()
    ended_in_every_way(store)
    frame = results.to_curves(store.curves())
    assert list(zip(frame["number"], frame["epoch"], strict=True)) == [(0, 1), (1, 1), (1, 2), (2, 1)]
    assert list(frame["seed"]) == [0] * 4
    assert list(frame["accuracy"]) == [0.5, 0.5, 0.75, 0.5]
    assert frame["loss"].isna().tolist() == [False, False, True, False]
    with sqlite3.connect(tmp_path / "study.db") as connection:
        texts = [row[0] for row in connection.execute("select value_json from trial_user_attributes")]
    connection.close()
    assert len(texts) >= 12
    for text in texts:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_records_and_curves_of_an_empty_study_are_empty(open_store):
    store = open_store()
    assert results.to_frame(store.records()).empty
    assert results.to_curves(store.curves()).empty


def test_a_second_store_sees_the_same_trials_and_goes_on_counting(open_store):
    first = open_store()
    ended_in_every_way(first)
    second = open_store()
    assert second.records() == first.records()
    assert second.curves() == first.curves()
    assert begin(second) == 4
    assert begin(first) == 5
    assert len(second.storage.get_all_studies()) == 1


def test_fail_running_ends_what_another_process_left_behind(open_store):
    ended_in_every_way(open_store())
    later = open_store()
    assert later.fail_running("the run was killed") == 1
    assert later.fail_running("again") == 0
    assert [row["state"] for row in later.records()] == ["stopped", "completed", "failed", "failed"]
    assert [row["error"] for row in later.records()][2:] == ["a loss that is not finite", "the run was killed"]


def test_recover_finishes_a_trial_whose_end_is_half_written(open_store):
    store = open_store()
    begin(store)
    begin(store)
    trial_id = store.storage.get_trial_id_from_study_id_trial_number(store.study_id, 0)
    half = {"state": "completed", "metrics": {"accuracy": 0.9}, "curve": [dict(CURVE[0])], "error": ""}
    store.storage.set_trial_user_attr(trial_id, "result", half)
    assert store.records() == []
    later = open_store()
    assert [trial.number for trial in later.recover()] == [1]
    assert later.fail_running("killed") == 1
    assert [(row["state"], row["error"]) for row in later.records()] == [("completed", ""), ("failed", "killed")]
    assert later.storage.get_trial(trial_id).values == [0.9, float(COSTS["params"])]


def test_interrupted_trials_are_those_that_no_other_goes_on_with(open_store):
    store = open_store()
    for _ in range(4):
        begin(store)
    store.end(0, Outcome("failed", error="a NaN"))
    store.end(1, Outcome("completed", {"accuracy": 0.5}))
    store.fail_running("Ctrl-C", interrupted=True)
    assert [trial.number for trial in store.interrupted()] == [2, 3]
    store.begin(LENI, COSTS, {}, {}, continues=2)
    assert [trial.number for trial in store.interrupted()] == [3]


def flaky(store, monkeypatch, name, *, arrives):
    """Let one method of the storage fail twice, before or after it did its work."""
    plain, calls = getattr(store.storage, name), []

    def method(*values, **options):
        calls.append(name)
        if len(calls) <= 2 and not (arrives and len(calls) == 2):
            if arrives:
                plain(*values, **options)
            raise OperationalError("select", {}, Exception("the server is gone"))
        return plain(*values, **options)

    monkeypatch.setattr(store.storage, name, method)


@pytest.mark.parametrize("arrives", [False, True])
def test_begin_and_end_are_made_once_by_a_database_that_comes_back(open_store, monkeypatch, arrives):
    store = open_store()
    flaky(store, monkeypatch, "create_new_trial", arrives=arrives)
    flaky(store, monkeypatch, "set_trial_state_values", arrives=arrives)
    number = begin(store)
    store.end(number, Outcome("completed", {"accuracy": 0.5}, CURVE))
    (trial,) = store.storage.get_all_trials(store.study_id)
    assert (trial.number, trial.state, trial.values) == (0, TrialState.COMPLETE, [0.5, float(COSTS["params"])])


def test_database_that_stays_away_is_one_sentence(tmp_path, monkeypatch):
    store = StudyStore(f"sqlite:///{tmp_path / 'study.db'}", OBJECTIVES, patience_s=0.0)
    flaky(store, monkeypatch, "create_new_trial", arrives=False)
    with pytest.raises(StorageError, match=r"has not answered for 0 s: the server is gone$"):
        begin(store)
    store.close()


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/study.db", "postgresql+nodriver://x/y", "no url", "postgresql://"]
)
def test_database_that_cannot_be_opened_is_one_sentence(url):
    with pytest.raises(StorageError, match="cannot be opened: ") as caught:
        StudyStore(url, OBJECTIVES, patience_s=0.0)
    assert "\n" not in str(caught.value)


def test_study_of_other_objectives_is_refused(open_store, tmp_path):
    open_store()
    with pytest.raises(StorageError, match="other objectives"):
        StudyStore(f"sqlite:///{tmp_path / 'study.db'}", {"loss": "minimize"})


def test_records_of_a_trial_that_ended_without_a_result_say_so(open_store):
    store = open_store()
    begin(store)
    trial_id = store.storage.get_trial_id_from_study_id_trial_number(store.study_id, 0)
    store.storage.set_trial_state_values(trial_id, TrialState.FAIL)
    assert "cut off" in results.to_frame(store.records())["error"][0]
    assert store.curves() == []


def test_a_failed_trial_of_an_unsearched_candidate_is_kept_without_parameters(open_store, tmp_path):
    store = open_store()
    outside = Candidate("resnet20", (3, 5, 7), "prelu")
    begin(store, outside)
    store.end(0, Outcome("completed", {"accuracy": 0.5}))
    assert optunas(tmp_path).trials[0].params == {}
    assert store.records()[0]["widths"] == "3-5-7"


def test_sqlite_has_a_write_ahead_log_which_close_folds_into_the_file(open_store, tmp_path):
    store = open_store()
    ended_in_every_way(store)
    assert (tmp_path / "study.db-wal").exists()
    with store.storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {"study.db"}
    assert len(optunas(tmp_path).trials) == 4


def test_further_seeds_of_a_candidate_are_counted_in_its_first_trial(open_store):
    store = open_store()
    other = Candidate("resnet8", (8, 16, 32), "relu")
    for candidate, seeds, values in (
        (LENI, [0, 1], [0.5, 0.7]),
        (other, [0, 1], [0.9, 0.9]),
        (LENI, [2, 3], [0.9, 0.7]),
    ):
        number = store.begin(candidate, COSTS, {}, {}, seeds=seeds)
        metrics = {"accuracy": sum(values) / 2, "accuracies": values, "seeds": 2}
        store.end(number, Outcome("completed", metrics, CURVE))
    frame = results.to_frame(store.records())
    assert frame["state"].tolist() == ["completed", "completed", "extended"]
    assert frame["seeds"].tolist() == [4, 2, 2]
    assert frame["accuracy"][0] == pytest.approx(0.7)
    assert frame["accuracy_std"][0] == pytest.approx((0.08 / 3) ** 0.5)
    assert json.loads(frame["accuracies"][0]) == [0.5, 0.7, 0.9, 0.7]


def test_same_seeds_once_more_are_no_further_seeds(open_store):
    store = open_store()
    for _ in range(2):
        number = store.begin(LENI, COSTS, {}, {}, seeds=[0])
        store.end(number, Outcome("completed", {"accuracy": 0.5, "accuracies": [0.5], "seeds": 1}, CURVE))
    assert [row["state"] for row in store.records()] == ["completed", "completed"]
