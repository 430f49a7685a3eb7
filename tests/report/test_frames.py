import csv
import io
import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.report.frames import csv_text, neutral, summary_json, table, write_parquet

ODD = "=cmd|' /C calc'!A0\ud800\x00,\"\n"


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-a", "@x", "\tx", "\rx", "\nx", "-1+2", "+1 234", "-", "=", "--1"])
def test_formulas_are_neutralised(cell):
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1", "+1.5", "-.5", "-1e-3", "1", "text", "", "a=b", "-inf", "'=x", " =x", "1-2"])
def test_numbers_and_text_stay(cell):
    assert neutral(cell) == cell


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_csv_round_trip(text):
    frame = pd.DataFrame({"a": pd.Series([text, None], dtype=object), "b": [1.5, math.nan]})
    rows = list(csv.reader(io.StringIO(csv_text(frame), newline="")))
    assert rows[0] == ["a", "b"]
    assert rows[1] == [neutral(text), "1.5"]
    assert rows[2] == ["", ""]


def test_metrics_csv(make_record):
    record = make_record(models=("a", "b"))
    rows = list(csv.DictReader(io.StringIO(csv_text(table(record, "metrics")))))
    assert len(rows) == len(record.results)
    first = rows[0]
    assert (first["run"], first["task"], first["model"], first["metric"]) == (record.id, "sentiment", "a", "accuracy")
    assert float(first["value"]) == record.results[0].value  # in full precision
    assert rows[6]["value"] == ""  # NaN is a missing value, not a text
    assert {"ci_low", "ci_high", "n", "n_failed", "group", "signature"} <= set(first)


def test_no_cell_of_a_hostile_record_is_a_formula(make_record):
    record = make_record(odd=ODD, metric="=2+5", models=("@m",))
    for name in ("metrics", "samples", "scores"):
        text = csv_text(table(record, name))
        text.encode("utf-8")
        for row in csv.reader(io.StringIO(text, newline="")):
            for cell in row:
                assert neutral(cell) == cell


def test_samples_hold_lists_as_json(make_record):
    frame = table(make_record(), "samples")
    assert len(frame) == 24
    row = frame.iloc[0]
    assert json.loads(row["choices"]) == ["neg", "pos"]
    assert json.loads(row["groups"]) == {"language": "en"}
    assert json.loads(row["loglikelihoods"])[0]["total"] == -1.5
    chat = frame[frame["task"] == "translate"].iloc[0]
    assert json.loads(chat["prompt"])[0]["role"] == "system"


@pytest.mark.parametrize("name", ["metrics", "samples", "scores"])
def test_parquet_round_trip(make_record, tmp_path, name):
    record = make_record(odd="\ud800")
    frame = table(record, name)
    write_parquet(frame, tmp_path / "t.parquet")
    again = pd.read_parquet(tmp_path / "t.parquet")
    assert list(again.columns) == list(frame.columns)
    assert len(again) == len(frame)
    if name == "metrics":
        assert again["value"].isna().sum() == 1
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ""] == ["t.parquet"]


def test_summary_json(make_record):
    record = make_record(odd="\ud800")
    body = json.loads(summary_json(record, {"state": "pass", "reason": "ok"}))
    assert body["id"] == record.id
    assert body["results"][-1]["value"] == "nan"
    assert body["gate"]["state"] == "pass"
    assert json.loads(summary_json(record))["gate"] is None
