"""What stands at an axis of time: hours of 24, days, years, in UTC as the pages say, wherever the reader is."""

from __future__ import annotations

import re

import pytest

from evalharness.report.charts.render import svg_of
from evalharness.report.charts.trends import Point, trend


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (
            [f"2026-11-{day:02}T{hour:02}:00:00Z" for day in (1, 2) for hour in (0, 6, 12, 18)],
            {"1 Nov", "12:00", "2 Nov"},
        ),
        ([f"2026-{month:02}-01T00:00:00Z" for month in range(1, 13)], {"2026", "1 Apr"}),
    ],
    ids=["hours", "months"],
)
def test_times_are_told_by_the_clock_of_the_page(times, labels, monkeypatch):
    pytest.importorskip("vl_convert")
    monkeypatch.setenv("TZ", "America/New_York")
    chart = trend([Point(at=at, value=0.8 + 0.01 * (i % 3)) for i, at in enumerate(times)], title="t", of="accuracy")
    found = set(re.findall(r">([^<>]+)</text>", str(svg_of(chart))))
    assert labels <= found
    assert not any("AM" in text or "PM" in text for text in found)
