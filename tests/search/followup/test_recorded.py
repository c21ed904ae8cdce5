"""A candidate is read from its record's JSON; folders of schema version 1, which have none, from its columns."""

import json

import pandas as pd
import pytest

import results
from leni.errors import CandidateError
from results import runs
from search.export.export import _confirmed
from search.followup.ablate import base_of
from search.followup.confirm import _chosen
from search.followup.recorded import keyed, recorded_candidate, trained_record, trained_spec
from search.spec import Spec
from search.store.folder import RunFolder, write_environment, write_text
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from spaces import Candidate

SPEC = Spec(data="digits", train_size=200, epochs=2, trials=3)
LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5, "init_std": 0.05}, lr_factor=0.5)
RELU = Candidate("resnet8", (3, 4, 8), "relu", "stem", lr_factor=0.1 + 0.2)
BEYOND = Candidate("resnet8", (4, 4, 8), "leni", "all", {"frozen": True})
TRIALS = [(LENI, 0.5, 900), (RELU, 0.4, 500), (BEYOND, 0.3, 400)]


def made(folder: RunFolder, *, version: int, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of three trials without a training, as this program or, version 1, an older one has written it."""
    folder.create()
    write_text(folder.spec, SPEC.to_toml())
    write_environment(folder.environment, {"objectives": SPEC.directions()})
    store = StudyStore(folder.study, SPEC.directions())
    for candidate, accuracy, params in reversed(TRIALS):
        number = store.begin(candidate, {"params": params, "macs": 1}, {}, {})
        store.end(number, Outcome("completed", {"accuracy": accuracy, "epochs": 2, "seeds": 1}))
    frame = results.to_frame(store.records())
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(runs, "schema_version", version)
        results.write(frame.drop(columns="candidate") if version == 1 else frame, folder.trials)
        results.write(results.to_curves([]), folder.curves)
    return folder


@pytest.fixture(params=[1, 2], ids=["schema 1", "schema 2"])
def folder(request, tmp_path, monkeypatch):
    return made(RunFolder(tmp_path / "run"), version=request.param, monkeypatch=monkeypatch)


def test_candidates_of_either_schema_are_those_that_were_tried(folder):
    run = results.load(folder.path)
    found = [recorded_candidate(trained_record(run, number)) for number in range(3)]
    assert found == [BEYOND, RELU, LENI]
    assert keyed(run.trials)["candidate"].tolist() == [candidate.to_json() for candidate in found]


def test_follow_ups_start_from_the_same_candidates_with_either_schema(folder):
    run, spec = results.load(folder.path), trained_spec(folder)
    assert base_of(folder.path).candidate == LENI
    assert [base_of(folder.path, trial=number).candidate for number in range(3)] == [BEYOND, RELU, LENI]
    chosen = _chosen(run, spec)
    members = [Candidate.from_json(text) for text in chosen[chosen["role"] == "front"]["candidate"]]
    assert members == [BEYOND, RELU, LENI]


def test_export_finds_what_confirm_kept_with_either_schema(tmp_path, monkeypatch, folder):
    version = 1 if results.load(folder.path).trials["candidate"].isna().all() else 2
    made(RunFolder(folder.confirm), version=version, monkeypatch=monkeypatch)
    asked = []
    monkeypatch.setattr("search.export.export.Checkpoints.load", lambda self, number: asked.append(number))
    assert _confirmed(RunFolder(folder.path), RELU) is None
    assert asked == [1]


def test_record_is_not_completed_with_todays_defaults(tmp_path, monkeypatch):
    run = results.load(made(RunFolder(tmp_path / "run"), version=2, monkeypatch=monkeypatch).path)
    record = trained_record(run, 2)
    assert json.loads(record["candidate"]) == LENI.to_dict()
    for name in ("kernel_size", "init_std", "lr_factor", "placement"):
        record.pop(name)
    assert recorded_candidate(record) == LENI


@pytest.mark.parametrize("text", ["{", "[]", '{"parameters": {"depth": 3}}', '{"backbone": "resnet8"}'])
def test_record_of_no_network_is_refused(text):
    with pytest.raises(CandidateError):
        recorded_candidate({"number": 0, **LENI.columns(), "candidate": text})


def test_records_without_a_network_are_left_out():
    rows = [
        {"number": 0, "candidate": LENI.to_json()},
        {"number": 1, "candidate": pd.NA},
        {"number": 2, "candidate": "{"},
    ]
    assert keyed(pd.DataFrame(rows))["number"].tolist() == [0]
