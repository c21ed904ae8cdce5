"""A Ray Tune script on scikit-learn's digits, and the same trainable searched by leni-search.

cd examples
python ray_tune_digits.py                        # Ray Tune's own search
leni-search run ray_tune_digits.toml             # leni-search calls train_digits as it stands
"""

import tempfile
from pathlib import Path

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from sklearn.datasets import load_digits
from torch import nn

SPACE = {"lr": tune.loguniform(1e-3, 1.0), "width": tune.choice([8, 16, 32, 64]), "epochs": 8}
TRIALS = 24


def train_digits(config):
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, config["width"]), nn.ReLU(), nn.Linear(config["width"], 10))
    optimizer = torch.optim.SGD(network.parameters(), lr=config["lr"], momentum=0.9)
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / "state.pt")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["epoch"]
    params = sum(weight.numel() for weight in network.parameters())
    for epoch in range(start, config["epochs"]):
        for batch in range(0, 1200, 60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch : batch + 60]), y[batch : batch + 60]).backward()
            optimizer.step()
        accuracy = (network(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
        with tempfile.TemporaryDirectory() as folder:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
            torch.save(state, Path(folder) / "state.pt")
            tune.report({"accuracy": accuracy, "params": params}, checkpoint=tune.Checkpoint.from_directory(folder))


def main() -> tune.ResultGrid:
    tuner = tune.Tuner(
        train_digits,
        param_space=SPACE,
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=TRIALS, scheduler=ASHAScheduler()),
    )
    return tuner.fit()


if __name__ == "__main__":
    print(main().get_best_result().config)
