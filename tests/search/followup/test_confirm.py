import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

import results
import search
from leni.errors import FolderError, SpecError
from results.analyses.confirmation import Confirmation, read_confirmation
from search.followup.confirm import confirm, references_for
from search.followup.retrain import FRESH, fresh_seed
from search.spec import Spec
from search.store.folder import RunFolder, write_environment
from search.training.data import load
from search.training.replicas import Replicas
from search.training.train import Training
from spaces import Candidate, build

WHAT = {"data": "digits", "train_size": 200, "epochs": 1, "seed": 4, "quiet": True, "workers": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_ray) -> results.Run:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    with no_ray():
        return search.run(trials=3, out=folder, fix={"width": 0.1875, "lr_factor": 1.0}, references=False, **WHAT)


@pytest.fixture(scope="module")
def found(run, ray_session) -> Confirmation:
    return confirm(run.folder, seeds=2, quiet=True, workers=1)


def candidates(frame: pd.DataFrame) -> list[Candidate]:
    return [Candidate.from_json(text) for text in frame["candidate"]]


def test_confirm_trains_the_front_and_the_references_and_nothing_else(run, found):
    references = [candidate.to_json() for candidate in Spec.read(run.folder / "spec.toml").search_space().references()]
    assert sorted(found.rows.loc[found.rows["role"] == "reference", "candidate"]) == sorted(references)
    members = found.rows[found.rows["role"] == "front"]
    assert sorted(members["number"]) == sorted(run.front()["number"])
    assert sorted(members["searched"]) == sorted(run.front()["accuracy"])
    assert len(found.rows) == len(members) + len(references)
    assert found.complete


def test_confirm_measures_the_test_split_from_seeds_that_the_search_has_not_used(run, found):
    spec = Spec.read(run.folder / "spec.toml")
    row = found.rows.iloc[0]
    data = load("digits", train_size=200)
    torch.set_num_threads(1)
    (candidate,) = candidates(found.rows.iloc[:1])
    kept = results.load(run.folder / "confirm").trials.set_index("number").loc[row["confirmed_as"]]
    replicas = Replicas(candidate, data, spec.recipe(), seeds=(4 + FRESH, 5 + FRESH), how=kept["replicas"])
    (epoch,) = list(replicas)
    assert json.loads(row["test_accuracies"]) == replicas.accuracies(data.test)
    assert (row["accuracy"], row["seeds"]) == (epoch.accuracy, 2)
    assert json.loads(row["test_accuracies"]) != list(epoch.accuracies)


def test_confirm_keeps_the_networks_of_all_seeds(run, found):
    data = load("digits", train_size=200)
    for row, candidate in zip(found.rows.to_dict("records"), candidates(found.rows), strict=True):
        kept = torch.load(run.folder / "confirm" / "weights" / f"{row['confirmed_as']:06d}.pt")
        assert kept["seeds"] == [4 + FRESH, 5 + FRESH]
        for state, accuracy in zip(kept["states"], json.loads(row["test_accuracies"]), strict=True):
            training = Training(candidate, data, Spec(epochs=1).recipe(), seed=0)
            network = build(candidate, in_channels=1, classes=10)
            network.load_state_dict(state)
            training.network = network
            assert training.accuracies(data.test) == [pytest.approx(accuracy, abs=1.5 / len(data.test.labels))]


def test_confirm_writes_what_it_returns_beside_the_run(run, found):
    read = read_confirmation(run.folder / "confirmed.csv", objectives=run.objectives)
    assert read.rows["candidate"].tolist() == found.rows["candidate"].tolist()
    assert read.hypervolumes == pytest.approx(found.hypervolumes)
    assert not list(run.folder.rglob("*.part"))
    assert (run.folder / "confirm" / "study.db").is_file()


def test_confirm_again_trains_nothing_again(run, found, monkeypatch):
    monkeypatch.setattr("search.followup.retrain.resume", lambda *_, **__: pytest.fail("it trains"))
    monkeypatch.setattr("search.followup.retrain.run_search", lambda *_, **__: pytest.fail("it trains"))
    again = confirm(run.folder, quiet=True)
    assert again.rows.equals(found.rows)


@pytest.mark.usefixtures("without_ray")
def test_confirm_goes_on_where_it_was_cut_off(run, found):
    """As if the driver had been killed before its last trial: that one is trained, with the numbers it had."""
    folder = RunFolder(run.folder / "confirm")
    spec = Spec.read(folder.spec)
    fewer = Spec(**{**dict(spec), "candidates": spec.candidates[:-1], "trials": spec.trials - 1})
    folder.spec.write_text(fewer.to_toml())
    facts = json.loads(folder.environment.read_text())
    write_environment(folder.environment, {**facts, "ended": "interrupted", "trials": fewer.trials})
    again = confirm(run.folder, quiet=True, workers=1)
    assert again.rows.equals(found.rows)
    assert Spec.read(folder.spec).candidates == spec.candidates


def test_confirm_refuses_to_mix_seeds(run, found):
    with pytest.raises(FolderError, match="seeds 2 there, 3 now"):
        confirm(run.folder, seeds=3, quiet=True)


def test_reference_is_confirmed_at_every_rate_that_a_member_has():
    relu = Candidate("resnet8", (16, 32, 64), "relu")
    leni = Candidate("resnet8", (16, 32, 64), "leni")
    members = [replace(leni, widths=(3, 6, 12), lr_factor=rate) for rate in (3.0, 0.3, 1.2, 3.3)]
    found = references_for(members, (relu, leni))
    assert [(each.activation, each.lr_factor) for each in found] == [
        ("relu", 1.0), ("leni", 1.0), ("relu", 0.3), ("relu", 3.0)]  # fmt: skip
    assert references_for(members, ()) == ()


def test_confirmed_intervals_hold_the_samples_error(run, found):
    images = results.load(run.folder / "confirm").images("test")
    assert images == len(load("digits", train_size=200).test.labels)
    mean = found.rows["test_accuracy"].astype(float)
    expected = (mean * (1 - mean) / images) ** 0.5
    assert found.rows["test_sample_error"].astype(float).tolist() == pytest.approx(expected.tolist())


def test_fresh_seeds_are_valid_and_others_at_the_end_of_the_range_too():
    for seed in (0, 2**31 - 1):
        spec = Spec(seed=seed)
        assert 0 <= fresh_seed(spec) < 2**31
        assert abs(fresh_seed(spec) - seed) >= FRESH


def test_confirm_refuses_what_holds_no_network_in_one_sentence(tmp_path):
    with pytest.raises(FolderError, match="not a folder"):
        confirm(tmp_path / "nowhere")
    folder = RunFolder(tmp_path / "run")
    folder.create()
    spec = Spec(evaluator="plugin_evaluators:by_width")
    folder.spec.write_text(spec.to_toml())
    write_environment(folder.environment, {"objectives": spec.directions()})
    with pytest.raises(SpecError, match="no network"):
        confirm(folder.path)
    folder.spec.write_text(Spec().to_toml())
    results.write(results.to_frame([]), folder.trials)
    results.write(results.to_curves([]), folder.curves)
    with pytest.raises(FolderError, match="no front to confirm"):
        confirm(folder.path)
