"""Which samples are like what moved in production."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from evalharness.core.drifting import DriftFinding, DriftState
from evalharness.core.production import ProductionResponse
from evalharness.monitor.canary.affected import affected_samples, moved_most
from evalharness.monitor.describe import watches_of

WHEN = datetime(2026, 3, 2, tzinfo=UTC)


def finding(column: str, effect: float, state: DriftState = "drift", segment: str = "") -> DriftFinding:
    nan = math.nan
    return DriftFinding(
        column, "numeric", "ks", state, "", 0.0, 0.0, effect, "gap", 0.1, nan, nan, 100, 100, segment=segment
    )


def response(name: str, text: str | None, **attributes: Any) -> ProductionResponse:
    return ProductionResponse(id=name, event_time=WHEN, input=text, attributes=attributes)


def test_the_furthest_beyond_its_threshold_speaks_and_a_segment_where_only_some_have_drifted() -> None:
    assert moved_most([finding("a", 0.5, "small")]) is None
    a, b = finding("a", 0.2), finding("b", 0.4)
    assert moved_most([a, b]) is b
    de, en = finding("b", 0.9, segment="language=de"), finding("b", 0.0, "no_drift", "language=en")
    assert moved_most([a, b, de, en]) is de
    fr = finding("b", 0.0, "too_few", "language=fr")
    both = finding("b", 0.3, segment="language=en")
    assert moved_most([a, b, de, both, fr]) is b
    assert moved_most([de, both]) is de


def test_a_segment_is_the_group_of_its_value() -> None:
    task = [response(f"s{i}", "x", language="de" if i < 4 else "en", new=i < 2) for i in range(20)]
    found = affected_samples(finding("latency_s", 1, segment="language=de"), task, [])
    assert found.samples == {"s0", "s1", "s2", "s3"}
    assert (found.what, found.segment) == ("language=de", "language=de")
    assert affected_samples(finding("latency_s", 1, segment="new=true"), task, []).samples == {"s0", "s1"}


def test_a_segment_that_the_task_has_no_group_for_is_sought_by_its_inputs() -> None:
    task = [response(f"s{i}", "x" * (10 * i + 1)) for i in range(40)]
    production = [response(f"r{i}", "x" * 395, tier="free") for i in range(30)]
    production += [response(f"p{i}", "x" * (10 * i + 1), tier="paid") for i in range(40)]
    found = affected_samples(finding("input.characters", 1, segment="tier=free"), task, production)
    assert found.what.startswith("tier=free, which the task has no group for: the whole task (only 4 of its samples")
    found = affected_samples(finding("input.characters", 1, segment="tier=none"), task, production)
    assert found.samples is None


def test_numbers_go_by_where_production_has_more_than_the_task() -> None:
    task = [response(f"s{i}", "x" * (i + 1)) for i in range(100)]
    production = [response(f"r{i}", "x" * (80 + i % 20)) for i in range(300)] + [response("r", None)]
    found = affected_samples(finding("input.characters", 1), task, production)
    assert found.samples == {f"s{i}" for i in range(80, 100)} or found.samples == {f"s{i}" for i in range(79, 100)}
    assert found.what in ("samples with input.characters of 81 to 100", "samples with input.characters of 80 to 100")


def test_words_go_by_those_that_production_has_gained() -> None:
    task = [response(f"s{i}", "where is my refund" if i < 15 else "how do i log in") for i in range(60)]
    production = [response(f"r{i}", "i want my refund now") for i in range(80)]
    found = affected_samples(finding("input.terms", 1), task, production, watches_of(["input.terms"]))
    assert found.samples == {f"s{i}" for i in range(15)}
    assert "refund" in found.what


def test_classes_go_by_those_that_production_has_gained() -> None:
    task = [response(f"s{i}", "see https://a.example" if i < 12 else "see there") for i in range(60)]
    production = [response(f"r{i}", "see https://b.example") for i in range(80)]
    found = affected_samples(finding("input.url", 1), task, production, watches_of(["input.url"]))
    assert found.samples == {f"s{i}" for i in range(12)}
    assert found.what == "samples with input.url yes"


@pytest.mark.parametrize("column", ["latency_s", "output.characters", "error"])
def test_what_says_nothing_of_inputs_gives_the_whole_task_and_says_so(column: str) -> None:
    found = affected_samples(finding(column, 1), [response("s", "x")], [response("r", "x")])
    assert found.samples is None
    assert found.what == f"the whole task ({column} says nothing of a sample before it is asked)"
