"""Windows of a monitor as states: what is kept, compared and shown of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from evalharness.core.errors import RecordError
from evalharness.core.production import ProductionResponse
from evalharness.monitor.measure import _picture
from evalharness.monitor.state_kit import StateKit
from evalharness.suite.monitor_entry import DriftSettings

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def kit(columns=None, segments=("language",), reference="previous", watch=(), **drift):
    monitor = SimpleNamespace(
        drift=DriftSettings(**drift), columns=columns, segments=segments, reference=reference, watch=watch, scores=()
    )
    return StateKit(SimpleNamespace(monitor=monitor, schedule=SimpleNamespace(length_s=None), base=Path()))


def responses(n, seed, *, slower=1.0, errors=0.02, conversation=True):
    dice = random.Random(seed)
    return [
        ProductionResponse(
            id=f"{seed}-{i}",
            event_time=BEGIN + timedelta(seconds=i),
            model="m1",
            conversation=f"{seed}-{i // 3}" if conversation else None,
            output="x" * dice.randrange(20, 200),
            latency_s=dice.lognormvariate(0, 0.5) * slower,
            error="timeout" if dice.random() < errors else None,
            finish_reason="stop",
            attributes={"language": dice.choice(["de", "en"]), "beta": True},
        )
        for i in range(n)
    ]


def window(of, frozen, given, *, batch=100):
    state = of.state(frozen)
    for start in range(0, len(given), batch):
        state.update(of.table(given[start : start + batch]))
    return state


@pytest.mark.parametrize("conversation", [True, False])
def test_what_changed_is_found(conversation):
    one = kit()
    before = responses(900, 1, conversation=conversation)
    frozen = one.freeze([one.table(before)])
    assert frozen.clustered == conversation
    first = window(one, frozen, before)
    assert first.state.clustered == conversation
    moved = window(one, frozen, responses(900, 2, slower=1.6, errors=0.12, conversation=conversation))
    same = window(one, frozen, responses(900, 3, conversation=conversation))
    found = {(f.column, f.segment) for f in one.compare(first, moved) if f.drifted}
    assert {("latency_s", ""), ("latency_s", "language=de"), ("error", "")} <= found
    assert {column for column, _ in found} == {"latency_s", "error"}
    assert not any(f.drifted for f in one.compare(first, same))
    # Columns that nobody knows a value of, such as the cost, are not there.
    assert {f.column for f in one.compare(first, same)} == {
        "latency_s",
        "output.characters",
        "error",
        "finish_reason",
        "model",
    }


def test_batches_do_not_matter_and_bytes_come_back():
    one = kit()
    given = responses(500, 1)
    frozen = one.layout(one.freeze([one.table(given)]).to_bytes())
    assert frozen.digest == one.freeze([one.table(given)]).digest
    whole, pieces = window(one, frozen, given, batch=500), window(one, frozen, given, batch=70)
    again = one.restored(pieces.to_bytes(), frozen)
    other = window(one, frozen, responses(500, 9, slower=1.3))
    assert one.compare(again, other) == one.compare(whole, other)
    with pytest.raises(RecordError, match="cannot be read"):
        one.layout(b'{"layout": 3}')


def test_memory_does_not_grow_with_rows():
    one = kit(columns=["latency_s", "error"])
    given = responses(400, 1)
    frozen = one.freeze([one.table(given)])
    small, large = window(one, frozen, given), window(one, frozen, responses(20_000, 2), batch=5_000)
    larger = window(one, frozen, responses(80_000, 3), batch=5_000)
    assert len(large.to_bytes()) < 20_000 < 20 * len(small.to_bytes())
    assert len(larger.to_bytes()) < 1.5 * len(large.to_bytes())


def test_a_stated_run_length_sets_the_level():
    assert kit(run_length=100)._policy.alpha == pytest.approx(1 / 400), "the other half is left to what adds up"
    assert kit(run_length=100, reference="same_slot_last_week")._policy.alpha == pytest.approx(1 / 200)
    assert kit()._policy.alpha == 0.05


def test_the_report_shows_both_sides():
    one = kit(columns=["latency_s", "error", "model"])
    before = responses(600, 1)
    frozen = one.freeze([one.table(before)])
    first, now = window(one, frozen, before), window(one, frozen, responses(500, 2, slower=2.0, errors=0.3))
    report = one.report(first, now, one.compare(first, now), ("last week", "today"))
    assert (report.n_reference, report.n_current) == (600, 500)
    means = {name: (a, b) for name, a, b in report.summaries["latency_s"]}
    assert means["mean"][1] == pytest.approx(2 * means["mean"][0], rel=0.15)
    assert means["median"][1] > means["median"][0]
    name, a, b = report.summaries["error"][0]
    assert name == "share of true"
    assert b - a == pytest.approx(0.28, abs=0.06)
    drawn = _picture(report.pictures["latency_s"], "latency_s")
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{http://www.w3.org/2000/svg}title").text == "latency_s"
    assert _picture({}, "nothing") == ""


def test_a_rule_for_one_segment_goes_before_the_one_for_all():
    given = [
        {"column": "latency_s", "test": "ks", "effect": 0.5},
        {"column": "latency_s", "test": "wasserstein", "effect": 0.01, "segment": "language=de"},
        {"column": "error", "effect": 0.9, "segment": "language=en"},
    ]
    one = kit(rules=given)
    before = responses(900, 1)
    frozen = one.freeze([one.table(before)])
    after = window(one, frozen, responses(900, 2, slower=1.2, errors=0.3))
    found = {(f.column, f.segment): f for f in one.compare(window(one, frozen, before), after)}
    latency = {segment: found["latency_s", segment] for segment in ("", "language=de", "language=en")}
    assert [f.test for f in latency.values()] == ["ks", "wasserstein", "ks"]
    assert [f.effect_threshold for f in latency.values()] == [0.5, 0.01, 0.5]
    assert [f.state for f in latency.values()] == ["small", "drift", "small"]
    assert found["error", "language=de"].drifted
    assert found["error", "language=en"].state == "small"
