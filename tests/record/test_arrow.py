from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evalharness.record import Record
from evalharness.record.arrow import arrow_array, arrow_floats, arrow_scalar, numpy_floats
from evalharness.record.schema import samples_schema

STRUCT = pa.struct([("total", pa.float64()), ("n", pa.int64()), ("greedy", pa.bool_())])
CASES = {
    "text": (pa.string(), ["a", "", "ünï\U0001f600", "x" * 1000]),
    "text with none": (pa.string(), [None, "a", None, "", None]),
    "whole numbers": (pa.int64(), [0, -(2**63), 2**63 - 1]),
    "whole numbers with none": (pa.int64(), [None, 7, None]),
    "numbers": (pa.float64(), [0.1, -math.inf, math.inf, 5]),
    "numbers with none": (pa.float64(), [None, 1.5]),
    "truth": (pa.bool_(), [True, False, *[True] * 20, False]),
    "truth with none": (pa.bool_(), [None, True, False]),
    "lists": (pa.list_(pa.string()), [["a", "b"], [], ["c"]]),
    "lists with none": (pa.list_(pa.int64()), [None, [1, None], []]),
    "structs": (pa.list_(STRUCT), [[], [{"total": -1.5, "n": 3, "greedy": True}], [], []]),
    "lists of lists": (pa.list_(pa.list_(pa.float64())), [[[1.0], []], [], [[2.0, 3.0]]]),
    "nothing": (pa.string(), []),
    "no lists": (pa.list_(STRUCT), []),
}


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_those_of_pyarrow(name):
    kind, values = CASES[name]
    found = arrow_array(values, kind)
    found.validate(full=True)
    assert found.equals(pa.array(values, type=kind))
    assert found.null_count == sum(value is None for value in values)


def test_every_kind_of_column_can_be_made():
    for field in samples_schema():
        assert arrow_array([], field.type).type == field.type


def test_what_does_not_fit_is_refused():
    with pytest.raises(OverflowError):
        arrow_array([2**63], pa.int64())
    with pytest.raises(TypeError, match="no column of a record is date32"):
        arrow_array([1], pa.date32())


def test_floats_and_rows_of_floats():
    values = np.arange(12.0).reshape(4, 3)
    assert arrow_floats(values[:, 0]).to_pylist() == [0.0, 3.0, 6.0, 9.0]
    assert arrow_floats(values[1:3]).equals(pa.array([[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]], pa.list_(pa.float64())))
    assert arrow_floats(np.zeros((0, 3))).to_pylist() == []
    assert arrow_floats(np.zeros((2, 0))).to_pylist() == [[], []]


def test_floats_come_back():
    array = pa.array([1.5, math.nan, -2.0, 7.0])
    assert numpy_floats(array[1:3]).tolist()[1:] == [-2.0]
    assert numpy_floats(pa.array([[1.0], [2.0, 3.0]]).slice(1).flatten()).tolist() == [2.0, 3.0]
    assert numpy_floats(pa.array([], pa.float64())).shape == (0,)


def test_a_scalar_compares():
    import pyarrow.compute as pc

    assert pc.equal(arrow_array(["a", None, "é"], pa.string()), arrow_scalar("é")).to_pylist() == [False, None, True]


def test_records_are_read_and_written_without_pandas(record: Record, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from evalharness.record import Record
from evalharness.record.write import write_samples, write_scores, write_stats
record = Record.open({str(record.folder)!r})
task, model = record.manifest.tasks[0].id, record.manifest.tasks[0].model
rows = list(record.iter_samples(task=task, model=model))
write_samples(Path({str(tmp_path)!r}, "samples"), rows)
write_stats(Path({str(tmp_path)!r}, "stats"), [record.stats(task, model, record.results[0].metric)])
write_scores(Path({str(tmp_path)!r}, "scores"), [])
print(len(rows) > 0, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
