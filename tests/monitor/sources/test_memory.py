"""Memory does not grow with what is read: measured by what Python has allocated, and by the process as a whole."""

from __future__ import annotations

import gc
import json
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor.sources import read
from evalharness.suite.source_entry import Source


def _peak(source: Source, make: Any) -> tuple[int, int]:
    """(bytes allocated at most while reading, rows)."""
    gc.collect()
    tracemalloc.start()
    try:
        found = read(source, make.START, make.END, base=Path(), batch=256)
        for _ in found.batches():
            pass
        return tracemalloc.get_traced_memory()[1], found.counts.kept
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["jsonl", "otlp-json", "otlp-message", "otlp-collector"])
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path, make: Any, kind: str) -> None:
    peaks = []
    for n in (300, 3000):
        facts = [make.Fact(f"{k:016x}", make.START + timedelta(seconds=k), said="word " * 60) for k in range(n)]
        if kind == "jsonl":
            source = Source(path=str(make.lines(tmp_path / f"{n}.jsonl", map(make.row, facts))), content=True)
        elif kind == "otlp-json":
            spans = (make.otlp([make.genai_span(fact)]) for fact in facts)
            source = Source(path=str(make.lines(tmp_path / f"{n}.jsonl", spans)), format="otel-genai", content=True)
        else:
            file = tmp_path / f"{n}.pb"
            groups = [make.protobuf(make.otlp([make.genai_span(fact)])) for fact in facts]
            if kind == "otlp-collector":
                groups = [len(group).to_bytes(4) + group for group in groups]
            # Messages of protobuf one after the other are one message.
            file.write_bytes(b"".join(groups))
            source = Source(path=str(file), format="otel-genai", content=True)
        peak, kept = _peak(source, make)
        assert kept == n
        peaks.append(peak)
    size = (tmp_path / next(file.name for file in tmp_path.iterdir() if file.name.startswith("3000"))).stat().st_size
    assert size > 1_500_000
    assert peaks[1] - peaks[0] < 600_000, (peaks, size)


def test_a_line_without_end_is_not_held(tmp_path: Path, make: Any) -> None:
    file = tmp_path / "log.jsonl"
    with file.open("w") as handle:
        handle.write('{"id": "' + "x" * 30_000_000 + '"}\n')
        handle.write(json.dumps(make.row(make.facts_of(5)[0])) + "\n")
    peak, kept = _peak(Source(path=str(file), max_record_bytes=100_000), make)
    assert kept == 1
    assert peak < 5_000_000
