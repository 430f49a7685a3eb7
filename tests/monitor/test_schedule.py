"""Intervals follow cron, zones and clock changes: without gap and overlap, wherever one begins to look."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.monitor.schedule import Interval, Schedule, parse_interval, utc_text

DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def texts(schedule: Schedule, after: str, until: str) -> list[str]:
    return [utc_text(firing) for firing in schedule.firings(at(after), at(until))]


def test_a_time_that_a_clock_change_skips_comes_right_after_it() -> None:
    # In Berlin 02:00 becomes 03:00 on 29 March 2026.
    found = texts(Schedule("30 2 * * *", "Europe/Berlin"), "2026-03-28T00:00Z", "2026-03-30T12:00Z")
    assert found == ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]


def test_a_time_that_a_clock_change_repeats_comes_once() -> None:
    # In Berlin 03:00 becomes 02:00 on 25 October 2026.
    found = texts(Schedule("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00Z", "2026-10-26T12:00Z")
    assert found == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]


def test_every_hour_is_every_hour_of_real_time() -> None:
    for day in ("2026-03-29", "2026-10-25"):
        start = at(f"{day}T00:00Z") - timedelta(hours=1)
        found = list(Schedule("0 * * * *", "Europe/Berlin").firings(start, start + timedelta(hours=6)))
        assert found == [start + timedelta(hours=i) for i in range(1, 7)]


def test_a_day_has_23_24_or_25_hours() -> None:
    schedule = Schedule("0 0 * * *", "America/New_York")
    lengths = {
        i.end.astimezone(ZoneInfo(schedule.zone)).date().isoformat(): (i.end - i.start) / timedelta(hours=1)
        for i in schedule.intervals(at("2026-03-01T00:00Z"), at("2026-12-01T00:00Z"))
    }
    assert [day for day, hours in lengths.items() if hours == 23] == ["2026-03-09"]
    assert [day for day, hours in lengths.items() if hours == 25] == ["2026-11-02"]
    assert set(lengths.values()) == {23.0, 24.0, 25.0}


CRONS = [
    "0 * * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "0 0 * * *",
    "15 1,2,3 * * *",
    "0 */6 * * *",
    "0 9 * * MON-FRI",
    "59 23 L * *",
    "0 12 1 * *",
]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.integers(0, 366 * 24 * 60),
    st.integers(1, 60 * 24 * 9),
    st.integers(0, 60 * 24 * 9),
)
def test_firings_do_not_depend_on_where_one_begins(cron: str, zone: str, minute: int, span: int, later: int) -> None:
    schedule = Schedule(cron, zone)
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    end = begin + timedelta(minutes=span + later)
    whole = list(schedule.firings(begin, end))
    middle = begin + timedelta(minutes=min(later, span + later))
    assert [f for f in whole if f > middle] == list(schedule.firings(middle, end))
    assert whole == sorted(set(whole))
    intervals = list(schedule.intervals(begin, end))
    assert [i.end for i in intervals] == whole
    assert all(a.end == b.start for a, b in itertools.pairwise(intervals))
    if whole:
        assert schedule.last(whole[0]) == whole[0]
        assert schedule.last(whole[0] - timedelta(microseconds=1)) == intervals[0].start


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=3),
    st.lists(st.integers(0, 23), min_size=1, max_size=3),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 300),
)
def test_firings_are_the_minutes_that_match(minutes: list[int], hours: list[int], days: set[int], day: int) -> None:
    """Against a look at every minute, in a zone whose clocks never change."""
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * {','.join(map(str, days))}"
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    zone = ZoneInfo("Asia/Kolkata")
    expected = []
    for i in range(1, 60 * 24 * 3 + 1):
        moment = begin + timedelta(minutes=i)
        local = moment.astimezone(zone)
        if local.minute in minutes and local.hour in hours and local.isoweekday() % 7 in days:
            expected.append(moment)
    assert list(Schedule(cron, "Asia/Kolkata").firings(begin, begin + 3 * DAY)) == expected


def test_an_interval_is_due_after_lateness_and_jitter() -> None:
    schedule = Schedule("0 * * * *", lateness_s=600, jitter_s=30)
    interval = schedule.newest_due(at("2026-01-01T10:10:29Z"))
    assert str(interval) == "2026-01-01T08:00:00Z/2026-01-01T09:00:00Z"
    assert str(schedule.newest_due(at("2026-01-01T10:10:30Z"))) == "2026-01-01T09:00:00Z/2026-01-01T10:00:00Z"
    assert utc_text(schedule.next_due(at("2026-01-01T10:10:30Z"))) == "2026-01-01T11:10:30Z"


def test_intervals_with_a_length_overlap() -> None:
    schedule = Schedule("0 0 * * *", length_s=7 * 86400.0)
    first, second = schedule.intervals(at("2026-01-09T12:00Z"), at("2026-01-11T12:00Z"))
    assert first == Interval(at("2026-01-03T00:00Z"), at("2026-01-10T00:00Z"))
    assert second.start - first.start == DAY


def test_a_week_before_is_by_the_clock_on_the_wall() -> None:
    schedule = Schedule("0 9 * * *", "Europe/Berlin")
    interval = schedule.ending(at("2026-04-01T07:00Z"))  # 09:00 in summer
    assert utc_text(schedule.a_week_before(interval).end) == "2026-03-25T08:00:00Z"  # 09:00 in winter


def test_rare_expressions_are_found() -> None:
    assert utc_text(Schedule("0 0 29 2 *").last(at("2026-01-01T00:00Z"))) == "2024-02-29T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-01", "is no interval; write START/END in ISO 8601"),
        ("a/b", "'a' is no time; write START/END"),
        ("2026-01-02/2026-01-01", "ends before it begins, or is empty"),
        ("2026-01-02/2026-01-02", "ends before it begins, or is empty"),
    ],
)
def test_what_is_no_interval_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^--interval: .*{said}"):
        parse_interval(text, "UTC")


def test_times_without_a_zone_are_in_the_monitors() -> None:
    assert str(parse_interval("2026-07-01T10:00/2026-07-01T11:00+00:00", "Europe/Berlin")) == (
        "2026-07-01T08:00:00Z/2026-07-01T11:00:00Z"
    )
