from pathlib import Path

import pytest
import torch

from leni.errors import LeniSearchError, SpecError
from search.driver.known_costs import known_costs
from search.driver.prepare import make_pruner, make_sampler
from search.spec import KNOWN, Spec
from search.training.recipe import Recipe
from spaces import SearchSpace, space

CUSTOM = """
trials = 7
sampler = "nsga2"

[space]
backbone = "resnet8"
activation = ["relu", "leni"]
width = [0.5, 1.0]

[training]
lr = 0.2
batch_size = 64

[fix]
lr_factor = 0.3
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a spec and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "spec.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def message_of(path: Path, **flags: object) -> str:
    with pytest.raises(SpecError) as caught:
        Spec.read(path, **flags)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(str(path)).removeprefix(": ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trails = 3", "there is no key 'trails'; did you mean 'trials'?"),
        ("[training]\nlrr = 1.0", "[training] has no key 'lrr'; did you mean 'lr'?"),
        ("[training]\nepochs = 3", "[training] has no key 'epochs'; keys are batch_size, lr,"),
        (
            "[space]\nbackbone = 'resnet8'\nactivation = 'relu'\nwidht = 1.0",
            "a search space has no key 'widht'; did you mean 'width'?",
        ),
        ("[fix]\nwidht = 1.0", "has no dimension 'widht'; near names are width"),
        ("fix.'leni.decy' = true", "has no option 'decy' (near: decay)"),
    ],
)
def test_read_unknown_key_names_the_nearest(write, text, expected):
    assert expected in message_of(write(text))


def test_read_impossible_width_says_what_is_right(write):
    path = write("[space]\nbackbone = 'resnet8'\nactivation = 'relu'\nwidth = [0.5, 1.5]")
    assert message_of(path) == "width must be in (0, 1], got 1.5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data = 'digit'", "no data set 'digit'; the nearest are digits"),
        ("sampler = 'tpee'", "no sampler 'tpee'; did you mean 'tpe'? samplers are known-cost, tpe"),
        ("space = 'chanel-compensation'", "no search space 'chanel-compensation'; near names are channel-compensation"),
        ("objectives = ['acuracy', 'params']", "macro_f1, calibration_error, got 'acuracy'"),
        ("[fix]\nactivation = 'lenni'", "'lenni' (near: leni"),
        ("[fix]\nbackbone = 'resnet9'", "no backbone 'resnet9'; near names are resnet8"),
    ],
)
def test_read_unknown_name_lists_the_nearest(write, text, expected):
    assert expected in message_of(write(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trials = '24'", "trials must be a valid integer, got '24'"),
        ("trials = true", "trials must be a valid integer, got True"),
        ("trials = 2.5", "trials must be a valid integer, got 2.5"),
        ("trials = 0", "trials must be greater than or equal to 1, got 0"),
        ("download = 'yes'", "download must be a valid boolean, got 'yes'"),
        ("cpus_per_trial = inf", "cpus_per_trial must be a finite number, got inf"),
        ("cpus_per_trial = 0", "cpus_per_trial must be greater than 0, got 0"),
        ("seed = -1", "seed must be greater than or equal to 0, got -1"),
        ("space = 5", "space must be the name of a preset, the path of a .toml file or a table, got 5"),
        ("data_folder = 3", "data_folder is not a valid path, got 3"),
        ("proxies = ['synflow', 'zen']", "proxies must be of synflow, grad, naswot, got 'zen'"),
        ("proxies = ['grad']\nsampler = 'tpe'", "prior and proxies need the sampler known-cost or gp, got 'tpe'"),
        ("prior = ['a']\nsampler = 'random'", "prior and proxies need the sampler known-cost or gp, got 'random'"),
        (
            "proxies = ['grad']\nevaluator = 'm:f'\nobjectives = ['e:min']",
            "proxies are of networks that are trained, and trials are calls of 'm:f'",
        ),
        ("objectives = 'accuracy'", "objectives must be a valid tuple, got 'accuracy'"),
        ("objectives = []", "objectives must hold accuracy, and each once, got "),
        ("objectives = ['accuracy', 'accuracy']", "each once, got accuracy, accuracy"),
        ("objectives = ['params', 'macs']", "objectives must hold accuracy, and each once, got params, macs"),
        ("fix = 3", "[fix] must be a table, got 3"),
        ("training = ['lr']", "[training] must be a table, got ['lr']"),
        ("[training]\nlr = 'fast'", "lr must be of type float, got 'fast'"),
        ("[fix]\nlr_factor = 'x'", "lr_factor must be a number above 0, got 'x'"),
    ],
)
def test_read_wrong_value_says_where_and_what_is_right(write, text, expected):
    assert expected in message_of(write(text))


def test_read_what_is_no_toml_file_says_so(tmp_path, write):
    assert message_of(tmp_path / "none.toml") == "No such file or directory"
    assert message_of(tmp_path) == "Is a directory"
    assert "is not a TOML file" in message_of(write("trials = [1,"))
    assert "line 2" in message_of(write("seed = 1\n= 3"))
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    assert "is not a TOML file" in message_of(path)
    assert message_of(write("space = 'none.toml'")) == "none.toml: No such file or directory"


def test_spec_from_python_raises_the_same_errors():
    with pytest.raises(SpecError, match=r"^trials must be a valid integer, got '3'$"):
        Spec(trials="3")
    with pytest.raises(SpecError, match="no key 'trial'; did you mean 'trials'"):
        Spec(trial=3)
    with pytest.raises(LeniSearchError, match="width must be in"):
        Spec(fix={"width": 1.5})


def test_read_flags_go_over_the_file_key_by_key(write):
    path = write(CUSTOM)
    read = Spec.read(path, trials=3, sampler=None, fix={"width": 0.5}, training={"lr": 0.1})
    assert (read.trials, read.sampler) == (3, "nsga2")
    assert read.training == {"lr": 0.1, "batch_size": 64}
    assert read.fix == {"width": 0.5, "lr_factor": 0.3}
    assert "trials must be" in message_of(path, trials=0)


def test_read_without_a_file_takes_defaults_and_flags():
    assert Spec.read(None, trials=5, data=None) == Spec(trials=5)
    assert Spec.read(None) == Spec()


def test_search_space_has_what_is_fixed(write):
    found = Spec.read(write(CUSTOM)).search_space()
    assert {candidate.lr_factor for candidate in found.candidates()} == {0.3}
    assert {candidate.widths for candidate in found.candidates()} == {(8, 16, 32), (16, 32, 64)}
    assert Spec().search_space() == space("channel-compensation")


def test_recipe_of_digits_has_defaults_of_its_own_unless_given():
    assert Spec().recipe() == Recipe(epochs=12, batch_size=32, lr=0.05)
    assert Spec(epochs=3, training={"lr": 0.2}).recipe() == Recipe(epochs=3, batch_size=32, lr=0.2)
    assert Spec(data="cifar10").recipe() == Recipe(epochs=12, batch_size=128, lr=0.1)


def test_named_recipe_has_its_own_epochs_unless_some_are_given():
    spec = Spec(training={"recipe": "cifar", "lr": 0.2})
    assert (spec.epochs, spec.recipe().lr, spec.recipe().schedule) == (200, 0.2, "step")
    assert Spec(training={"recipe": "cifar"}, epochs=3).recipe().epochs == 3
    with pytest.raises(SpecError, match="recipe must be one of cifar"):
        Spec(training={"recipe": "cifer"})


def test_named_recipe_is_the_same_from_its_spec_file(tmp_path):
    spec = Spec(training={"recipe": "imagenet-a3", "optimizer": "nadam", "schedule": "step", "milestones": [0.2, 0.7]})
    (tmp_path / "spec.toml").write_text(spec.to_toml())
    again = Spec.read(tmp_path / "spec.toml")
    assert again.recipe() == spec.recipe()
    assert again.training["recipe"] == "imagenet-a3"
    assert again.recipe().milestones == (0.2, 0.7)


def own_space() -> SearchSpace:
    return SearchSpace(
        "own", "resnet20", ["relu", "leni"], ["all", "stage:2"], {"low": 0.25, "high": 1.0, "step": 0.25}, "stage",
        {"low": 0.1, "high": 10.0, "log": True}, {"leni": {"decay": [True, False]}}, "a space of one's own",
    )  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        Spec(),
        Spec(space=own_space(), objectives=("accuracy", "macs"), fix={"width": [0.25, 0.5]}, seed=3, references=False),
        Spec(space=own_space().to_dict(), training={"clip": 1.0, "amp": False}, workers=2, gpus_per_trial=0.0),
        Spec(data="cifar10", data_folder=Path("/data set/ä"), train_size=500, download=True, sampler="qmc", trials=1),
        Spec(prior=(Path("/runs/a b"), Path("/runs/c")), proxies=("naswot", "grad")),
    ],
)
def test_to_toml_reads_back_as_an_equal_search(write, spec):
    read = Spec.read(write(spec.to_toml()))
    assert read.search_space() == spec.search_space()
    assert read.recipe() == spec.recipe()
    different = {"space", "training", "data_folder"}
    assert read.model_dump(exclude=different) == spec.model_dump(exclude=different)
    assert read.data_folder == spec.data_folder


def test_to_toml_keeps_a_space_whose_file_is_gone(tmp_path, write):
    file = tmp_path / "space.toml"
    file.write_text(own_space().to_toml(), encoding="utf-8")
    spec = Spec(space=str(file))
    text = spec.to_toml()
    file.unlink()
    assert Spec.read(write(text)).search_space() == own_space()


def test_gpus_are_one_where_there_is_one_and_never_more_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Spec().gpus() == 1.0
    assert Spec(gpus_per_trial=0.25).gpus() == 0.25
    assert Spec(gpus_per_trial=2).gpus() == 2
    with pytest.raises(SpecError, match=r"^gpus_per_trial is 3, but this machine has 2 GPUs$"):
        Spec(gpus_per_trial=3.0).gpus()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Spec().gpus() == 0.0
    with pytest.raises(SpecError, match="has 0 GPUs"):
        Spec(gpus_per_trial=0.5).gpus()


def test_gpus_of_a_cluster_are_its_own_to_count(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Spec(address="auto").gpus() == 0.0
    assert Spec(address="auto", gpus_per_trial=4.0).gpus() == 4.0


def test_directions_are_in_the_order_of_the_objectives():
    spec = Spec(objectives=("macs", "accuracy"))
    assert list(spec.directions().items()) == [("macs", "minimize"), ("accuracy", "maximize")]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"loss": [0.0, 1.0]}, "bounds must be of the objectives accuracy, params, got 'loss'"),
        ({"accuracy": [1.0, 0.5]}, "bounds of accuracy must be finite with least < greatest"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds, message):
    with pytest.raises(SpecError, match=message):
        Spec(bounds=bounds)


def test_bounds_reach_the_sampler_and_the_file():
    spec = Spec(bounds={"accuracy": [0.5, 0.9]}, sampler="known-cost")
    assert make_sampler(spec, known_costs(spec, lambda _: {"params": 1, "macs": 1})).bounds == {0: (0.5, 0.9)}
    assert "accuracy = [" in spec.to_toml().partition("[bounds]")[2]


def test_older_name_of_the_pruner_is_read_and_both_names_are_refused(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text('stopper = "improvement"\nkeep = 0.98\n')
    old = Spec.read(path)
    assert (old.pruner, old.keep, old.pruner_name()) == ("improvement", 0.98, "halving")
    assert make_pruner(Spec.read(path, pruner="none"), KNOWN) is None
    assert 'pruner = "improvement"' in old.to_toml()
    with pytest.raises(SpecError, match="stopper is the older name of pruner"):
        Spec(stopper="none", pruner="none")


def test_default_pruner_learns_and_knows_the_objectives_roles():
    made = make_pruner(Spec(objectives=("accuracy", "latency_ms", "params"), keep=0.9), KNOWN)
    assert (made.keep, made.evidence.count, made.evidence.others) == (0.9, 1, 1)
    with pytest.raises(SpecError, match="keep"):
        Spec(keep=0.0)
