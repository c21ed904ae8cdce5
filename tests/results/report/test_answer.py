import pytest

from results.analyses.confirmation import confirmation
from results.report.answer import answer, question
from results.runs import Run, to_curves, to_frame

ROWS = [
    {"number": 1, "state": "completed", "accuracy": 0.95, "params": 3000, "activation": "leni", "seeds": 2},
    {"number": 0, "state": "completed", "accuracy": 0.90, "params": 1000, "activation": "relu", "seeds": 2},
    {"number": 2, "state": "failed", "activation": "prelu", "error": "no luck"},
]


def run(rows: list, tmp_path, **environment: object) -> Run:
    return Run(tmp_path, to_frame(rows), to_curves([]), environment)


def confirmed(found: Run):
    before = found.front().assign(candidate=["a", "b"], role="front")
    rows = [
        {"number": 0, "state": "completed", "accuracy": 0.89, "params": 1000, "seeds": 3, "test_accuracy": 0.88,
         "test_accuracies": "[0.87, 0.88, 0.89]", "activation": "relu"},
        {"number": 1, "state": "completed", "accuracy": 0.93, "params": 3000, "seeds": 3, "test_accuracy": 0.87,
         "activation": "leni"},
    ]  # fmt: skip
    keys = dict(zip(before["params"], before["candidate"], strict=True))
    return confirmation(before, to_frame(rows).assign(candidate=[keys[1000], keys[3000]]), images=800)


def test_question_names_data_objectives_and_activations(tmp_path):
    text = question(run(ROWS, tmp_path, data="digits"), {})
    assert text == (
        "What accuracy can be had on digits for what number of parameters, and which of leni, prelu, relu buys it?"
    )
    other = run([], tmp_path, objectives={"f1": "minimize", "f2": "maximize"})
    assert question(other, {"evaluator": "a:b"}) == "Which settings are best in f1 and f2?"


def test_answer_is_three_sentences_from_the_data(tmp_path):
    front, worth, sure = answer(run(ROWS, tmp_path), None, ("prelu is so.", "LENI needs 0.8 times the parameters."))
    assert front == (
        "The front as searched has 2 members, 0.9000 at 1,000 parameters (relu) to 0.9500 at 3,000 parameters (leni) "
        "(validation split)."
    )
    assert worth == "LENI needs 0.8 times the parameters."
    assert sure.startswith("Not confirmed")
    assert "the best of 2 candidates, each from 2 seeds" in sure


def test_answer_leads_with_the_confirmed_front(tmp_path):
    found = run(ROWS, tmp_path)
    front, sure = answer(found, confirmed(found))
    assert front.startswith("The confirmed front has 2 members, 0.8800 [0.8542, 0.9058] at 1,000 parameters (relu)")
    assert "3 fresh seeds" in sure
    assert "1.50 points below" in sure


@pytest.mark.parametrize("rows", [[], [ROWS[2]]])
def test_answer_without_a_completed_trial_says_so(tmp_path, rows):
    assert answer(run(rows, tmp_path), None) == ("No trial has completed, so nothing can be said yet.",)


def test_answer_of_one_trial_or_one_objective_is_whole_sentences(tmp_path):
    assert "1 member, 0.9000 at 1,000 parameters (relu) (validation" in answer(run(ROWS[1:2], tmp_path), None)[0]
    only = run(ROWS, tmp_path, objectives={"accuracy": "maximize"})
    assert answer(only, None)[0] == "The front as searched has 1 member."
