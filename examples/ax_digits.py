"""An evaluation function of an Ax loop, searched by leni-search: two outcomes, one constraint that is known.

cd examples
python ax_digits.py
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import results
import search

SPACE = {"depth": {"low": 2, "high": 16}, "trees": {"low": 2, "high": 32, "log": True}}
TRIALS = 24


def evaluate(config, report):
    images, labels = load_digits(return_X_y=True)
    model = RandomForestClassifier(config["trees"], max_depth=config["depth"], random_state=config["seed"])
    model.fit(images[:600], labels[:600])
    return {"error": 1 - model.score(images[600:900], labels[600:900]), "size": sum(len(t.tree_.value) for t in model)}


@search.known("work")
def work(config):
    return config["trees"] * config["depth"]


def searched(**keys) -> results.Run:
    return search.run(
        evaluator=evaluate,
        space=SPACE,
        objectives=["error:min", "size:min"],
        limits={"work": {"max": 200}},
        trials=TRIALS,
        **keys,
    )


if __name__ == "__main__":
    print(searched().front())
