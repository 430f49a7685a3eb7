"""Whatever stands in a log, reading it ends well: each row is a response, left out, or quarantined with a remedy."""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.monitor.sources import read
from evalharness.suite.source_entry import RESPONSE_FIELDS, Source, SourceFormat

FORMATS = [name for name in get_args(SourceFormat) if name not in ("sql", "duckdb")]

WORDS = """
resourceSpans scopeSpans spans attributes resource key value stringValue arrayValue kvlistValue values intValue spanId
endTimeUnixNano startTimeUnixNano events name status code gen_ai.operation.name gen_ai.input.messages
gen_ai.prompt.0.content gen_ai.response.finish_reasons openinference.span.kind llm.input_messages
llm.input_messages.0.message.content choices message content usage prompt_tokens prompt_tokens_details request response
body result type role parts object created created_at error custom_id context span_id
"""
KEYS = st.sampled_from([*WORDS.split(), *RESPONSE_FIELDS])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["2026-11-22T10:30:00Z", 1795343415, "1795343415000000000", "LLM", "chat", "text", "message",
                     "succeeded", "response", '[{"role": "user"}]', "[broken", "user", "errored"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=25,
)
ROWS = st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=10))


def _read(source: Source, make: Any) -> Any:
    found = read(source, make.START - timedelta(days=9000), make.END + timedelta(days=9000), base=Path())
    found.responses = [response for batch in found.batches() for response in batch]  # type: ignore[attr-defined]
    counts = found.counts
    assert counts.rows == counts.kept + counts.outside + counts.duplicates + counts.quarantined + counts.other
    assert counts.kept == len(found.responses)  # type: ignore[attr-defined]
    assert all(item.rule and item.remedy for item in found.quarantine.listed)
    assert len(found.quarantine) == counts.quarantined
    return found


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=5))
def test_any_json_is_read_or_quarantined(format_: Any, rows: list[Any], make: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = make.lines(Path(folder) / "log.jsonl", rows)
        _read(Source(path=str(file), format=format_, content=True, attributes=("model", "a.b")), make)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), name=st.sampled_from(["a.pb", "a.jsonl", "a.json", "a.parquet", "a.jsonl.gz"]))
def test_any_bytes_are_read_or_quarantined(data: bytes, name: str, make: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        _read(Source(path=folder, format="otel-genai", content=True), make)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_message_is_read_or_quarantined(make: Any, data: Any) -> None:
    good = make.protobuf(make.otlp(map(make.genai_span, make.facts_of(1, 2, 3))))
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 4)) :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.pb").write_bytes(damaged)
        _read(Source(path=folder, format="otel-genai", content=True), make)


@pytest.mark.parametrize("format_", ["otel-genai", "openinference", "openai", "anthropic", "response.v1"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_good_row_with_one_thing_changed(format_: str, make: Any, data: Any) -> None:
    """Closer to what happens: all is well but one value, somewhere."""
    (fact,) = make.facts_of(5)
    row = {
        "otel-genai": lambda: make.otlp([make.genai_span(fact)]),
        "openinference": lambda: make.otlp([make.inference_span(fact)]),
        "openai": lambda: make.openai_pair(fact),
        "anthropic": lambda: make.anthropic_pair(fact),
        "response.v1": lambda: make.row(fact),
    }[format_]()
    row = json.loads(json.dumps(row))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((value, key))
            if isinstance(item, dict | list):
                walk(item)

    walk(row)
    owner, key = data.draw(st.sampled_from(places))
    owner[key] = data.draw(VALUES)
    with tempfile.TemporaryDirectory() as folder:
        file = make.lines(Path(folder) / "log.jsonl", [row])
        _read(Source(path=str(file), format=format_, content=True), make)  # type: ignore[arg-type]
