import json
from pathlib import Path

import pytest

import search.driver.dry_run as planning
from leni.errors import FolderError, LeniSearchError, SpecError
from search.decide.samplers import sampler
from search.driver.prepare import make_pruner, prepare
from search.engine.asker import Asker
from search.followup.retrain import fixed_spec, train_fixed
from search.spec import Spec
from search.store.folder import RunFolder, write_environment
from spaces import Candidate, space

A = Candidate("resnet8", (2, 4, 8), "relu")
B = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5})
C = Candidate("resnet8", (4, 4, 8), "prelu")
SEARCH = Spec(data="digits", train_size=200, epochs=2, trials=7, max_params=10, max_hours=1.0, sampler="gp",
              pruner="halving", until_stable=3, storage="sqlite:///elsewhere.db")  # fmt: skip


def texts(*candidates: Candidate) -> tuple[str, ...]:
    return tuple(candidate.to_json() for candidate in candidates)


def test_fixed_spec_keeps_how_networks_are_trained_and_drops_how_a_search_chooses(tmp_path):
    spec = fixed_spec(SEARCH, [A, B], tmp_path / "x", seeds=3, seed=9)
    assert (spec.trials, spec.only_candidates(), spec.out) == (2, (A, B), tmp_path / "x")
    assert (spec.recipe(), spec.data, spec.train_size) == (SEARCH.recipe(), "digits", 200)
    assert make_pruner(spec, ()) is None
    assert (spec.max_params, spec.max_hours, spec.until_stable, spec.storage) == (None, None, None, None)
    assert spec.first_seeds() == (9, 10, 11)


def test_fixed_spec_has_states_of_its_own(tmp_path):
    spec = SEARCH.model_copy(update={"checkpoints": "s3://bucket/run/"})
    assert fixed_spec(spec, [A], tmp_path / "confirm").checkpoints == "s3://bucket/run/confirm"
    assert fixed_spec(SEARCH, [A], tmp_path / "confirm").checkpoints is None


def test_fixed_spec_as_toml_is_the_same_list(tmp_path):
    spec = fixed_spec(SEARCH, [B, A], tmp_path / "x", test=True, keep_weights=True)
    (tmp_path / "spec.toml").write_text(spec.to_toml())
    read = Spec.read(tmp_path / "spec.toml")
    assert (read.only_candidates(), read.test, read.keep_weights) == ((B, A), True, True)
    assert read.recipe() == spec.recipe()


REFUSED = {
    "test without a list": ({"test": True}, "test needs candidates"),
    "another number of trials": ({"candidates": texts(A, B), "trials": 3}, "trials must be their number 2"),
    "one twice": ({"candidates": texts(A, A), "trials": 2}, "different from one another"),
    "enqueued beside": ({"candidates": texts(A), "trials": 1, "enqueue": Path("x")}, "nothing can be enqueued"),
    "no JSON": ({"candidates": ("relu",), "trials": 1}, "must be a JSON object"),
    "no candidate": ({"candidates": ("{}",), "trials": 1}, "missing: backbone"),
    "a function's": ({"evaluator": "a:b", "keep_weights": True}, "for trainings"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_spec_refuses_a_list_that_is_none_in_one_sentence(case):
    values, words = REFUSED[case]
    with pytest.raises(SpecError, match=words) as refused:
        Spec(**values)
    assert "\n" not in str(refused.value)


def test_fixed_list_is_all_that_is_asked_for_in_its_order(tmp_path):
    prepared = prepare(fixed_spec(SEARCH, [B, A], tmp_path / "x", references=True))
    assert prepared.first == (B, A)
    asker = Asker(
        space("channel-compensation"), sampler("random", seed=0), directions=["maximize"], seed=0,
        check=lambda candidate: None, first=prepared.first, only_first=True,
    )  # fmt: skip
    assert [asker.ask().candidate, asker.ask().candidate, asker.ask()] == [B, A, None]


def test_plan_measures_the_candidates_of_the_list(tmp_path, monkeypatch):
    measured = []
    replicas = planning.Replicas
    monkeypatch.setattr(planning, "Replicas", lambda c, *a, **k: measured.append(c) or replicas(c, *a, **k))
    spec = fixed_spec(SEARCH, [A, B], tmp_path / "x", seeds=2)
    seconds = planning.trial_seconds(spec, prepare(spec))
    assert measured == [A, B]
    assert len(seconds) == 2
    assert min(seconds) > 0


def begun(spec: Spec, ended: str) -> RunFolder:
    """A folder in which a list was begun."""
    folder = RunFolder(spec.out)
    folder.create()
    folder.spec.write_text(spec.to_toml())
    write_environment(folder.environment, {"ended": ended, "trials": spec.trials, "study": "leni-search"})
    return folder


def test_train_fixed_goes_on_with_what_is_new_or_unfinished(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("search.followup.retrain.resume", lambda path, **keys: asked.update(keys))
    begun(fixed_spec(SEARCH, [A, B], tmp_path / "x"), "complete")
    train_fixed(fixed_spec(SEARCH, [C, A], tmp_path / "x", workers=1))
    assert asked["candidates"] == texts(A, B, C)
    assert (asked["add_trials"], asked["workers"]) == (1, 1)


def test_train_fixed_begins_anew_where_nothing_had_been_trained(tmp_path, monkeypatch):
    spec = fixed_spec(SEARCH, [A], tmp_path / "x")
    begun(spec, "running").environment.unlink()
    monkeypatch.setattr("search.followup.retrain.run_search", lambda spec, **_: spec.out.exists())
    assert train_fixed(spec) is False


@pytest.mark.parametrize("change", [{"seeds": 4}, {"epochs": 9}, {"training": {"lr": 0.7}}, {"test": True}], ids=str)
def test_train_fixed_refuses_to_mix_what_does_not_compare(tmp_path, change):
    begun(fixed_spec(SEARCH, [A], tmp_path / "x"), "complete")
    with pytest.raises(FolderError, match="do not compare") as refused:
        train_fixed(fixed_spec(SEARCH, [A], tmp_path / "x", **change))
    assert next(iter(change.get("training", change))) in str(refused.value)
    assert isinstance(refused.value, LeniSearchError)


def test_train_fixed_touches_no_folder_of_others(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        train_fixed(fixed_spec(SEARCH, [A], tmp_path / "x"), quiet=True)
    assert json.dumps((tmp_path / "x" / "thesis.txt").read_text()) == '"mine"'
