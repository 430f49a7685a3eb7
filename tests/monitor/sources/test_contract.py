"""What holds for every format and every transport."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.monitor.sources import read


def test_every_format_says_the_same(write: Callable[..., Any], reading: Any, make: Any) -> None:
    facts = make.facts_of(5, 10, 15)
    found = reading(write(facts, content=True))
    for fact, response in zip(facts, found.responses, strict=True):
        assert response.id == fact.id
        assert response.event_time == fact.at
        assert response.service == "shop"
        assert (response.input, response.output) == (fact.asked, fact.said)
        assert response.model == fact.model
        assert response.conversation == fact.conversation
        assert response.finish_reason == fact.finish
        assert (response.input_tokens, response.output_tokens) == (fact.input_tokens, fact.output_tokens)
        assert response.latency_s == pytest.approx(fact.latency_s)
        assert response.error is None
        assert math.isnan(response.cost_usd)
    assert (found.counts.kept, found.counts.quarantined, found.counts.duplicates) == (3, 0, 0)


def test_nothing_of_texts_is_kept_without_content(write: Callable[..., Any], reading: Any, make: Any) -> None:
    found = reading(write(make.facts_of(5, 10)))
    assert found.counts.kept == 2
    for response in found.responses:
        assert (response.input, response.output, response.messages, response.reasoning) == (None, None, (), None)
        assert "Question" not in repr(response)
        assert "Answer" not in repr(response)


def test_intervals_are_half_open(write: Callable[..., Any], reading: Any, make: Any) -> None:
    # The first moment belongs to the interval, the last one to the next.
    facts = make.facts_of(-1 / 6e7, 0, 30, 60 - 1 / 6e7, 60, 61)
    source = write(facts)
    inside = reading(source)
    assert [response.id for response in inside.responses] == [fact.id for fact in facts[1:4]]
    after = reading(source, start=make.END, end=make.END + timedelta(hours=1))
    assert [response.id for response in after.responses] == [fact.id for fact in facts[4:]]


def test_intervals_tile_time(write: Callable[..., Any], reading: Any, make: Any) -> None:
    facts = make.facts_of(0, 1, 19.99, 20, 20.01, 40, 59)
    source = write(facts)
    edges = [make.START + timedelta(minutes=20 * step) for step in range(4)]
    parts = [reading(source, start=a, end=b) for a, b in pairwise(edges)]
    assert [response.id for part in parts for response in part.responses] == [fact.id for fact in facts]


def test_a_duplicate_is_read_once(write: Callable[..., Any], reading: Any, make: Any) -> None:
    first, second, third = make.facts_of(5, 10, 15)
    source = write([first, second, first, third, second])
    for batch in (1, 2, 2048):
        found = reading(source, batch=batch)
        assert [response.id for response in found.responses] == [first.id, second.id, third.id]
        assert (found.counts.kept, found.counts.duplicates) == (3, 2)


def test_counts_add_up(write: Callable[..., Any], reading: Any, make: Any) -> None:
    facts = make.facts_of(5, 10, 70)
    counts = reading(write([*facts, facts[0]])).counts
    assert counts.rows == counts.kept + counts.outside + counts.duplicates + counts.quarantined + counts.other
    assert (counts.kept, counts.duplicates) == (2, 1)


def test_the_digest_is_of_what_was_kept_in_any_order(write: Callable[..., Any], reading: Any, make: Any) -> None:
    facts = make.facts_of(5, 10, 15)
    one = reading(write(facts)).digest
    assert one == reading(write([facts[2], facts[0], facts[1], facts[0]])).digest
    assert one != reading(write(facts[:2])).digest


def test_batches_are_no_longer_than_asked(write: Callable[..., Any], make: Any) -> None:
    source = write(make.facts_of(*range(1, 8)))
    found = read(source, make.START, make.END, base=Path(), batch=3)
    assert [len(batch) for batch in found.batches()] == [3, 3, 1]
    with pytest.raises(RuntimeError):
        next(found.batches())


def test_redaction_comes_before_everything(write: Callable[..., Any], reading: Any, make: Any) -> None:
    fact = make.Fact("1" * 16, make.START, asked="Write to ann@corp.de about T-77", said="Sent to ann@corp.de")
    found = reading(write([fact], content=True, redact=["email", r"T-\d+"]))
    (response,) = found.responses
    assert response.input == "Write to [email] about [redacted]"
    assert response.output == "Sent to [email]"
    assert "ann@corp" not in repr(response)


def test_an_interval_must_be_one(make: Any) -> None:
    from evalharness.suite.source_entry import Source

    source = Source(path="x.jsonl")
    with pytest.raises(UsageError, match="empty"):
        read(source, make.END, make.START, base=Path())
    with pytest.raises(UsageError, match="zone"):
        read(source, make.START.replace(tzinfo=None), make.END, base=Path())
