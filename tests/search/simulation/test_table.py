import json

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution

import results
from leni.errors import DataError
from search.simulation.table import Roles, read_table, roles_of

ROWS = [
    {"b0": 1, "kind": "x", "accuracy": 0.7, "params": 10, "curve": [0.1, 0.7], "t": 3.0},
    {"b0": 0, "kind": "y", "accuracy": 0.9, "params": 20, "curve": [0.2, 0.9], "t": 4.0},
    {"b0": 1, "kind": "x", "accuracy": 0.8, "params": 10, "curve": [0.3, None], "t": 5.0},
    {"b0": None, "kind": "y", "accuracy": 0.6, "params": 5, "curve": [0.0, 0.6], "t": 1.0},
]
OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


def written(folder, rows=ROWS, suffix=".jsonl"):
    path = folder / f"table{suffix}"
    frame = pd.DataFrame(rows)
    if suffix == ".csv":
        if "curve" in frame:
            frame["curve"] = [json.dumps(curve) for curve in frame["curve"]]
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def read(path, **keys):
    return read_table(path, **{"parameters": ["b0", "kind"], "objectives": OBJECTIVES, **keys})


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_rows_with_equal_parameters_are_seeds(tmp_path, suffix):
    table = read(written(tmp_path, suffix=suffix), curve="curve", time="t")
    assert [row.parameters for row in table.rows] == [{"b0": 1, "kind": "x"}, {"b0": 0, "kind": "y"}, {"kind": "y"}]
    assert table.rows[0].values.tolist() == [[0.7, 10.0], [0.8, 10.0]]
    np.testing.assert_allclose(table.means(), [[0.75, 10.0], [0.9, 20.0], [0.6, 5.0]])
    np.testing.assert_array_equal(table.rows[0].curves[1], [0.3, np.nan])
    assert table.rows[0].times.tolist() == [3.0, 5.0]
    assert table.epochs == 2


def test_distributions_are_the_values_of_the_table_sorted(tmp_path):
    table = read(written(tmp_path))
    assert table.distributions == {
        "b0": CategoricalDistribution((0, 1)),
        "kind": CategoricalDistribution(("x", "y")),
    }
    assert table.epochs == 1
    assert table.rows[0].curves == ()
    assert table.rows[0].times.tolist() == [1.0, 1.0]


def test_booleans_stay_apart_from_numbers(tmp_path):
    rows = [{"flag": True, "accuracy": 1.0}, {"flag": False, "accuracy": 2.0}]
    table = read_table(written(tmp_path, rows), parameters=["flag"], objectives={"accuracy": "maximize"})
    assert table.distributions["flag"].choices == (False, True)


def run_folder(folder, **differing):
    """A run of three trials, the second of them stopped; of a network by default."""
    record = {"backbone": "resnet8", "widths": "4-8-16", "activation": "relu", "placement": "all", "lr_factor": 1.0,
              "params": 100, "macs": 10, "wall_s": 1.0}  # fmt: skip
    rows = [{**record, "number": number, "state": state, "accuracy": 0.5 + number / 10,
             **{name: values[number] for name, values in differing.items()}}
            for number, state in enumerate(["completed", "stopped", "completed"])]  # fmt: skip
    curves = [{"number": number, "seed": seed, "epoch": epoch, "accuracy": number / 10 + seed / 5, "loss": 1.0}
              for number in range(3) for seed in range(2) for epoch in (1, 2)]  # fmt: skip
    results.write(results.to_frame(rows), folder / "trials.parquet")
    results.write(results.to_curves(curves), folder / "curves.parquet")
    (folder / "environment.json").write_text("{}")
    return folder


def test_roles_of_a_run_are_what_it_chose_and_what_it_went_by(tmp_path):
    run_folder(tmp_path, activation=["relu", "leni", "prelu"], params=[100, 120, 140])
    roles = roles_of(tmp_path, known=("params", "macs"))
    assert roles == Roles(["activation"], {"accuracy": "maximize", "params": "minimize"}, ["params"])
    others = roles_of(tmp_path, known=("params", "macs"), objectives={"accuracy": "maximize"})
    assert others == Roles(["activation"], {"accuracy": "maximize"}, [])


def test_nothing_of_a_users_own_space_is_known(tmp_path):
    run_folder(tmp_path, backbone=[None] * 3, depth=[1, 2, 3])
    roles = roles_of(tmp_path, known=("params",))
    assert "depth" in roles.parameters
    assert roles.known == []


def test_run_in_which_nothing_differs_cannot_be_simulated(tmp_path):
    with pytest.raises(DataError, match="no completed trials that differ in a parameter"):
        roles_of(run_folder(tmp_path), known=())
    assert roles_of(tmp_path, known=(), parameters=["widths"]).parameters == ["widths"]


def test_folder_of_a_run_gives_its_completed_trials_and_curves(tmp_path):
    run_folder(tmp_path)
    table = read_table(tmp_path, parameters=["widths"], objectives=OBJECTIVES, curve="curve")
    assert table.rows[0].values[:, 0].tolist() == [0.5, 0.7]
    np.testing.assert_allclose(table.rows[0].curves, [[0.1, 0.1], [0.3, 0.3]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": float("nan")}, "accuracy must be a finite number in every row, got nan in row 4"),
        ({"accuracy": "high"}, "column 'accuracy' must be numbers"),
        ({"curve": [0.1]}, "curve must have as many epochs in every row, got 2 in row 1 and 1 in row 4"),
        ({"curve": []}, "curve must be a list of at least one number"),
        ({"curve": "text"}, "curve must be a list of numbers"),
        ({"kind": [1]}, "parameter 'kind' must be text, numbers or booleans"),
        ({"t": 0.0}, "t must be above 0, got 0"),
    ],
)
def test_value_that_cannot_be_used_is_named(tmp_path, change, message):
    path = written(tmp_path, [*ROWS[:3], {**ROWS[3], **change}])
    with pytest.raises(DataError, match=message) as caught:
        read(path, curve="curve", time="t")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parameters": ["b1"]}, "no column 'b1'; it has b0, kind, accuracy"),
        ({"parameters": []}, "needs parameter and objective columns"),
        ({"objectives": {"loss": "minimize"}}, "no column 'loss'"),
        ({"parameters": ["b0", "b0"]}, "'b0' is named twice"),
        ({"parameters": ["b0", "params"]}, "'params' is named twice"),
    ],
)
def test_column_that_is_not_there_is_named(tmp_path, keys, message):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path), **keys)


def test_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.jsonl").write_text('{"b0": 1}\n{"b0": \n')
    (tmp_path / "list.jsonl").write_text("3\n4\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "empty.csv").write_text("")
    for name, message in {"broken.jsonl": "cannot be read as jsonl", "list.jsonl": "one JSON object a line",
                          "empty.jsonl": "has no rows", "broken.parquet": "cannot be read as parquet",
                          "empty.csv": "cannot be read as csv", "table.txt": "must end in .jsonl",
                          "missing.csv": "does not exist"}.items():  # fmt: skip
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


def test_proxies_are_means_over_the_seeds_and_may_be_missing(tmp_path):
    rows = [{**row, "p": value, "q": -value} for row, value in zip(ROWS, (1.0, 5.0, 2.0, 8.0), strict=True)]
    rows[1]["p"] = None
    table = read(written(tmp_path, rows), proxies={"p": "maximize", "q": "minimize"})
    assert table.proxies == {"p": "maximize", "q": "minimize"}
    np.testing.assert_allclose([row.proxies for row in table.rows], [[1.5, -1.5], [np.nan, -5.0], [8.0, -8.0]])


def test_a_column_cannot_be_both_an_objective_and_a_proxy(tmp_path):
    with pytest.raises(DataError, match="'accuracy' is named twice"):
        read(written(tmp_path), proxies={"accuracy": "maximize"})


def test_curves_of_a_folder_are_of_the_objective_that_is_judged(tmp_path):
    run_folder(tmp_path, loss=[2.0, 1.0, 0.5])
    directions = {"loss": "minimize", "params": "minimize"}
    table = read_table(tmp_path, parameters=["widths"], objectives=directions, curve="curve", judged="loss")
    np.testing.assert_allclose(table.rows[0].curves, [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(DataError, match="has no learning curves of 'macs': its trials did not report it"):
        read_table(tmp_path, parameters=["widths"], objectives=OBJECTIVES, curve="curve", judged="macs")
