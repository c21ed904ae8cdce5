import math
from types import SimpleNamespace

import pytest

from search.execute.telling import telling, told_config, told_result
from spaces import Candidate

POINT = {
    "number": 3,
    "seeds": [0, 1],
    "candidate": {"parameters": {"x": 0.5, "number": 7, "kind": "a%b", "größe": True}},
}
NETWORK = {
    "number": 0,
    "seeds": [0],
    "costs": {"params": 99},
    "candidate": Candidate("resnet8", (2, 4, 8), "relu").to_dict(),
}


def test_tracker_sees_the_parameters_of_a_user_and_the_fields_of_a_network():
    assert told_config(POINT) == {"number": 7, "seeds": "[0, 1]", "x": 0.5, "kind": "a%b", "größe": True}
    told = told_config(NETWORK)
    assert (told["backbone"], told["widths"], told["activation"]) == ("resnet8", "2-4-8", "relu")


def test_tracker_sees_costs_and_metrics_under_plain_names_and_tunes_own_stay():
    metrics = [
        ("metric:error", 0.5),
        ("done", 2),
        ("text", "a"),
        ("a:b", 1),
        ("top", math.inf),
        ("test_accuracy", 0.75),
    ]
    result = {"training_iteration": 4, "done": True, "curve": [], "metrics": metrics, "notes": []}
    assert told_result(NETWORK, result) == {
        "training_iteration": 4, "done": True, "params": 99.0, "error": 0.5, "metric/done": 2.0, "a_b": 1.0,
        "top": math.inf, "test_accuracy": 0.75,
    }  # fmt: skip


class Base:
    def __init__(self):
        self.told = []

    def log_trial_start(self, trial):
        self.told.append(dict(trial.config))

    def log_trial_result(self, iteration, trial, result):
        raise ConnectionError("no\nserver")

    def log_trial_end(self, trial, failed):
        self.told.append(failed)


@pytest.mark.parametrize("error", ["", "ValueError: no"])
def test_tracker_that_does_not_answer_costs_no_trial(error):
    trial = SimpleNamespace(config=POINT, evaluated_params=POINT, last_result={"error": error})
    callback = telling(Base)()
    callback.log_trial_start(trial)
    callback.log_trial_result(1, trial, {})
    callback.log_trial_end(trial)
    assert callback.told == [told_config(POINT), bool(error)]
    assert callback.missed == ["no server"]
    assert trial.config is POINT
