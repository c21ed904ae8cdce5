import inspect
import json

import pytest

pytest.importorskip("fastapi")

from search.cli import remote
from search.cli.runs import run_command
from search.service.specs import OURS


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


class Service:
    """A client that keeps what it is told."""

    def __init__(self):
        self.told, self.states = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, spec, **words):
        self.told.append({"spec": spec, **words})
        return {"id": "abc"}

    def watch(self, search_id):
        yield from self.states


@pytest.fixture
def service(monkeypatch):
    made = Service()
    monkeypatch.setattr("search.service.client.Client", lambda server, token: made)
    return made


def test_submit_takes_the_words_of_run_over_those_of_the_file(command, service, tmp_path):
    (tmp_path / "spec.toml").write_text("trials = 3\nepochs = 2\n[training]\nlr = 0.1\n[fix]\nwidth = 0.5\n")
    code, out, _ = command(
        "submit", "spec.toml", "--trials", "5", "--batch-size", "8", "--fix", "lr_factor=1.0", "--no-references",
        "--seed", "0", "--objectives", "accuracy,macs", "--logger", "tensorboard", "--name", "mine", "--priority", "2",
        "--key", "k",
    )  # fmt: skip
    assert (code, out) == (0, "abc\n")
    assert json.loads(json.dumps(service.told)) == [
        {
            "spec": {
                "trials": 5, "epochs": 2, "training": {"lr": 0.1, "batch_size": 8},
                "fix": {"width": 0.5, "lr_factor": 1.0}, "references": False, "seed": 0,
                "objectives": ["accuracy", "macs"], "loggers": ["tensorboard"],
            },
            "name": "mine", "priority": 2, "key": "k",
        }
    ]  # fmt: skip


def test_submit_sends_the_table_of_a_space_and_not_its_file(command, service, tmp_path):
    (tmp_path / "mine.toml").write_text('backbone = "resnet8"\nwidth = 0.5\n')
    command("submit", "--space", "mine.toml")
    assert service.told[0]["spec"] == {"space": {"backbone": "resnet8", "width": 0.5}}


def test_submit_has_words_of_its_own_and_none_of_this_machine():
    run = set(inspect.signature(run_command).parameters)
    submit = set(inspect.signature(remote.submit_command).parameters)
    assert submit - run == {"server", "token", "name", "priority", "key"}
    assert run - submit == {"add_trials", "dry_run", "quiet", "verbose", *OURS}


def test_submit_sends_bounds_and_recipe_as_the_spec_has_them(command, service):
    command("submit", "--bounds", "accuracy=0.5:1", "--training", "momentum=0.8", "--lr", "0.2", "--trials", "0")
    assert json.loads(json.dumps(service.told[0]["spec"])) == {
        "bounds": {"accuracy": [0.5, 1.0]}, "training": {"momentum": 0.8, "lr": 0.2}, "trials": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("outcome", "code"), [("complete", 0), ("cancelled", 130), ("failed", 2), ("lost", 1)])
def test_watch_ends_as_run_would_have(command, service, outcome, code):
    counts = {"completed": 1, "stopped": 1, "failed": 0, "running": 1}
    service.states = [
        {"state": "queued", "outcome": "", "counts": counts, "trials": 4, "note": "", "ahead": 3},
        *[{"state": "running", "outcome": "", "counts": counts, "trials": 4, "note": "", "ahead": None}] * 2,
        {"state": "ended", "outcome": outcome, "counts": counts, "trials": 4, "note": "a sentence"},
    ]
    found, out, err = command("watch", "abc")
    lines = ["queued: 2 of 4 trials, 3 queued before it", "running: 2 of 4 trials", f"{outcome}: 2 of 4 trials"]
    assert (found, out.splitlines(), err) == (code, lines, "a sentence\n")


def test_tokens_are_made_listed_and_revoked(command):
    code, out, err = command("token", "create", "ada [b]", "--role", "submit", "--days", "3")
    secret = out.strip()
    token_id = secret.split("_")[1]
    assert (code, secret.startswith("leni_")) == (0, True)
    assert secret not in err
    _, listed, _ = command("token", "list")
    assert all(word in listed for word in (token_id, "ada [b]", "submit", "yes"))
    assert secret.rpartition("_")[2] not in listed
    assert command("token", "revoke", token_id)[0] == 0
    assert "no" in command("token", "list")[1].split()
    assert command("token", "revoke", "nobody")[0] == 2


REFUSED = {
    "others and no token": (["serve", "--host", "0.0.0.0"], "there is no token"),
    "a name and no token": (["serve", "--host-name", "searches.example"], "there is no token"),
    "a folder that is none": (["serve", "--allow-data-folder", "nowhere"], "nowhere"),
    "no function": (["serve", "--allow-evaluator", "os"], "module:function"),
    "no database": (["serve", "--host", "0.0.0.0", "--database", "nonsense"], "--database"),
    "a folder that cannot be": (["serve", "--folder", "/proc/x"], "cannot be made"),
    "no role": (["token", "create", "ada", "--role", "root"], "role must be"),
    "no search": (["token", "create", "ada", "--search", "x"], "there is no search"),
    "no file": (["submit", "nowhere.toml"], "nowhere.toml"),
    "no server": (["status", "--server", "http://127.0.0.1:9"], "does not answer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistake_is_one_line_and_exit_code_two(command, case, monkeypatch):
    monkeypatch.setattr("search.service.client.PAUSE_S", 0.0)
    words, sentence = REFUSED[case]
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_second_service_of_a_folder_is_refused(command, tmp_path):
    with remote._alone(tmp_path / "served"):
        code, _, err = command("serve", "--folder", str(tmp_path / "served"))
    assert (code, err.count("\n")) == (2, 1)
    assert "another service is at work" in err
