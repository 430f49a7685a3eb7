from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.monitor.sources.refusal import Refusal
from evalharness.monitor.sources.times import moment

AT = datetime(2026, 11, 22, 10, 30, 15, 123456, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22T10:30:15.123456Z",
        "2026-11-22 10:30:15.123456+00:00",
        "2026-11-22T11:30:15.123456+01:00",
        "2026-11-22T10:30:15.123456789Z",
        "20261122T103015.123456Z",
        "2026-11-22 10:30:15.123456 UTC",
        "2026-11-22 10:30:15.123456 GMT",
        "2026-11-22t10:30:15.123456z",
        1795343415.123456,
        1795343415123456,
        1795343415123456789,
        "1795343415123456789",
        "1795343415.123456",
        AT,
        AT.astimezone(BERLIN),
    ],
)
def test_one_moment_in_many_ways(value: object) -> None:
    assert moment(value, "t") == AT
    assert moment(value, "t").tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("2026-11-22T10:30:15", "no-zone"),
        (datetime(2026, 11, 22), "no-zone"),
        ("2026-11-22", "no-time"),
        ("22.11.2026 10:30", "no-time"),
        ("2026-11-22T10:30:60Z", "no-time"),
        ("2026-13-22T10:30:00Z", "no-time"),
        ("yesterday", "no-time"),
        ("2026-11-22T10:30:15+01:00 UTC", "no-time"),
        ("2026-11-22 10:30:15 PST", "no-time"),
        ("", "no-time"),
        (None, "no-time"),
        (True, "no-time"),
        ([], "no-time"),
        ({}, "no-time"),
        (float("nan"), "no-time"),
        (float("inf"), "no-time"),
        (0, "ambiguous-time"),
        (20261122, "ambiguous-time"),
        (86_400 * 365 * 200, "ambiguous-time"),
        (10**25, "ambiguous-time"),
        (-1, "ambiguous-time"),
        ("0001-01-01T00:00:00+14:00", "no-time"),
    ],
)
def test_what_is_no_moment_is_refused(value: object, rule: str) -> None:
    with pytest.raises(Refusal) as refused:
        moment(value, "t")
    assert refused.value.rule == rule
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [("end_ms", 5000), ("endTimeUnixNano", 5_000_000_000), ("at_us", 5_000_000), ("time_unix_nano", 5 * 10**9)],
)
def test_the_key_says_the_unit(key: str, value: int) -> None:
    assert moment(value, key) == EPOCH + timedelta(seconds=5)


def test_the_unit_that_is_given_comes_first() -> None:
    assert moment(5, "end_ms", unit="s") == EPOCH + timedelta(seconds=5)
    with pytest.raises(Refusal):
        moment(10**30, "t", unit="s")


def test_a_zone_that_is_given_is_that_of_times_without_one() -> None:
    assert moment("2026-11-22T11:30:15.123456", "t", zone=BERLIN) == AT
    # It changes nothing of those that name theirs.
    assert moment("2026-11-22T10:30:15.123456Z", "t", zone=BERLIN) == AT


@pytest.mark.parametrize("local", ["2026-10-25T02:30:00", "2026-03-29T02:30:00"])
def test_an_hour_that_comes_twice_or_never_is_refused(local: str) -> None:
    with pytest.raises(Refusal) as refused:
        moment(local, "t", zone=BERLIN)
    assert refused.value.rule == "ambiguous-time"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_all_units_say_the_same(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    micros = (at - EPOCH) // timedelta(microseconds=1)
    assert moment(micros, "t") == moment(micros * 1000, "t") == moment(str(micros * 1000), "t") == at
    assert moment(at.isoformat(), "t") == at
    assert moment(micros // 10**6, "t") == moment(micros // 10**6 * 1000, "t") == at.replace(microsecond=0)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_anything_is_a_moment_or_refused(value: object) -> None:
    with contextlib.suppress(Refusal):
        assert moment(value, "t").tzinfo is UTC
