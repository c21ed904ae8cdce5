import json
import sqlite3

import optuna
import pytest

from leni.errors import StorageError
from search.store.trial_checks import check_trials
from search.store.trials import Outcome, StudyStore
from spaces import Candidate, Configuration

LENI = Candidate("resnet8", (2, 4, 8), "leni")
OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


@pytest.fixture
def study(tmp_path):
    """A study's file with a completed, a failed and a running trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store = StudyStore(tmp_path / "study.db", OBJECTIVES)
    metrics = {"accuracy": 0.5, "seeds": 2, "accuracies": [0.25, 0.75], "wall_s": 1.5}
    curve = [{"epoch": 1, "seed": 0, "accuracy": 0.5, "loss": None}]
    for outcome in (Outcome("completed", metrics, curve), Outcome("failed", error="no luck"), None):
        number = store.begin(LENI, {"params": 1, "macs": 1}, {}, {}, seeds=[0, 1], sampler={"asked": 3})
        if outcome:
            store.end(number, outcome)
    store.close()
    return tmp_path / "study.db"


def checked(path):
    store = StudyStore(path, OBJECTIVES)
    try:
        check_trials(store)
    finally:
        store.close()


def test_what_a_run_writes_is_accepted(study, tmp_path):
    checked(study)
    store = StudyStore(tmp_path / "other.db", {"loss": "minimize"})
    number = store.begin(Configuration((("x", 0.5),)), {}, {}, {})
    store.end(number, Outcome("completed", {"loss": 1.0, "words": ["a"], "none": None}))
    check_trials(store)
    store.close()


ODD = [
    ("candidate", 3), ("candidate", []), ("candidate", {"parameters": 1}), ("candidate", {**LENI.to_dict(),
    "widths": "x"}),
    ("candidate", {**LENI.to_dict(), "activation": "os:system"}), ("candidate", {**LENI.to_dict(), "further": 1}),
    ("result", []), ("result", {}), ("result", {"metrics": [], "curve": [], "error": ""}),
    ("result", {"metrics": {}, "curve": {"epoch": 1}, "error": ""}),
    ("result", {"metrics": {}, "curve": [1], "error": ""}),
    ("result", {"metrics": {}, "curve": [{"epoch": "1"}], "error": ""}),
    ("result", {"metrics": {}, "curve": [], "error": 1}),
    ("result", {"metrics": {"wall_s": "soon"}, "curve": [], "error": ""}), ("seeds", "01"), ("seeds", [0.5]),
    ("sampler", [1]),
    ("sampler", {"asked": 10**12}), ("sampler", {"asked": "3"}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), ODD)
def test_attribute_that_no_run_writes_is_a_sentence(study, key, value):
    with sqlite3.connect(study) as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = ? WHERE key = ?", (json.dumps(value), key))
    connection.close()
    with pytest.raises(StorageError, match=r"trial \d of the study is not what a run writes"):
        checked(study)


@pytest.mark.parametrize("text", ["{", "nothing", ""])
def test_text_that_is_no_json_is_a_sentence(study, text):
    with sqlite3.connect(study) as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = ?", (text,))
    connection.close()
    with pytest.raises(StorageError, match="the study's trials cannot be read"):
        checked(study)
