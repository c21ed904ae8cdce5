"""A run, its continuation, its use and its report, in a folder whose name means something everywhere else."""

import pytest

import results
from results.report.page import write_report
from search.driver.run_search import resume, run
from search.spec import Spec

pytestmark = pytest.mark.usefixtures("ray_session")
NAME = "why?/50%41 #{x}/lr=0.1/a::b [red] 'q'\nü"


def spec(**keys) -> Spec:
    return Spec(
        evaluator="plugin_evaluators:by_width",
        sampler="random",
        trials=2,
        workers=1,
        references=False,
        pruner="none",
        **keys,
    )


def test_run_in_an_odd_folder_goes_on_and_is_used_like_any_other(tmp_path, monkeypatch, no_ray):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    first = run(spec(out=NAME, checkpoints="states?"), quiet=True)
    assert first.folder == tmp_path / NAME
    assert {path.name for path in tmp_path.iterdir()} == {"why?", "elsewhere", "states?"}
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = resume(first.folder, add_trials=1, quiet=True)
    assert list(again.trials["state"]) == ["completed"] * 3
    with no_ray():
        second = run(spec(out=tmp_path / "two#", warm_start=first.folder), quiet=True)
    assert len(second.trials) == 5
    assert results.load(first.folder).environment["ended"] == "complete"
    assert write_report(first.folder, None).is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []
