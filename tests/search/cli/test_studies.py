import pandas as pd
import pytest

from results.analyses.confirmation import Confirmation, confirmation
from results.runs import to_curves, to_frame, write
from spaces import Candidate

LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5})


def found(complete: bool = True) -> Confirmation:
    rows = to_frame([{"number": 4, "state": "completed", "accuracy": 0.9, "params": 1234, "seeds": 2}])
    again = rows.assign(candidate="a", test_accuracy=0.85, accuracy=0.88)
    before = rows.assign(candidate="a", role="front")
    if not complete:
        before = pd.concat([before, before.assign(candidate="b")], ignore_index=True)
    return confirmation(before, again)


@pytest.mark.parametrize(("complete", "code"), [(True, 0), (False, 130)])
def test_confirm_prints_both_fronts_and_both_hypervolumes(command, monkeypatch, complete, code):
    asked = {}
    monkeypatch.setattr("search.followup.confirm.confirm", lambda folder, **how: asked.update(how) or found(complete))
    ended, out, _ = command("confirm", "runs/a", "--seeds", "3", "--workers", "1")
    assert ended == code
    assert (asked["seeds"], asked["workers"], asked["quiet"]) == (3, 1, False)
    for words in ("1,234", "0.9000", "0.8800", "0.8500", "as searched (validation)", "on the test split by the members",
                  "confirmed.csv"):  # fmt: skip
        assert words in out


def test_confirm_quiet_prints_nothing(command, monkeypatch):
    monkeypatch.setattr("search.followup.confirm.confirm", lambda *_, **__: found())
    assert command("confirm", "runs/a", "-q") == (0, "", "")


REFUSED = [
    ("confirm", "nowhere"),
    ("confirm", "nowhere", "--seeds", "0"),
    ("export", "nowhere", "--trial", "0"),
    ("export", "nowhere"),
    ("report", "nowhere"),
    ("ablate", "nowhere"),
    ("ablate", "base.json", "--factors", "kernal"),
    ("ablate", "base.json", "--design", "half"),
    ("ablate", "base.json", "--factors", "kernel=x"),
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_studies_refuse_in_one_line(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.json").write_text(LENI.to_json())
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert len(list(tmp_path.iterdir())) == 1


def test_report_writes_the_page_and_says_where(command, tmp_path):
    rows = [{"number": 0, "state": "failed", "error": "no luck"}]
    write(to_frame(rows), tmp_path / "trials.parquet")
    write(to_curves([]), tmp_path / "curves.parquet")
    (tmp_path / "environment.json").write_text("{}")
    code, out, _ = command("report", str(tmp_path))
    assert (code, out) == (0, f"{tmp_path / 'report.html'}\n")
    assert "no luck" in (tmp_path / "report.html").read_text()


def test_ablate_dry_run_prints_plan_and_cost_and_writes_nothing(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.json").write_text(LENI.to_json())
    words = [
        "--factors",
        "branch,inner",
        "--factors",
        "kernel=1,3",
        "--seeds",
        "3",
        "--epochs",
        "1",
        "--train-size",
        "100",
    ]
    code, out, _ = command("ablate", "base.json", "--dry-run", "--workers", "1", *words)
    assert code == 0
    for said in ("branch", "inner", "kernel", "5 networks from 3 seeds each, 15 trainings", "p-value of 0.25", "about"):
        assert said in out
    assert len(list(tmp_path.iterdir())) == 1


def test_ablate_names_its_designs_as_the_issue_does(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.json").write_text(LENI.to_json())
    seen = []
    monkeypatch.setattr(
        "search.followup.ablate.study",
        lambda base, plan, seeds, retune: seen.append((plan.design, seeds, retune)) or planned(),
    )
    for design in ("one-at-a-time", "full", "fractional"):
        command("ablate", "base.json", "--dry-run", "--design", design, "--factors", "branch,width")
    command("ablate", "base.json", "--dry-run", "--retune", "5", "--factors", "branch")
    assert seen == [("one", 8, None), ("full", 8, None), ("fractional", 8, None), ("one", 8, 5)]


def planned():
    return type("Planned", (), {"show": lambda self: None})()
