"""Networks of few channels, where oneDNN's gradient of a strided 1x1 convolution kills the process."""

import os
import subprocess
import sys

# In a process of its own, for what the fault does to its neighbours: many steps of a network as a search trains it.
TRAINING = """
from search.training.data import load
from search.training.recipe import Recipe
from search.training.train import Training
from spaces import Candidate
data = load("digits")
for width in (3, 4, 6):
    candidate = Candidate("resnet8", (width, 2 * width, 4 * width), "relu", "all")
    for epoch in Training(candidate, data, Recipe(epochs=2, batch_size=32, lr=0.05), seed=0):
        print(epoch.accuracy)
"""


def test_narrow_networks_train_in_a_process_that_survives():
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1"}  # one thread: most surely it dies
    command = [sys.executable, "-c", TRAINING]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(ended.stdout.split()) == 6
