import pandas as pd

from results.figures.curves import curves_figure
from results.runs import to_curves, to_frame

TRIALS = to_frame(
    {"number": n, "state": "completed", "activation": name} for n, name in enumerate(["relu", "leni", None])
)
CURVES = to_curves(
    {"number": number, "seed": seed, "epoch": epoch, "accuracy": accuracy}
    for number, seed, epoch, accuracy in [
        (1, 0, 2, 0.8), (1, 0, 1, 0.5), (1, 1, 1, 0.7), (1, 1, 2, None), (0, 0, 1, 0.4), (2, 0, 1, 0.1)]
)  # fmt: skip


def points(**keys) -> pd.DataFrame:
    return pd.DataFrame(curves_figure(CURVES, TRIALS, **keys).to_dict()["datasets"]["points"])


def test_curve_is_the_mean_over_the_seeds_that_have_an_accuracy():
    found = points(numbers=[1])
    assert found[["epoch", "accuracy"]].values.tolist() == [[1, 0.6], [2, 0.8]]
    assert found["last"].tolist() == [False, True]
    assert set(found["colour"]) == {"leni"}


def test_curves_are_of_the_trials_that_were_asked_for():
    assert sorted(set(points(numbers=[0, 2])["number"])) == [0, 2]
    assert sorted(set(points(numbers=[0, 2])["colour"])) == ["network", "relu"]


def test_no_curve_says_so():
    assert "No learning curve" in str(curves_figure(CURVES, TRIALS, numbers=[7]).to_dict())
    assert "No learning curve" in str(curves_figure(to_curves([]), TRIALS, numbers=[1]).to_dict())
