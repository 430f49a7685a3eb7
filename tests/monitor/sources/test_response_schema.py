"""`response.v1`: the schema that is published, the rows that are written, and what is read back agree."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.cli.main import main
from evalharness.core.production import ProductionResponse
from evalharness.monitor.sources import read
from evalharness.monitor.sources.response_schema import response_schema
from evalharness.monitor.sources.written import row_of
from evalharness.suite.source_entry import RESPONSE_FIELDS, Source

ROOT = Path(__file__).parents[3]
VALID = jsonschema.Draft202012Validator(response_schema())

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, fold=0))
WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
FIGURES = st.one_of(st.just(math.nan), st.floats(0, 1e9), st.integers(0, 10**6).map(float))
RESPONSES = st.builds(
    ProductionResponse,
    id=WORDS.filter(str.strip),
    event_time=TIMES,
    ingest_time=st.none() | TIMES,
    service=WORDS, model=WORDS, operation=WORDS, finish_reason=WORDS,
    conversation=st.none() | WORDS.filter(bool), error=st.none() | WORDS.filter(bool),
    label=st.none() | WORDS.filter(bool), prediction=st.none() | WORDS.filter(bool),
    input=st.just("") | WORDS, output=st.none() | WORDS, reasoning=st.none() | WORDS,
    messages=st.lists(st.tuples(WORDS.filter(bool), WORDS), max_size=3).map(tuple),
    latency_s=FIGURES, time_to_first_token_s=FIGURES, input_tokens=FIGURES, output_tokens=FIGURES,
    cached_tokens=FIGURES, reasoning_tokens=FIGURES, cost_usd=FIGURES,
    probability=st.just(math.nan) | st.floats(0, 1),
    scores=st.dictionaries(WORDS, st.floats(-1e9, 1e9), max_size=3),
    attributes=st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-9, 9) | WORDS, max_size=3),
)  # fmt: skip


def test_the_fields_are_those_of_a_response() -> None:
    names = tuple(field.name for field in fields(ProductionResponse))
    assert names == RESPONSE_FIELDS
    properties = response_schema()["properties"]
    assert isinstance(properties, dict)
    assert tuple(properties) == ("schema", *names)
    jsonschema.Draft202012Validator.check_schema(response_schema())


def test_the_published_schema_is_the_one_of_the_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["schema", "--response"]) == 0
    printed = capsys.readouterr().out
    published = (ROOT / "suites" / "response.v1.schema.json").read_text()
    assert published == printed, "run: evalharness schema --response > suites/response.v1.schema.json"
    assert main(["schema", "--response", "--out", str(tmp_path / "r.json")]) == 0
    assert (tmp_path / "r.json").read_text() == printed


@settings(max_examples=60, deadline=None)
@given(RESPONSES)
def test_what_is_written_is_valid_and_read_back_the_same(response: ProductionResponse) -> None:
    row = json.loads(json.dumps(row_of(response), allow_nan=False))
    VALID.validate(row)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "log.jsonl").write_text(json.dumps(row) + "\n")
        start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        found = read(Source(path=folder, content=True), start, end, base=Path())
        (back,) = [one for batch in found.batches() for one in batch]
    assert repr(back) == repr(response)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""}, {"id": None}, {"id": ["a"]}, {"event_time": None}, {"event_time": []}, {"model": {}},
        {"output": {}}, {"latency_s": -1}, {"latency_s": []}, {"probability": 2}, {"scores": []}, {"scores": {"a": {}}},
        {"attributes": {"a": {}}}, {"attributes": []}, {"schema": "response.v2"}, {"messages": 3},
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_quarantined(
    tmp_path: Path, make: Any, reading: Any, change: dict[str, Any]
) -> None:
    row = make.row(make.facts_of(5)[0])
    assert VALID.is_valid(row)
    assert not VALID.is_valid(row | change)
    found = reading(Source(path=str(make.lines(tmp_path / "log.jsonl", [row | change])), content=True))
    assert found.counts.quarantined == 1
