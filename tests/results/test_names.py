import itertools

import pytest

from results.names import RESERVED, SHARED, metric_column, parameter_column, plain_name
from results.runs import CURVES_SCHEMA, FURTHER, SCHEMA

NAMES = [
    "depth",
    "error",
    "state",
    "number",
    "accuracy",
    "param:depth",
    "metric:error",
    "param:param:state",
    "metric:",
    "é",
]


def test_every_column_of_ours_is_reserved():
    assert {column.name for column in (*SCHEMA, *FURTHER)} <= RESERVED
    assert {"number", "accuracy"} <= {column.name for column in CURVES_SCHEMA} & RESERVED
    assert SHARED <= RESERVED


def test_no_two_names_share_a_column_and_each_leads_back_to_its_name():
    objectives = {metric_column(name): name for name in ("error", "size", "accuracy", "param:depth")}
    parameters = {parameter_column(name, taken=objectives): name for name in [*NAMES, "size"]}
    others = {
        metric_column(name, taken={*parameters, *objectives}): name for name in NAMES if name not in objectives.values()
    }
    assert len(parameters) == len(NAMES) + 1
    for one, other in itertools.combinations((objectives, parameters, others), 2):
        assert not one.keys() & other.keys()
    for columns in (objectives, parameters, others):
        assert [plain_name(column) for column in columns] == list(columns.values())
    assert not parameters.keys() & RESERVED


@pytest.mark.parametrize(("name", "column"), [("depth", "depth"), ("decay", "param:decay"), ("x", "x")])
def test_name_keeps_its_column_where_it_is_free(name, column):
    assert parameter_column(name) == column
