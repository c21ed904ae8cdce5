import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import results
from leni.errors import CandidateError, FolderError, SpecError
from search.followup.ablate import Base, ablate, base_of, claimed, study, train
from search.followup.retrain import FRESH
from search.spec import Spec
from search.store.folder import RunFolder, write_environment
from spaces import Candidate
from spaces.factorial import Cell, Plan, factorial, factors

LENI = Candidate("resnet8", (2, 4, 8), "leni", "inner", {"kernel_size": 5})
RELU = Candidate("resnet8", (2, 4, 8), "relu")
WIDE = Candidate("resnet8", (4, 8, 16), "prelu")
IMPOSSIBLE = Candidate("resnet8", (3, 4, 8), "leni", "all", {"compression": "none"})
SPEC = Spec(data="digits", train_size=200, epochs=1, seed=4, workers=1, training={"batch_size": 16})


def cell(candidate: Candidate, recipe: dict | None = None, **levels: str) -> Cell:
    return Cell({"activation": "leni", "lr": "base", **levels}, candidate, recipe or {})


def plan(*more: Cell) -> Plan:
    return Plan(LENI, (), "one", (cell(LENI), cell(RELU, activation="relu"), *more), ("A note.",))


@pytest.fixture
def base(tmp_path) -> Base:
    return Base(LENI, SPEC, "a test", tmp_path / "ablation")


def run_of(place: Path, rows: list[dict], spec: Spec = SPEC) -> Path:
    """A run's folder with these records."""
    folder = RunFolder(place)
    folder.create()
    folder.spec.write_text(spec.to_toml())
    write_environment(folder.environment, {"objectives": spec.directions(), "ended": "complete"})
    results.write(results.to_frame(rows), folder.trials)
    results.write(results.to_curves([]), folder.curves)
    return place


def records() -> list[dict]:
    """Trial 2 is the most accurate, trial 1 the most accurate that is not ReLU, trial 0 is beaten."""
    found = [(0.80, 500, WIDE), (0.85, 300, LENI), (0.90, 400, RELU)]
    return [
        {"number": n, "state": "completed", "accuracy": a, "params": p, **candidate.columns()}
        for n, (a, p, candidate) in enumerate(found)
    ]


def test_base_of_a_run_is_the_fronts_best_that_is_not_plain_relu_on_fresh_seeds(tmp_path):
    found = base_of(run_of(tmp_path / "run", records()))
    assert (found.candidate, found.folder) == (LENI, (tmp_path / "run" / "ablation").resolve())
    assert found.spec.seed == 4 + 2 * FRESH
    assert found.spec.recipe() == SPEC.recipe()
    assert base_of(tmp_path / "run", trial=2, out=tmp_path / "x").candidate == RELU
    only = base_of(run_of(tmp_path / "plain", records()[2:]))
    assert only.candidate == RELU


def test_base_of_a_file_is_its_candidate_or_its_spaces_last_reference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(LENI.to_json())
    found = base_of("mine.json", data="digits", epochs=3, workers=None)
    assert (found.candidate, found.spec.epochs, found.spec.seed) == (LENI, 3, 0)
    assert found.folder == Path("runs/digits-ablation-001")
    Path("s.toml").write_text('epochs = 5\nspace = "channel-compensation"\nout = "here"\n')
    found = base_of("s.toml")
    assert (found.candidate.activation, found.candidate.widths, found.spec.epochs) == ("leni", (16, 32, 64), 5)
    assert found.folder == tmp_path / "here"


REFUSED = {
    "nothing": ("nowhere", {}, SpecError, "must be a run's folder"),
    "another file": ("notes.txt", {}, SpecError, "must be a run's folder"),
    "no candidate": ("broken.json", {}, CandidateError, "broken.json"),
    "a trial of a file": ("mine.json", {"trial": 3}, SpecError, "goes with a run's folder"),
    "no such trial": ("run", {"trial": 9}, FolderError, "trials are 0 to 2"),
    "another spec of a run": ("run", {"epochs": 9}, SpecError, "cannot change epochs"),
    "no run": ("empty", {}, FolderError, "holds no run"),
    "a function's": ("own.toml", {}, SpecError, "trained here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_base_of_what_has_none_is_one_sentence(tmp_path, case):
    name, options, error, words = REFUSED[case]
    run_of(tmp_path / "run", records())
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.json").write_text("{}")
    (tmp_path / "mine.json").write_text(LENI.to_json())
    (tmp_path / "own.toml").write_text('evaluator = "plugin_evaluators:by_width"\n')
    with pytest.raises(error, match=words) as refused:
        base_of(tmp_path / name, **options)
    assert "\n" not in str(refused.value)


def test_study_trains_a_list_for_each_recipe_from_the_same_seeds(base):
    found = study(base, plan(cell(LENI, {"lr": 0.2}, lr="0.2"), cell(LENI, {"epochs": 2}, lr="x")), seeds=3)
    assert [spec.only_candidates() for spec in found.lists] == [(LENI, RELU), (LENI,), (LENI,)]
    assert [spec.first_seeds() for spec in found.lists] == [(4, 5, 6)] * 3
    assert [(spec.recipe().lr, spec.epochs) for spec in found.lists] == [(0.05, 1), (0.2, 1), (0.05, 2)]
    assert all(spec.recipe().batch_size == 16 for spec in found.lists)
    assert len({spec.out for spec in found.lists}) == 3
    assert {spec.out.parent for spec in found.lists} == {base.folder}
    assert found.wall_s > 0


def test_study_leaves_out_what_cannot_be_built_and_says_so(base):
    found = study(base, plan(cell(IMPOSSIBLE, compression="none")), seeds=2)
    assert [cell.candidate for cell in found.cells] == [LENI, RELU]
    assert "compression none" in found.sentences()[-1]
    with pytest.raises(SpecError, match="nothing to compare"):
        study(base, replace(plan(), cells=(cell(LENI), cell(IMPOSSIBLE))))


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (3, "3 pairs can reach a p-value of 0.25 at the least, which is not below 0.05"),
        (6, "Among 2 comparisons a true effect of 1.5 standard deviations of a seed's difference is shown with a"),
        (8, "8 pairs can reach a p-value of 0.00781 at the least."),
    ],
)
def test_study_says_how_small_a_p_it_can_reach_and_what_it_costs(base, seeds, words):
    found = study(base, plan(cell(WIDE, activation="prelu")), seeds=seeds)
    text = " ".join(found.sentences())
    assert words in text
    assert "A note." in text
    assert f"{3 * seeds} trainings" in text
    console = Console(width=200, record=True, file=io.StringIO())
    found.show(console)
    shown = console.export_text()
    assert all(word in shown for word in ("prelu", "relu", "activation", words))


@pytest.mark.usefixtures("without_ray")
def test_train_gives_a_record_a_cell_and_goes_on_with_a_larger_plan(base):
    rows = train(study(base, plan(), seeds=2), quiet=True)
    assert rows["factor: activation"].tolist() == ["leni", "relu"]
    assert rows["candidate"].tolist() == [LENI.to_json(), RELU.to_json()]
    assert all(len(json.loads(text)) == 2 for text in rows["accuracies"])
    larger = study(base, plan(cell(LENI, {"lr": 0.2}, lr="0.2")), seeds=2)
    again = train(larger, quiet=True)
    pd.testing.assert_series_equal(again["wall_s"].iloc[:2], rows["wall_s"])  # these were not trained again
    assert again["candidate"].iloc[2] == LENI.to_json()
    assert again["accuracies"].iloc[2] != again["accuracies"].iloc[0]
    done = study(base, larger.plan, seeds=2)
    assert done.wall_s is None
    assert "all of them are there already" in " ".join(done.sentences())
    with pytest.raises(FolderError, match="do not compare"):
        train(study(replace(base, spec=SPEC), plan(), seeds=3), quiet=True)


@pytest.mark.usefixtures("ray_session")
def test_ablate_writes_tables_a_figure_and_what_the_report_reads(tmp_path):
    base = Base(LENI, SPEC, "a test", tmp_path / "ablation")
    planned = study(base, factorial(LENI, factors(LENI, ["branch", "kernel=1"])), seeds=2)
    found = ablate(planned, quiet=True)
    effects = pd.read_csv(base.folder / "ablation.csv")
    assert effects[["factor", "level"]].values.tolist() == [["branch", "off"], ["kernel", "1"]]
    runs = results.load(base.folder / "recipe").trials.set_index("activation")
    leni, relu = (json.loads(runs.loc[[name], "accuracies"].iloc[0]) for name in ("leni", "relu"))
    points = 50 * (relu[0] - leni[0] + relu[1] - leni[1])
    assert effects["points"].iloc[0] == pytest.approx(points)
    assert all(path.stat().st_size > 0 for path in planned.files())
    assert "branch off for on" in (base.folder / "ablation.md").read_text()
    assert "\\toprule" in (base.folder / "ablation.tex").read_text()
    notes = json.loads((base.folder / "ablation.json").read_text())
    assert set(found.sentences) <= set(notes["sentences"])
    assert (notes["base"], len(notes["tables"][0]["data"])) == (LENI.to_dict(), 2)


def test_interrupted_ablation_writes_nothing(base, monkeypatch):
    interrupted = results.Run(base.folder, results.to_frame([]), results.to_curves([]), {"ended": "interrupted"})
    monkeypatch.setattr("search.followup.cell_lists.train_fixed", lambda *_, **__: interrupted)
    assert ablate(study(base, plan(), seeds=2)) is None
    assert not base.folder.exists()


def test_claimed_takes_a_default_folder_and_leaves_no_empty_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(LENI.to_json())
    base = base_of("mine.json", data="digits")
    with claimed(base) as first, claimed(base) as second:
        assert [first.folder.name, second.folder.name] == ["digits-ablation-001", "digits-ablation-002"]
        (second.folder / "ablation.csv").touch()
    assert [path.name for path in Path("runs").iterdir()] == ["digits-ablation-002"]
    chosen = base_of("mine.json", data="digits", out=Path("runs/mine"))
    with claimed(chosen) as same:
        assert same is chosen
