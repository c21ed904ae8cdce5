import io
import math

import numpy as np
import pandas as pd
import pytest

from results.column_values import column_values, present_value
from results.errors import RecordError


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([True, None, False], "boolean", [True, None, False]),
        ([3, None, -(2**63)], "Int64", [3, None, -(2**63)]),
        ([1, 0.5, None], "Float64", [1.0, 0.5, None]),
        ([2**64, 2**63], "Float64", [2.0**64, 2.0**63]),
        ([1, 2**64 - 1], "string", ["1", "18446744073709551615"]),
        (["sqrt", 0.5, 1, None], "string", ["sqrt", "0.5", "1", None]),
        ([True, 1, 1.5], "string", ["true", "1", "1.5"]),
        (["1", 1, "a"], "string", ['"1"', "1", '"a"']),
        (["", "é", "a\nb"], "string", ["", "é", "a\nb"]),
        ([None, None], "Float64", [None, None]),
        ([0.5, math.inf], "Float64", [0.5, math.inf]),
        (["caf\udce9", "\ud800"], "string", ["caf\\udce9", "\\ud800"]),
    ],
)
def test_column_takes_the_narrowest_dtype_that_holds_all_values(values, dtype, expected):
    column = column_values("c", values)
    assert column.dtype == dtype
    assert [None if value is pd.NA else value for value in column] == expected
    column.to_frame("c").to_parquet(io.BytesIO())


def test_values_that_differ_stay_different():
    values = [True, 1, "1", "true", "True", 1.5, "1.5", 2**70, str(2**70), "", '"1"']
    assert column_values("c", values).nunique() == len(values)


def test_schema_dtype_is_kept_unless_it_is_relaxed():
    with pytest.raises(RecordError, match=r"column params must be Int64, got 1.5 \(row 1\)"):
        column_values("params", [3, 1.5], "Int64")
    assert column_values("params", [3, 1.5], "Int64", relaxed=True).tolist() == [3.0, 1.5]
    assert column_values("params", [3, 4.0], "Int64", relaxed=True).dtype == "Int64"
    with pytest.raises(RecordError, match="must be Int64"):
        column_values("seeds", [2**63], "Int64")


def test_what_is_neither_number_nor_text_is_an_error():
    with pytest.raises(RecordError, match="column c must hold numbers, or texts, or truth values, got dict"):
        column_values("c", [{"a": 1}, 2])


@pytest.mark.parametrize("value", [None, pd.NA, pd.NaT, math.nan, np.float32("nan")])
def test_missing_values_are_none(value):
    assert present_value(value) is None
    assert present_value(np.int64(7)) == 7
