"""Functions that do what they should not: each has its outcome, and none disturbs the next."""

import json
from pathlib import Path

import pandas as pd
import pytest

import results
import search
from search.store.folder import RunFolder
from search.store.trial_output import LIMIT

KINDS = ["base", "exit", "folder", "output", "thread", "values", "elsewhere", "fine"]


@pytest.fixture(scope="module")
def run(ray_session, tmp_path_factory) -> results.Run:
    folder = tmp_path_factory.mktemp("misbehaving")
    candidates = [json.dumps({"parameters": {"kind": kind}}) for kind in KINDS]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return search.run(
            evaluator="live_evaluators:misbehaving", space={"name": "kinds", "parameters": {"kind": KINDS}},
            objectives=["score:max", "size:min"], candidates=candidates, trials=len(KINDS), workers=1, retries=0,
            quiet=True, out=folder / "run",
        )  # fmt: skip


@pytest.fixture
def trials(run) -> pd.DataFrame:
    return run.trials.set_index("kind")


def output(run: results.Run, kind: str) -> Path:
    return RunFolder(run.folder).output(KINDS.index(kind))


def test_each_kind_has_its_outcome(trials):
    states = {"base": "failed", "exit": "failed"}
    assert trials["state"].to_dict() == {kind: states.get(kind, "completed") for kind in KINDS}
    assert trials.loc["base", "error"] == "OfItsOwn: of its own"
    assert "the trial's process ended" in trials.loc["exit", "error"]
    assert (trials.loc[trials["state"] == "completed", "score"] == 1.0).all()


def test_each_begins_in_the_commands_folder_with_the_commands_environment(run):
    for kind in KINDS:
        place, left_behind, _ = (run.folder.parent / f"x{kind}.txt").read_text().split()
        assert (place, left_behind) == (str(run.folder.parent), "None")


def test_values_of_every_type_are_kept_or_named(run, trials):
    record = trials.loc["values"]
    assert (record["score"], record["size"], record["note"]) == (1.0, 2.0, "text")
    assert json.loads(record["nested"]) == {"deep": [1, {"er": "yes"}]}
    assert pd.isna(record["bad"])
    assert [note for note in run.environment["notes"] if "'model', which is not kept" in note]


def test_a_report_from_another_thread_counts_and_is_the_result_of_one_that_returns_nothing(run):
    curve = run.curves[run.curves["number"] == KINDS.index("elsewhere")]
    assert curve[["epoch", "score", "size"]].to_numpy().tolist() == [[1, 1.0, 2.0]]


def test_what_a_function_prints_is_in_its_trials_file_also_when_its_process_dies(run):
    for kind in KINDS:
        assert output(run, kind).read_text().startswith(f"kind {kind}\n")
    assert output(run, "exit").read_text().splitlines() == ["kind exit", "token=*** the last words"]
    assert output(run, "fine").read_text() == "kind fine\n"


def test_output_without_end_is_cut_in_its_middle(run):
    text = output(run, "output").read_text()
    assert LIMIT / 2 < len(text) <= LIMIT + 200_000
    assert "bytes are left out" in text
    assert text.endswith("x\n")
