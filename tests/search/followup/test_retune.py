import json

import pandas as pd
import pytest

import results
from leni.errors import SpecError
from search.followup.ablate import Base, ablate, study
from search.followup.retrain import FRESH
from search.followup.retune import retuning, told_recipe
from search.spec import Spec
from spaces import Candidate
from spaces.factorial import Cell, Plan

LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner")
RELU = Candidate("resnet8", (2, 4, 8), "relu")
SPEC = Spec(data="digits", train_size=200, epochs=1, seed=4, workers=1, training={"batch_size": 16})
CELLS = (Cell({"activation": "leni"}, LENI), Cell({"activation": "relu"}, RELU))


def records(scores):
    """A stand-in for training: accuracies by what is asked for."""

    def train_cells(specs, cells, **how):
        return [scores(cell.candidate) for cell in cells]

    return train_cells


def test_retuning_tries_as_many_recipes_for_each_network_on_seeds_of_its_own(tmp_path):
    found = retuning(SPEC, CELLS, tmp_path, recipes=3, seeds=8)
    assert [len(cells) for cells in found.tried] == [3, 3]
    (spec,) = found.lists
    assert spec.first_seeds() == tuple(4 + FRESH + at for at in range(4))
    assert spec.trials == 6
    assert found.trainings == 24


def test_chosen_takes_each_networks_best_and_keeps_one_that_failed(tmp_path, monkeypatch):
    def scores(candidate):
        if candidate.activation == "relu":
            return {"state": "failed", "accuracy": pd.NA}
        return {"state": "completed", "accuracy": 1.0 - abs(candidate.lr_factor - 3.0)}

    monkeypatch.setattr("search.followup.retune.train_cells", records(scores))
    found = retuning(SPEC, CELLS, tmp_path, recipes=4, seeds=2)
    leni, relu = found.chosen(quiet=True)
    best = min((cell.candidate for cell in found.tried[0]), key=lambda each: abs(each.lr_factor - 3.0))
    assert leni.candidate == best
    assert leni.candidate != LENI
    assert relu == CELLS[1]


def test_recipe_that_the_plan_varies_is_held(tmp_path):
    cells = (Cell({"lr": "1"}, LENI), Cell({"lr": "3"}, LENI))
    found = retuning(SPEC, cells, tmp_path, recipes=4, seeds=2)
    assert {cell.candidate.lr_factor for tried in found.tried for cell in tried} == {1.0}
    assert told_recipe(LENI) == "lr_factor 1, init_std 0.01, decay False"


@pytest.mark.usefixtures("without_ray")
def test_ablate_with_retune_trains_recipes_and_compares_the_best(tmp_path):
    base = Base(LENI, SPEC, "a test", tmp_path / "ablation")
    planned = study(base, Plan(LENI, (), "one", CELLS), seeds=2, retune=2)
    assert "4 trainings after 8 that choose recipes" in " ".join(planned.sentences())
    found = ablate(planned, quiet=True)
    tried = results.load(base.folder / "tune").trials
    assert len(tried) == 4
    wanted = {name: part.sort_values("accuracy").iloc[-1] for name, part in tried.groupby("activation")}
    compared = results.load(base.folder / "recipe").trials.set_index("activation")
    for name, row in wanted.items():
        assert compared.loc[name, "lr_factor"] == row["lr_factor"]
        assert json.loads(compared.loc[name, "accuracies"]) != json.loads(row["accuracies"])
    assert any("its own recipe, the best of 2 on 2 other seeds" in text for text in found.sentences)


def test_retuning_one_recipe_is_refused_and_without_it_the_report_says_so(tmp_path):
    base = Base(LENI, SPEC, "a test", tmp_path / "ablation")
    with pytest.raises(SpecError, match="at least 2 recipes"):
        study(base, Plan(LENI, (), "one", CELLS), seeds=2, retune=1)
    told = " ".join(study(base, Plan(LENI, (), "one", CELLS), seeds=2).sentences())
    assert "trained at the base's recipe" in told
