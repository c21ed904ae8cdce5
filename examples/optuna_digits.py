"""An Optuna script with two objectives on scikit-learn's digits, and the same objective searched by leni-search.

cd examples
python optuna_digits.py study                    # Optuna's own loop, one trial after another
python optuna_digits.py search                   # leni-search calls objective as it stands, trials side by side
"""

import sys

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

import results
import search

TRIALS = 24


def objective(trial):
    kind = trial.suggest_categorical("kind", ["extra", "random"])
    depth = trial.suggest_int("depth", 2, 16, log=True)
    bootstrap = trial.suggest_categorical("bootstrap", [True, False]) if kind == "random" else False
    images, labels = load_digits(return_X_y=True)
    forest = {"extra": ExtraTreesClassifier, "random": RandomForestClassifier}[kind]
    model = forest(8, max_depth=depth, bootstrap=bootstrap, random_state=0).fit(images[:600], labels[:600])
    error = 1 - model.score(images[600:900], labels[600:900])
    return error, sum(tree.tree_.node_count for tree in model.estimators_)


def main() -> optuna.Study:
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=TRIALS)
    return study


def searched(**keys) -> results.Run:
    return search.run(evaluator=objective, objectives=["error:min", "size:min"], trials=TRIALS, **keys)


if __name__ == "__main__":
    if sys.argv[1:] == ["study"]:
        print([trial.values for trial in main().best_trials])
    else:
        print(searched().front())
