import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from rich.console import Console

import leni
import results
import search.cli.app as app_module
from leni.errors import DataError, EvaluationError, FolderError, LeniSearchError, SpecError
from results.errors import RunUnreadable
from search.followup.inspect import Inspection, inspect
from search.spec import Spec
from search.store.folder import RunFolder, environment, write_environment, write_text
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from search.training.augment import normalise
from search.training.data import load
from search.training.train import Epoch, Training
from spaces import Candidate, build

SPEC = Spec(data="digits", train_size=200, epochs=2, trials=5, seed=3, training={"batch_size": 16})
LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5, "init_std": 0.05}, lr_factor=0.5)
RELU = Candidate("resnet8", (3, 4, 8), "relu", "stem")
CONCATENATED = Candidate("resnet8", (2, 4, 8), "leni", "stem+inner", {"compression": "none"})


def trained(candidate: Candidate, epochs: int = 2, seed: int = SPEC.seed) -> Epoch:
    """The last epoch of a trial of the run, whose threads are one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    training = Training(candidate, load("digits", train_size=200), SPEC.recipe(), seed=seed)
    ends = [training.epoch() for _ in range(epochs)]
    torch.set_num_threads(threads)
    return ends[-1]


def outcome(candidate: Candidate, state: str = "completed", epochs: int = 2, **changed: object) -> Outcome:
    """What such a trial wrote."""
    end = trained(candidate, epochs)
    curve = [{"seed": SPEC.seed, "epoch": end.epoch, "accuracy": end.accuracy, "loss": end.loss, **changed}]
    metrics = {"accuracy": curve[0]["accuracy"], "epochs": epochs, "seeds": 1, "device": "cpu"}
    return Outcome(state, metrics, curve)


def two_seeds(candidate: Candidate) -> Outcome:
    """Trained with seeds 11 and 12: the record has their mean, the curve each of them."""
    ends = {seed: trained(candidate, seed=seed) for seed in (11, 12)}
    curve = [{"seed": seed, "epoch": 2, "accuracy": end.accuracy, "loss": end.loss} for seed, end in ends.items()]
    mean = sum(end.accuracy for end in ends.values()) / 2
    return Outcome("completed", {"accuracy": mean, "epochs": 2, "seeds": 2, "device": "cpu"}, curve)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Path]:
    """A run of seven trials, written as `search.run` writes one, without Ray."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.create()
    write_text(folder.spec, SPEC.to_toml())
    write_environment(folder.environment, environment(objectives=SPEC.directions()))
    store = StudyStore(folder.study, SPEC.directions())
    trials = [
        (LENI, outcome(LENI)),
        (RELU, outcome(RELU, accuracy=0.123)),
        (CONCATENATED, outcome(CONCATENATED, loss=0.25)),
        (LENI, Outcome("failed", error="no luck")),
        (LENI, outcome(LENI, "stopped", epochs=1)),
        (LENI, two_seeds(LENI)),
        (LENI, Outcome("completed", {"accuracy": trained(LENI).accuracy, "epochs": 2})),
    ]
    for candidate, written in trials:
        store.end(store.begin(candidate, {"params": 1, "macs": 1}, {}, {}), written)
    results.write(results.to_frame(store.records()), folder.trials)
    results.write(results.to_curves(store.curves()), folder.curves)
    store.close()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    yield folder.path
    shutil.rmtree(folder.path)


@pytest.fixture(scope="module")
def found(run) -> Inspection:
    return inspect(run, 0, quiet=True)


def test_inspect_trains_the_recorded_network_again(found):
    assert found.candidate == LENI
    assert found.recorded == found.accuracy
    assert found.same
    assert found.verdict.endswith("exactly as recorded")
    relu = Candidate("resnet8", (2, 4, 8), "relu", lr_factor=0.5)
    assert found.twin_accuracy == trained(relu).accuracy


def test_inspect_measures_every_site_of_both_networks(found):
    names = [site.name for site in leni.sites(build(LENI, in_channels=1, classes=10), torch.empty(1, 1, 8, 8))]
    assert [(row.network, row.site) for row in found.rows] == [(n, s) for n in ("leni", "ReLU baseline") for s in names]
    assert len(names) == 7
    kinds = ["relu", "leni", "relu", "leni", "relu", "leni", "relu"]
    assert [row.kind for row in found.rows] == kinds + ["relu"] * 7
    images = len(load("digits", train_size=200).validation.labels)
    assert found.rows[0].samples == images * 64
    assert all((row.negative_kept > 0) == (row.kind == "leni") for row in found.rows)


def test_inspect_measures_the_trained_network_on_the_validation_images(found):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = load("digits", train_size=200)
    training = Training(LENI, data, SPEC.recipe(), seed=SPEC.seed)
    list(training)
    torch.set_num_threads(threads)
    rows = leni.information(training.network, normalise(data.validation.images, data.mean, data.std))
    assert [row.entropy for row in rows] == pytest.approx([row.entropy for row in found.rows[:7]])
    assert [row.effective_rank for row in rows] == pytest.approx([row.effective_rank for row in found.rows[:7]])


def test_inspect_of_relu_has_no_twin_and_says_when_the_record_differs(run):
    found = inspect(run, 1, quiet=True)
    assert {row.network for row in found.rows} == {"relu"}
    assert found.twin_accuracy is None
    assert not found.same
    assert "not the recorded 0.1230, so this is another network" in found.verdict


def test_inspect_of_a_concatenating_candidate_has_a_twin_at_the_same_widths(run):
    found = inspect(run, 2, quiet=True)
    stem, twins = found.rows[0], found.rows[7]
    assert (stem.site, stem.channels, twins.site, twins.channels) == ("stem", 2, "stem", 2)


def test_verdict_on_another_loss_at_the_same_accuracy_is_another_network(run):
    found = inspect(run, 2, quiet=True)
    assert found.accuracy == found.recorded
    assert not found.same
    assert f"as recorded, but a training loss of {found.loss:.6g}, not 0.25, so this is another" in found.verdict


def test_inspect_of_a_stopped_trial_trains_as_far_as_the_run_did(run):
    found = inspect(run, 4, quiet=True)
    assert found.same
    assert found.accuracy != inspect(run, 0, quiet=True).accuracy
    assert found.twin_accuracy == trained(Candidate("resnet8", (2, 4, 8), "relu", lr_factor=0.5), epochs=1).accuracy


def test_inspect_of_several_seeds_trains_the_first(run):
    found = inspect(run, 5, quiet=True)
    assert found.same
    assert found.loss == trained(LENI, seed=11).loss != trained(LENI, seed=12).loss
    assert found.recorded == trained(LENI, seed=11).accuracy


def test_inspect_of_a_trial_without_curve_compares_the_records_accuracy(run):
    found = inspect(run, 6, quiet=True)
    assert (found.recorded, found.recorded_loss) == (found.accuracy, None)
    assert found.same


def test_inspect_gives_back_torchs_threads_and_shows_both_trainings(run, capsys):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    console = Console(width=100, force_terminal=False, stderr=True)
    inspect(run, 0, console=console)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    shown = capsys.readouterr().err
    assert "trial 0 " in shown
    assert "the ReLU baseline of trial 0" in shown
    assert "2/2 epochs" in shown


def test_verdict_names_what_the_run_had_otherwise(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    facts = json.loads((copy / "environment.json").read_text())
    facts["versions"]["torch"], facts["git_revision"] = "1.0", "abc"
    (copy / "environment.json").write_text(json.dumps(facts))
    assert inspect(copy, 1, quiet=True).verdict.endswith(
        "another network than the run's; the run had torch 1.0, revision abc"
    )


def broken(run: Path, copy: Path, **keys: object) -> Path:
    """The run, with some keys of its spec changed."""
    shutil.copytree(run, copy)
    values = {**SPEC.model_dump(exclude_none=True), **keys}
    (copy / "spec.toml").write_text(Spec(**values).to_toml())
    return copy


def test_inspect_refuses_what_has_no_network(run, tmp_path):
    with pytest.raises(FolderError, match=r"has no trial 7; its trials are 0 to 6"):
        inspect(run, 7, quiet=True)
    with pytest.raises(FolderError, match=r"trial 3 of .* is failed \(no luck\), so there is no network"):
        inspect(run, 3, quiet=True)
    with pytest.raises(FolderError, match=r"has no spec\.toml"):
        inspect(tmp_path, 0, quiet=True)
    with pytest.raises(SpecError, match="plugin_evaluators:by_width"):
        inspect(broken(run, tmp_path / "a", evaluator="plugin_evaluators:by_width"), 0, quiet=True)
    (tmp_path / "a" / "trials.parquet").unlink()
    write_text(tmp_path / "a" / "spec.toml", SPEC.to_toml())
    with pytest.raises(RunUnreadable, match=r"has no trials\.parquet yet"):
        inspect(tmp_path / "a", 0, quiet=True)


def test_inspect_refuses_missing_data(run, tmp_path):
    folder = tmp_path / "nowhere"
    with pytest.raises(DataError, match=str(folder)):
        inspect(broken(run, tmp_path / "a", data="cifar10", data_folder=folder), 0, quiet=True)


def test_inspect_says_which_training_came_to_nothing(run, tmp_path):
    with pytest.raises(EvaluationError, match="trial 0: the training loss became"):
        inspect(broken(run, tmp_path / "a", training={"lr": 1e30}), 0, quiet=True)


@pytest.fixture
def command(monkeypatch, capsys):
    """Call the command in this process; give its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leni-search", "inspect", *words])
        with pytest.raises(SystemExit) as ended:
            app_module.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_inspect_command_prints_a_line_a_site_and_draws(command, run, tmp_path):
    figure = tmp_path / "a.svg"
    code, out, err = command(str(run), "--trial", "0", "--figure", str(figure))
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert "the ReLU baseline of trial 0" in err
    assert sum(line[:1] == ["stages.0.0.inner"] for line in lines) == 1
    assert sum(line.count("|") == 4 for line in lines) == 7 + 1  # the heading has four too
    assert "exactly as recorded; its ReLU baseline 0." in out.splitlines()[-1]
    page = figure.read_text()
    assert "Trial 0: what its activations keep" in page
    assert "stages.2.0.outer" in page


def test_inspect_command_as_json_has_the_records(command, run, found):
    code, out, err = command(str(run), "--trial", "0", "--json", "--quiet")
    told = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (code, err) == (0, "")
    assert told["accuracy"] == told["recorded_accuracy"] == found.accuracy
    assert Candidate.from_dict(told["candidate"]) == LENI
    wanted = [None if math.isnan(row.entropy) else row.entropy for row in found.rows]
    assert [site["entropy"] for site in told["sites"]] == pytest.approx(wanted)


REFUSED = {
    "no such trial": (["--trial", "9"], "has no trial 9"),
    "failed trial": (["--trial", "3"], "is failed (no luck)"),
    "no trial named": ([], "--trial"),
    "no number": (["--trial", "best"], "--trial"),
    "no figure's suffix": (["--trial", "0", "--figure", "a.gif"], ".html, .pdf, .png, .svg"),
    "no such folder": (["--trial", "0", "--figure", "/nowhere/a.png"], "there is no folder /nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_inspect_command_refuses_in_one_line_before_it_trains(command, run, monkeypatch, case):
    monkeypatch.setattr("search.training.train.Training.epoch", lambda self: pytest.fail("it trains"))
    words, sentence = REFUSED[case]
    code, out, err = command(str(run), *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_inspect_errors_are_of_the_two_trees(tmp_path):
    with pytest.raises((LeniSearchError, results.ResultsError)):
        inspect(tmp_path / "nothing", 0)
