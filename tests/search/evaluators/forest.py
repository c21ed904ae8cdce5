"""README's evaluator: a forest on scikit-learn's digits, its error and its size."""

from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier


def evaluate(config, report):
    images, labels = load_digits(return_X_y=True)
    kind = {"extra": ExtraTreesClassifier, "random": RandomForestClassifier}[config["kind"]]
    bootstrap = config.get("bootstrap", False)
    model = kind(8, max_depth=config["depth"], bootstrap=bootstrap, random_state=config["seed"])
    model.fit(images[:600], labels[:600])
    size = sum(tree.tree_.node_count for tree in model.estimators_)
    return {"error": 1 - model.score(images[600:900], labels[600:900]), "size": size}
