"""A training script of Syne Tune as a function: what it took from the command line is `config`, `report` stays.

cd examples
python syne_tune_digits.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import results
import search

SPACE = {"lr": {"low": 1e-3, "high": 1.0, "log": True}, "width": [8, 16, 32, 64]}
TRIALS, EPOCHS = 24, 9


def train(config, report):
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    network = nn.Sequential(nn.Linear(64, config["width"]), nn.ReLU(), nn.Linear(config["width"], 10))
    optimizer = torch.optim.SGD(network.parameters(), lr=config["lr"], momentum=0.9)
    for _ in range(config["epochs"]):
        for batch in range(0, 1200, 60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch : batch + 60]), y[batch : batch + 60]).backward()
            optimizer.step()
        accuracy = (network(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
        report({"accuracy": accuracy})
    return {"accuracy": accuracy}


def searched(**keys) -> results.Run:
    return search.run(
        evaluator=train,
        space=SPACE,
        costs=lambda config: {"params": 75 * config["width"] + 10},
        objectives=["accuracy:max", "params:min"],
        trials=TRIALS,
        epochs=EPOCHS,
        pruner="learned",
        **keys,
    )


if __name__ == "__main__":
    print(searched().front())
