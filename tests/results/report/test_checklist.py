from dataclasses import replace

import pytest

from results.report.checklist import Known, checklist

FULL = Known(
    environment={"git_revision": "a" * 40, "versions": {"torch": "2"}, "seed": 3},
    spec={"training": {"lr": 0.1}, "split_seed": 0, "sampler": "tpe"},
    seeds=2,
    confirmed_seeds=5,
    ablated=True,
    hours=1.25,
    device="cpu",
)


def found(known: Known, words: str) -> tuple[str, str]:
    (row,) = [row for row in checklist(known) if words in row.question]
    return row.answer, row.because


def test_checklist_has_every_question_of_the_papers_three_groups():
    rows = checklist(FULL)
    assert len(rows) == 16
    assert list(dict.fromkeys(row.group for row in rows)) == ["Code", "Comparison", "Reporting"]
    assert {row.answer for row in rows} <= {"yes", "partly", "no", "for the author"}
    assert all(row.because for row in rows)


@pytest.mark.parametrize(
    ("change", "words", "answer"),
    [
        ({}, "search space released", "yes"),
        ({"environment": {"git_revision": "a" * 40 + "-dirty"}}, "search space released", "partly"),
        ({"environment": {}}, "search space released", "partly"),
        ({}, "ablation", "yes"),
        ({"ablated": False}, "ablation", "no"),
        ({}, "test split kept out", "yes"),
        ({"confirmed_seeds": 0}, "test split kept out", "partly"),
        ({"spec": {}}, "details of the setup", "partly"),
        ({"spec": {"evaluator": "a:b", "training": {"lr": 1}}}, "final training", "partly"),
    ],
)
def test_checklist_answers_from_what_is_known(change, words, answer):
    assert found(replace(FULL, **change), words)[0] == answer


def test_checklist_claims_nothing_that_a_folder_cannot_show():
    nothing = Known({}, {}, 1, 0, False, 0.0, "cpu")
    yes = [row.question for row in checklist(nothing) if row.answer == "yes"]
    assert all("time" in question for question in yes)
    assert found(FULL, "random search")[0] == "for the author"
    assert "is a random search" in found(replace(FULL, spec={"sampler": "random"}), "random search")[1]
