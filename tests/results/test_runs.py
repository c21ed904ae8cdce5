import datetime
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from results import files, runs
from results.errors import RecordError, RunUnreadable
from results.runs import CURVES_SCHEMA, SCHEMA, count_states, load, load_all, to_curves, to_frame, together, write

WARSAW = datetime.timezone(datetime.timedelta(hours=1))
ROWS = [
    {"number": 3, "state": "completed", "backbone": "resnet8", "widths": "4-8-16", "activation": "leni",
     "placement": "all", "lr_factor": 1, "kernel_size": 3, "transform": "depthwise", "init_std": 0.01, "decay": False,
     "accuracy": 0.1 + 0.2, "accuracy_std": 0.001, "seeds": 3, "epochs": 27, "params": 2**53 + 1, "macs": 10,
     "wall_s": 1.5, "device": "cpu", "started_at": datetime.datetime(2026, 3, 1, 12, 0, 0, 250, WARSAW),
     "latency_ms": 2, "slope": None, "note": "a, b"},
    {"number": 0, "state": "failed", "activation": "prelu", "accuracy": float("nan"), "error": "loss is not finite",
     "started_at": "2026-03-01T10:00:00", "latency_ms": np.float32(0.5), "shared": np.bool_(True), "slope": 0.25},
]  # fmt: skip
CURVES = [{"number": 3, "seed": 1, "epoch": epoch, "accuracy": 0.1 * epoch, "loss": 2.0 / epoch} for epoch in (1, 2)]


@pytest.fixture
def folder(tmp_path):
    write(to_frame(ROWS), tmp_path / "trials.parquet")
    write(to_curves(CURVES), tmp_path / "curves.parquet")
    (tmp_path / "environment.json").write_text(json.dumps({"torch": "2.14.1"}))
    return tmp_path


@pytest.mark.parametrize(("make", "schema"), [(to_frame, SCHEMA), (to_curves, CURVES_SCHEMA)])
def test_to_frame_no_rows_has_all_columns_and_types(make, schema):
    frame = make([])
    assert [(name, str(dtype)) for name, dtype in frame.dtypes.items()] == [(c.name, c.dtype) for c in schema]
    assert len(frame) == 0


def test_to_frame_keeps_values_types_and_order():
    frame = to_frame(ROWS)
    assert frame["number"].tolist() == [3, 0]
    assert frame.loc[0, "params"] == 2**53 + 1
    assert frame.loc[0, "accuracy"] == 0.1 + 0.2
    assert frame["accuracy"].isna().tolist() == [False, True]
    assert frame["decay"].tolist() == [False, pd.NA]
    assert frame.loc[0, "started_at"] == pd.Timestamp("2026-03-01T11:00:00.000250Z")
    assert frame.loc[1, "started_at"] == pd.Timestamp("2026-03-01T10:00:00Z")
    further = frame.dtypes.iloc[len(SCHEMA) :].astype(str).to_dict()
    assert further == {"latency_ms": "Float64", "slope": "Float64", "note": "string", "shared": "boolean"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "done"}, "state must be one of completed, stopped, failed, extended, got 'done'"),
        ({"state": None}, "state is missing in row 0"),
        ({"number": None}, "number is missing in row 0"),
        ({"params": 1.5}, r"column params must be Int64, got 1.5 \(row 0\)"),
        ({"accuracy": "0.9"}, "column accuracy must be Float64, got '0.9'"),
        ({"accuracy": True}, "column accuracy must be Float64"),
        ({"widths": [4, 8, 16]}, "column widths must be string"),
        ({"started_at": 1772359200}, "column started_at must be a datetime"),
        ({"started_at": "yesterday evening"}, "column started_at must be a datetime"),
        ({"note": {"a": 1}}, "column note must hold numbers, or texts"),
        ({"number": 0}, "0 is there twice"),
    ],
)
def test_to_frame_unfit_value_is_an_error(change, words):
    with pytest.raises(RecordError, match=words):
        to_frame([{**ROWS[0], **change}, ROWS[1]])


def test_to_curves_without_seed_is_an_error():
    with pytest.raises(RecordError, match="seed is missing in row 1"):
        to_curves([CURVES[0], {**CURVES[1], "seed": None}])


def test_load_gives_what_was_written_in_order_of_number(folder):
    run = load(folder)
    expected = to_frame(ROWS).sort_values("number", ignore_index=True)
    pd.testing.assert_frame_equal(run.trials, expected)
    pd.testing.assert_frame_equal(run.curves, to_curves(CURVES))
    assert run.environment == {"torch": "2.14.1"}
    assert dict(run.objectives) == {"accuracy": "maximize", "params": "minimize"}


def test_load_run_without_any_trial_has_empty_frames(folder):
    write(to_frame([]), folder / "trials.parquet")
    write(to_curves([]), folder / "curves.parquet")
    run = load(str(folder))
    pd.testing.assert_frame_equal(run.trials, to_frame([]))
    assert len(run.front()) == 0
    assert "0 trials" in run._repr_html_()


def test_load_objectives_are_those_of_the_environment(folder):
    environment = {"objectives": {"latency_ms": "minimize"}}
    (folder / "environment.json").write_text(json.dumps(environment))
    assert load(folder).objectives == {"latency_ms": "minimize"}


def test_load_reads_three_files_and_nothing_else(folder):
    (folder / "study.db").mkdir()
    (folder / "front.csv").write_bytes(b"\xff")
    (folder / "spec.toml").symlink_to(folder / "nowhere")
    assert len(load(folder).trials) == 2


def test_write_keeps_schema_version_and_pandas_types(folder):
    assert pq.read_schema(folder / "trials.parquet").metadata[b"schema_version"] == b"2"
    assert str(pd.read_parquet(folder / "trials.parquet")["kernel_size"].dtype) == "Int64"


def test_write_failing_leaves_the_old_file_and_no_other(folder, monkeypatch):
    before = sorted(path.name for path in folder.iterdir())
    old = (folder / "trials.parquet").read_bytes()

    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(to_frame([]), folder / "trials.parquet")
    assert (folder / "trials.parquet").read_bytes() == old
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("name", ["trials.parquet", "curves.parquet", "environment.json"])
def test_load_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RunUnreadable, match=f"{name} is missing"):
        load(folder)


def test_load_of_a_run_that_has_only_begun_says_so(folder):
    (folder / "spec.toml").touch()
    (folder / "trials.parquet").unlink()
    with pytest.raises(RunUnreadable, match=r"has no trials\.parquet yet: a run writes it when its first"):
        load(folder)


def test_load_no_folder_is_an_error(tmp_path):
    with pytest.raises(RunUnreadable, match="is not a folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["trials.parquet", "curves.parquet", "environment.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_load_truncated_file_is_named(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RunUnreadable, match=rf"{name} is not (a )?whole"):
        load(folder)


def test_load_damaged_byte_is_noticed_or_harmless(folder):
    path = folder / "trials.parquet"
    content = path.read_bytes()
    expected = load(folder).trials
    for place in range(0, len(content), 61):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            found = load(folder).trials
        except RunUnreadable:
            continue
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("version", [3, None])
def test_load_other_schema_version_is_refused(folder, monkeypatch, version):
    if version is None:
        to_frame(ROWS).to_parquet(folder / "trials.parquet")
    else:
        with monkeypatch.context() as patch:
            patch.setattr(runs, "schema_version", version)
            write(to_frame(ROWS), folder / "trials.parquet")
    with pytest.raises(RunUnreadable, match=f"has schema version {str(version).lower()}, this program reads version 2"):
        load(folder)


def test_load_older_schema_version_has_later_columns_missing(folder, monkeypatch):
    write(to_frame(ROWS).drop(columns=["macs", "started_at"]), folder / "trials.parquet")
    write(to_frame(ROWS).drop(columns="state"), folder / "stateless.parquet")
    monkeypatch.setattr(runs, "schema_version", 3)
    trials = load(folder).trials
    assert trials[["macs", "started_at"]].isna().all(axis=None)
    assert [str(dtype) for dtype in trials[["macs", "started_at"]].dtypes] == ["Int64", "datetime64[us, UTC]"]
    pd.testing.assert_series_equal(trials["params"], to_frame(ROWS).sort_values("number", ignore_index=True)["params"])
    (folder / "stateless.parquet").replace(folder / "trials.parquet")
    with pytest.raises(RunUnreadable, match="lacks state"):
        load(folder)


def test_several_runs_in_one_frame_are_told_apart(tmp_path):
    folders = [tmp_path / "a" / "one", tmp_path / "b" / "one", tmp_path / "b" / "two"]
    for at, place in enumerate(folders):
        place.mkdir(parents=True)
        write(to_frame([{**ROWS[0], **({"lpips": 2.5} if at == 1 else {})}]), place / "trials.parquet")
        write(to_curves([]), place / "curves.parquet")
        (place / "environment.json").write_text("{}")
    frame = together(load_all(folders))
    assert frame["run"].tolist() == [str(folders[0]), str(folders[1]), "two"]
    assert frame["lpips"].fillna(0.0).tolist() == [0.0, 2.5, 0.0]
    assert frame.dtypes[[column.name for column in SCHEMA]].astype(str).tolist() == [c.dtype for c in SCHEMA]
    assert together([]).columns[0] == "run"
    with pytest.raises(RunUnreadable, match="is not a folder"):
        load_all([folders[0], tmp_path / "none"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns=["params", "macs"]), "lacks params, macs"),
        (lambda frame: frame.assign(params="many"), "not of its schema's type"),
    ],
)
def test_load_other_columns_is_an_error(folder, change, words):
    write(change(to_frame(ROWS)), folder / "trials.parquet")
    with pytest.raises(RunUnreadable, match=words):
        load(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "must hold a JSON object, it holds list"),
        ('{"objectives": {"accuracy": "up"}}', "'maximize' or 'minimize', got 'up'"),
        ('{"objectives": []}', "mapping"),
    ],
)
def test_load_unusable_environment_is_an_error(folder, text, words):
    (folder / "environment.json").write_text(text)
    with pytest.raises(RunUnreadable, match=words):
        load(folder)


def test_count_states_names_each_state_that_occurs():
    states = ["failed", "completed", "completed", "extended"]
    assert count_states(pd.DataFrame({"state": states})) == "4 trials: 2 completed, 1 failed, 1 extended"
    assert count_states(pd.DataFrame({"state": ["stopped"]})) == "1 trial: 1 stopped"
    assert count_states(pd.DataFrame({"accuracy": [0.1, 0.2]})) == "2 trials: 2 completed"


def test_run_in_a_notebook_shows_its_front_and_escapes_names(folder):
    write(to_frame([{**ROWS[0], "placement": "<b>"}, ROWS[1]]), folder / "trials.parquet")
    run = load(folder.rename(folder.with_name("<i>")))
    page = run._repr_html_()
    assert "2 trials: 1 completed, 1 failed; front of 1" in page
    assert "4-8-16" in page
    assert "&lt;b&gt;" in page
    assert "<svg" in page
    assert "<script" not in page
    assert "<svg" in run.front()._repr_html_()
    assert type(run.front()[["params"]]) is pd.DataFrame
    assert "<b>" not in page
    assert "<i>" not in page
    assert "1 completed" in repr(run)


def test_run_figure_is_that_of_its_objectives(folder):
    chart = load(folder).figure().to_dict()
    assert chart["title"]["text"] == folder.name
    assert "front of 1" in chart["title"]["subtitle"][0]
