"""Bad rows: each is counted under its rule, named with its line, and never stops the rest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import Place, UsageError
from evalharness.monitor.sources.quarantine import Quarantine
from evalharness.monitor.sources.refusal import Refusal
from evalharness.suite.source_entry import Source


def test_each_bad_row_is_named(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    good = make.row(make.facts_of(5)[0])
    bad: list[tuple[str, str]] = [
        ("not json", "not-json"),
        ("[1, 2]", "not-an-object"),
        (json.dumps(good | {"event_time": "2026-11-22T10:00:00"}), "no-zone"),
        (json.dumps(good | {"event_time": 17}), "ambiguous-time"),
        (json.dumps({key: value for key, value in good.items() if key != "event_time"}), "no-time"),
        (json.dumps(good | {"id": ""}), "no-id"),
        (json.dumps(good | {"id": None}), "no-id"),
        (json.dumps(good | {"latency_s": -1}), "out-of-range"),
        (json.dumps(good | {"input_tokens": "many"}), "not-a-number"),
        (json.dumps(good | {"probability": 1.5}), "out-of-range"),
        (json.dumps(good | {"scores": {"a": "b"}}), "not-a-number"),
        (json.dumps(good | {"scores": [1]}), "not-an-object"),
        (json.dumps(good | {"attributes": {"a": {"b": 1}}}), "not-an-attribute"),
        (json.dumps(good | {"model": ["m"]}), "not-text"),
        (json.dumps(good | {"output": 7}), "not-text"),
        (json.dumps(good | {"messages": '[{"role": "user", "cont'}), "not-json"),
        (json.dumps(good | {"output": "\ud800"}), "not-text"),
        (json.dumps(good | {"schema": "response.v9"}), "other-schema"),
        (json.dumps(good | {"id": "x" * 20_000}), "too-long"),
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(f"{line}\n" for line, _ in bad) + "\n" + json.dumps(good) + "\n")
    found = reading(Source(path=str(file), content=True, max_record_bytes=10_000))
    assert [response.id for response in found.responses] == [good["id"]]
    assert [(item.place.line, item.rule) for item in found.quarantine.listed] == [
        (number, rule) for number, (_, rule) in enumerate(bad, start=1)
    ]
    assert all(item.remedy and item.place.file == str(file) for item in found.quarantine.listed)
    assert found.counts.quarantined == len(bad)
    assert found.counts.rows == len(bad) + 1


def test_texts_are_never_shown(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    secret = "my very private question"
    rows = [
        make.row(make.facts_of(5)[0]) | {"output": {"text": secret}},
        make.row(make.facts_of(5)[0]) | {"messages": json.dumps([{"role": "user", "content": secret}])[:-2]},
        make.row(make.facts_of(5)[0]) | {"messages": [{"role": "user", "content": {"a": secret}}], "input": None},
    ]
    found = reading(Source(path=str(make.lines(tmp_path / "log.jsonl", rows)), content=True))
    found.quarantine.write(tmp_path / "out" / "quarantine.jsonl")
    assert found.counts.quarantined >= 2
    assert "private" not in (tmp_path / "out" / "quarantine.jsonl").read_text()


def test_values_are_redacted(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    rows = [make.row(make.facts_of(5)[0]) | {"event_time": "ann@corp.de"}]
    found = reading(Source(path=str(make.lines(tmp_path / "log.jsonl", rows)), redact=("email",)))
    assert found.quarantine.listed[0].value == "'[email]'"


def test_the_file_lists_the_first_of_each_rule_and_counts_all(tmp_path: Path) -> None:
    quarantine = Quarantine()
    for number in range(1, 251):
        quarantine.add(Place("log.jsonl", number), Refusal("no-time", "t", "nothing", "write one"))
    quarantine.add(Place("log.jsonl", 251), Refusal("no-id", "id", "nothing", "write one"))
    quarantine.write(tmp_path / "quarantine.jsonl")
    *rows, last = map(json.loads, (tmp_path / "quarantine.jsonl").read_text().splitlines())
    assert [row["line"] for row in rows] == [*range(1, 101), 251]
    assert rows[0] == {
        "file": "log.jsonl", "line": 1, "rule": "no-time", "field": "t", "value": "nothing", "remedy": "write one"
    }  # fmt: skip
    assert last == {"quarantined": 251, "listed": 101, "by_rule": {"no-time": 250, "no-id": 1}}
    assert len(quarantine) == 251


def test_a_cut_gzip_gives_what_came_before(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    import random

    noise = random.Random(3)
    rows = [make.row(fact) | {"output": f"{noise.random()}"} for fact in make.facts_of(*[n / 10 for n in range(500)])]
    file = tmp_path / "log.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())[:-2000])
    found = reading(Source(path=str(file)))
    assert 0 < found.counts.kept < 500
    assert found.quarantine.by_rule["damaged-file"] == 1


def test_a_cut_gzip_costs_no_whole_line(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    lines = [json.dumps(make.row(fact)) + "\n" for fact in make.facts_of(1, 2, 3)]
    # All is there but for gzip's checksum.
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode())[:-8])
    found = reading(Source(path=str(tmp_path / "log.jsonl.gz")))
    assert found.counts.kept == 3
    assert [(item.rule, item.place.line) for item in found.quarantine.listed] == [("damaged-file", 4)]


def test_documents_over_many_lines_follow_one_another(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    rows = [make.row(fact) for fact in make.facts_of(1, 2, 3)]
    printed = [json.dumps(row, indent=4) for row in rows]
    lines = printed[0].count("\n") + 1
    (tmp_path / "a.jsonl").write_text("\n".join(printed) + "\n\n", encoding="utf-8-sig")
    found = reading(Source(path=str(tmp_path / "a.jsonl")))
    assert [response.id for response in found.responses] == [row["id"] for row in rows]
    # What is damaged costs what comes after it, and is named by its line.
    (tmp_path / "a.jsonl").write_text("\n".join([printed[0], "[7,", json.dumps(rows[1]), "]", "{", "oh", printed[2]]))
    found = reading(Source(path=str(tmp_path / "a.jsonl")))
    assert [response.id for response in found.responses] == [row["id"] for row in rows[:2]]
    assert [(item.rule, item.place.line) for item in found.quarantine.listed] == [
        ("not-an-object", lines + 1), ("not-json", lines + 5)
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_bytes(b'{\n"id": "caf\xe9"\n}\n')
    assert dict(reading(Source(path=str(tmp_path / "a.jsonl"))).quarantine.by_rule) == {"not-utf-8": 1}


@pytest.mark.parametrize("name", ["a.parquet", "a.pb"])
def test_a_file_that_is_none_is_one_fault(tmp_path: Path, name: str, reading: Callable[..., Any]) -> None:
    (tmp_path / name).write_bytes(b"this is something else entirely")
    found = reading(Source(path=str(tmp_path), format="otel-genai"))
    assert (found.counts.kept, found.counts.quarantined) == (0, 1)


def test_a_path_that_names_nothing_is_an_error(tmp_path: Path, reading: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        reading(Source(path="nowhere.jsonl"), base=tmp_path)
    # A pattern may come to match something.
    assert reading(Source(path="logs/*.jsonl"), base=tmp_path).counts.rows == 0


def test_folders_and_patterns_in_order(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    facts = make.facts_of(1, 2, 3, 4)
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    for name, fact in zip(("b.jsonl", "a.jsonl", "deep/c.ndjson", ".hidden.jsonl"), facts, strict=True):
        make.lines(tmp_path / "logs" / name, [make.row(fact)])
    (tmp_path / "logs" / "README.md").write_text("no data")
    ids = [fact.id for fact in facts]
    assert [r.id for r in reading(Source(path="logs"), base=tmp_path).responses] == [ids[1], ids[0], ids[2]]
    assert [r.id for r in reading(Source(path="logs/*.jsonl"), base=tmp_path).responses][-2:] == [ids[1], ids[0]]
    both = Source(path=("logs/b.jsonl", "logs/**/*.jsonl"))
    assert next(r.id for r in reading(both, base=tmp_path).responses) == ids[0]


@pytest.mark.parametrize("framed", [True, False])
def test_a_message_that_is_too_long_costs_no_other(
    tmp_path: Path, make: Any, reading: Callable[..., Any], framed: bool
) -> None:
    one, two = make.facts_of(5, 10)
    long = make.Fact("f" * 16, make.START, said="word " * 2000)
    parts = [make.protobuf(make.otlp([make.genai_span(fact)])) for fact in (one, long, two)]
    (tmp_path / "a.pb").write_bytes(b"".join((len(part).to_bytes(4) if framed else b"") + part for part in parts))
    found = reading(Source(path=str(tmp_path), format="otel-genai", max_record_bytes=5000))
    assert [response.id for response in found.responses] == [one.id, two.id]
    assert [(item.rule, item.place.line) for item in found.quarantine.listed] == [("too-long", 2)]


def test_late_and_a_mark_at_the_beginning(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    from datetime import timedelta

    rows = [
        make.row(fact) | {"ingest_time": (make.END + timedelta(seconds=late)).isoformat()}
        for fact, late in zip(make.facts_of(1, 2, 3), (-1, 59, 60), strict=True)
    ]
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + "".join(json.dumps(row) + "\n" for row in rows).encode())
    assert reading(Source(path=str(file))).counts.late == 2
    assert reading(Source(path=str(file)), lateness_s=60).counts.late == 1
