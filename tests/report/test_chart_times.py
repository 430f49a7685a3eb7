"""What stands at an axis of time: hours of 24, days, years, in UTC as the pages say, wherever the reader is."""

from __future__ import annotations

import re

import pytest

from evalharness.report.charts.render import svg_of
from evalharness.report.charts.trends import Mark, Point, trend


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


def test_times_are_said_shortly():
    points = [Point("2026-11-01T00:00:00+00:00", 0.8), Point("2026-11-02T09:30:00+02:00", 0.9), Point("later", 0.7)]
    chart = trend(points, title="t", of="accuracy", marks=[Mark("2026-11-02T05:00:00Z", "deploy", "v2")])
    assert [row[0] for row in chart.rows] == ["2026-11-01", "2026-11-02 07:30", "later", "2026-11-02 05:00"]
    assert "0.800 at 2026-11-01" in chart.description
    assert "deploy at 2026-11-02 05:00: v2" in chart.description
    assert trend(points, title="t", of="accuracy", is_time=False).rows[0][0] == points[0].at
