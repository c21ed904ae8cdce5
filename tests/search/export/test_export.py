import json
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import torch
from scipy import stats

import results
from leni.errors import EvaluationError, FolderError, LeniSearchError, SpecError
from search.export.export import export
from search.export.formats import FORMATS
from search.followup.retrain import FRESH, fixed_spec
from search.spec import Spec
from search.store.checkpoints import Checkpoints
from search.store.folder import RunFolder, environment, write_environment, write_text
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from search.training.augment import normalise
from search.training.data import load
from search.training.replicas import Replicas
from spaces import Candidate, build, load_exported
from spaces.exported import state_on_cpu

SPEC = Spec(data="digits", train_size=200, epochs=2, seeds=2, seed=3, training={"batch_size": 16})
LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5, "init_std": 0.05}, lr_factor=0.5)
RELU = Candidate("resnet8", (3, 4, 8), "relu")
STATES = [(LENI, "completed"), (RELU, "failed"), (RELU, "stopped"), (RELU, "completed")]


def trained(candidate: Candidate, seed: int = 3) -> Replicas:
    torch.set_num_threads(1)
    replicas = Replicas(
        candidate, load("digits", train_size=200), SPEC.recipe(), seeds=(seed, seed + 1), how="separate: for the test"
    )
    list(replicas)
    return replicas


def write_run(folder: RunFolder, spec: Spec, outcomes: list[tuple[Candidate, Outcome]]) -> None:
    """A run as `search.run` leaves it, without Ray."""
    folder.create()
    write_text(folder.spec, spec.to_toml())
    write_environment(folder.environment, {**environment(objectives=spec.directions()), "ended": "complete"})
    store = StudyStore(folder.study, spec.directions())
    for candidate, outcome in outcomes:
        store.end(store.begin(candidate, {"params": 1, "macs": 1}, {}, {}), outcome)
    results.write(results.to_frame(store.records()), folder.trials)
    results.write(results.to_curves(store.curves()), folder.curves)
    store.close()


def outcome(candidate: Candidate, state: str) -> Outcome:
    if state == "failed":
        return Outcome("failed", error="no luck")
    accuracies = trained(candidate).accuracies(load("digits", train_size=200).validation)
    curve = [{"seed": 3 + n, "epoch": 2, "accuracy": each, "loss": 1.0} for n, each in enumerate(accuracies)]
    metrics = {"accuracy": sum(accuracies) / 2, "accuracies": accuracies, "seeds": 2, "epochs": 2, "device": "cpu",
               "replicas": "separate: for the test"}  # fmt: skip
    return Outcome(state, metrics, curve)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits")
    write_run(folder, SPEC, [(candidate, outcome(candidate, state)) for candidate, state in STATES])
    optuna.logging.set_verbosity(optuna.logging.INFO)
    return folder.path


@pytest.fixture(scope="module")
def confirmed(run, tmp_path_factory) -> Path:
    """The same run, its first trial confirmed with networks that no training of the run gives."""
    path = tmp_path_factory.mktemp("runs") / "confirmed"
    shutil.copytree(run, path)
    folder = RunFolder(path / "confirm")
    spec = fixed_spec(SPEC, [LENI], folder.path, seed=3 + FRESH, test=True, keep_weights=True)
    replicas = trained(LENI, 3 + FRESH)
    accuracies = replicas.accuracies(load("digits", train_size=200).test)
    metrics = {"accuracy": 0.5, "test_accuracy": sum(accuracies) / 2, "test_accuracies": accuracies}
    write_run(folder, spec, [(LENI, Outcome("completed", metrics))])
    kept = {"candidate": LENI.to_dict(), "seeds": list(replicas.seeds)}
    Checkpoints(str(folder.weights)).save(0, {**kept, "states": list(map(state_on_cpu, replicas.networks()))})
    return path


def logits(replicas: Replicas, images: torch.Tensor) -> torch.Tensor:
    data = load("digits", train_size=200)
    network = build(LENI, in_channels=1, classes=10)
    network.load_state_dict(replicas.networks()[0].state_dict())
    return network.eval()(normalise(images, data.mean, data.std)).detach()


def test_export_trains_the_network_of_the_run_again(run, tmp_path):
    found = export(run, 0, out=tmp_path / "mine.pt", quiet=True)
    images = load("digits").test.images
    torch.testing.assert_close(load_exported(found.path)(images), logits(trained(LENI), images))
    assert "exactly as recorded" in found.card["weights"]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.pt", "mine-card.json", "mine-card.md"}
    assert (found.card["accuracy"]["split"], found.card["seed"]) == ("validation", 3)


def test_export_takes_the_network_that_was_confirmed_and_its_test_accuracy(confirmed, tmp_path):
    found = export(confirmed, 0, out=tmp_path, quiet=True)
    images = load("digits").test.images
    torch.testing.assert_close(load_exported(found.path)(images), logits(trained(LENI, 3 + FRESH), images))
    accuracy = found.card["accuracy"]
    assert (accuracy["split"], found.card["seed"]) == ("test", 3 + FRESH)
    assert accuracy["network"] == pytest.approx(accuracy["each"][0])
    assert accuracy["images"] == len(load("digits").test.labels)


def test_card_has_intervals_over_images_and_over_seeds(confirmed, tmp_path):
    accuracy = export(confirmed, 0, out=tmp_path, quiet=True).card["accuracy"]
    right, images = round(accuracy["network"] * accuracy["images"]), accuracy["images"]
    z = stats.norm.ppf(0.975)  # Wilson's score interval, written out
    centre = (right + z * z / 2) / (images + z * z)
    half = z / (images + z * z) * (right * (images - right) / images + z * z / 4) ** 0.5
    assert accuracy["network_interval"] == pytest.approx([centre - half, centre + half])
    low, high = stats.t.interval(0.95, 1, accuracy["mean"], stats.sem(accuracy["each"]))
    assert accuracy["mean_interval"] == pytest.approx([max(0, low), min(1, high)])


def test_card_says_what_the_network_is_and_how_it_is_loaded(run, tmp_path):
    found = export(run, 3, out=tmp_path, quiet=True)
    read = json.loads((tmp_path / "network-card.json").read_text())
    assert read == json.loads(json.dumps(found.card))
    assert read["candidate"] == RELU.to_dict()
    assert read["params"] == sum(p.numel() for p in build(RELU, in_channels=1, classes=10).parameters())
    text = (tmp_path / "network-card.md").read_text()
    for words in (*read["load"], "95 % interval", f"{read['params']:,}", "batch_size", "torch", "validation split"):
        assert words in text


@pytest.mark.parametrize("form", FORMATS)
def test_the_three_lines_load_it_without_ray_optuna_or_our_search(confirmed, tmp_path, form):
    if form == "onnx":
        pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    found = export(confirmed, 0, form=form, out=tmp_path, quiet=True)
    images = load("digits").test.images[:50]
    torch.save(images, tmp_path / "images.pt")
    blocked = ("ray", "optuna", "search") if form == "state-dict" else ("ray", "optuna", "search", "spaces", "leni")
    script = "\n".join(
        ["import sys, torch", f"for name in {blocked}: sys.modules[name] = None", "images = torch.load('images.pt')"]
        + (["images = images.numpy()"] if found.card["input"]["kind"] == "numpy array" else [])
        + [*found.card["load"], "print(labels.tolist())"]
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    expected = logits(trained(LENI, 3 + FRESH), images).argmax(1)
    assert json.loads(done.stdout) == expected.tolist()
    assert len(set(expected.tolist())) > 3
    assert found.card["checked"] == {"images": 359, "same_predictions": 359}


def test_export_puts_it_into_the_runs_folder_by_itself(run):
    found = export(run, 3, quiet=True)
    assert found.path == run / "exports" / "trial-000003-state-dict" / "network.pt"
    shutil.rmtree(run / "exports")


REFUSED = {
    "unknown format": ({"form": "tensorflow"}, 0, SpecError, "state-dict, torch-export, onnx"),
    "failed": ({}, 1, FolderError, "no luck"),
    "stopped": ({}, 2, FolderError, "stopped early"),
    "no such trial": ({}, 9, FolderError, "trials are 0 to 3"),
    "suffix of another format": ({"out": "n.onnx"}, 0, FolderError, r"\.pt"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_export_refuses_in_one_sentence_before_it_trains(run, tmp_path, monkeypatch, case):
    options, number, error, words = REFUSED[case]
    monkeypatch.setattr("search.export.export.Replicas", lambda *_, **__: pytest.fail("it trains"))
    if "out" in options:
        options = {"out": tmp_path / options["out"]}
    with pytest.raises(error, match=words) as refused:
        export(run, number, quiet=True, **options)
    assert isinstance(refused.value, LeniSearchError)
    assert "\n" not in str(refused.value)


def test_export_needs_the_packages_of_its_format(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match="onnx and onnxscript"):
        export(run, 0, form="onnx", quiet=True)


def test_export_into_a_place_that_is_a_file_is_one_sentence(run, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(FolderError, match="taken"):
        export(run, 3, out=tmp_path / "taken", quiet=True)
    with pytest.raises(FolderError, match="cannot be written"):
        export(run, 3, out=tmp_path / "taken" / "below", quiet=True)


def test_file_that_gives_other_labels_is_refused(confirmed, tmp_path):
    found = export(confirmed, 0, out=tmp_path, quiet=True)
    images = load("digits").test.images
    labels = load_exported(found.path)(images).argmax(1)
    with pytest.raises(EvaluationError, match=f"only 0 of {len(labels)}"):
        FORMATS["state-dict"].check(found.path, images, (labels + 1) % 10)
