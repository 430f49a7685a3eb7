"""What goes on over releases or over time, with bands and marks; and points in a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from ...core.language import t
from ..text import clip, figure, interval
from .chart import Chart, Column, number, rows_of
from .theme import ACCENT, BAD, GOOD, INK, MUTED, SERIES, SOFT, WIDE

__all__ = ["Mark", "Point", "scatter", "trend"]

Kind = Literal["alert", "deploy", "promotion"]
_LABEL = 28
_NAME = 160
_MARKS: dict[Kind, tuple[str, str]] = {
    "alert": (BAD, "triangle-down"),
    "deploy": (INK, "diamond"),
    "promotion": (GOOD, "triangle-up"),
}


class Point(NamedTuple):
    """A figure at a place: an ISO time, or the name of a release; the interval is NaN where there is none."""

    at: str
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""


class Mark(NamedTuple):
    """Something that happened: where, what kind, and in how many words as fit."""

    at: str
    kind: Kind
    name: str


# The hour of day where a tick is within one, else the day, and the year where one begins; by the clock that pages name.
_UTC_LABEL = (
    "utchours(datum.value) || utcminutes(datum.value) ? utcFormat(datum.value, '%H:%M') : "
    "utcmonth(datum.value) == 0 && utcdate(datum.value) == 1 ? utcFormat(datum.value, '%Y') : "
    "utcFormat(datum.value, '%-d %b')"
)


def _moment(at: str) -> str:
    """An ISO time in UTC as short as it can be said; what is none stays as it is."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return at
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"


def trend(
    points: Sequence[Point],
    *,
    title: str,
    of: str,
    is_time: bool = True,
    marks: Sequence[Mark] = (),
    limit: tuple[str, float] | None = None,
    expected: Sequence[tuple[str, float, float]] = (),
    width: int = WIDE,
) -> Chart:
    """A figure over time (`is_time`) or over releases in their order, with its interval as a band.

    `limit` is a named level (of an alert, of a gate); `expected` are (at, low, high): the band in which the figure is
    expected. Marks stand below the line they belong to, told apart by shape and colour.
    """
    at: dict[str, Any] = {"field": "at", "type": "temporal" if is_time else "ordinal", "title": None}
    at["axis"] = {"labelOverlap": True, "tickCount": 6, "labelAngle": 0, "labelLimit": 90}
    if is_time:
        at["scale"] = {"type": "utc"}
        at["axis"]["labelExpr"] = _UTC_LABEL.replace("%-d %b", t("%-d %b"))
    else:
        at["sort"] = None
        at["scale"] = {"type": "point", "padding": 0.4}
    y = {"type": "quantitative", "scale": {"zero": False}, "axis": {"title": of, "tickCount": 5}}
    values = [{"at": p.at, "value": number(p.value), "low": number(p.low), "high": number(p.high)} for p in points]
    layers: list[dict[str, Any]] = []
    if expected:
        band = [{"at": when, "low": number(low), "high": number(high)} for when, low, high in expected]
        layers.append(
            {
                "data": {"values": band},
                "mark": {"type": "area", "color": MUTED, "opacity": 0.14},
                "encoding": {"x": at, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
    ends = [row for row in values if row["low"] is not None and row["high"] is not None]
    if ends:
        shape: dict[str, Any] = {"type": "area", "color": SOFT, "opacity": 0.45}
        if not is_time or len(ends) < 3:
            shape = {"type": "rule", "color": SOFT, "strokeWidth": 6, "strokeCap": "round"}
        layers.append(
            {
                "data": {"values": ends},
                "mark": shape,
                "encoding": {"x": at, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
    if limit is not None and math.isfinite(limit[1]):
        level = {"data": {"values": [{"y": limit[1], "name": f"{limit[0]} {figure(limit[1])}"}]}}
        place = {"y": {**y, "field": "y"}}
        layers.append({**level, "mark": {"type": "rule", "color": BAD, "strokeDash": [4, 3]}, "encoding": place})
        text = {"type": "text", "align": "right", "x": width, "dy": -6, "color": BAD}
        layers.append({**level, "mark": text, "encoding": {**place, "text": {"field": "name"}}})
    line = {"data": {"values": [row for row in values if row["value"] is not None]}}
    place = {"x": at, "y": {**y, "field": "value"}}
    layers.append({**line, "mark": {"type": "line"}, "encoding": place})
    if len(points) <= 60:
        layers.append({**line, "mark": {"type": "point"}, "encoding": place})
    for kind, (colour, shape_name) in _MARKS.items():
        own = [{"at": m.at, "name": clip(m.name, _LABEL)} for m in marks if m.kind == kind]
        if own:
            layers.append(
                {
                    "data": {"values": own},
                    "mark": {"type": "rule", "color": colour, "strokeWidth": 1, "strokeDash": [2, 2]},
                    "encoding": {"x": at},
                }
            )
            layers.append(
                {
                    "data": {"values": own},
                    "mark": {"type": "point", "shape": shape_name, "color": colour, "size": 70, "y": -8},
                    "encoding": {"x": at},
                }
            )
    told_at = _moment if is_time else str
    said = [
        t("%(value)s at %(time)s", value=figure(p.value), time=told_at(p.at))
        for p in (points[:1] if len(points) < 2 else (points[0], points[-1]))
    ]
    told = [t("%(kind)s at %(time)s: %(name)s", kind=t(m.kind), time=told_at(m.at), name=m.name) for m in marks[:20]]
    notes: dict[str, str] = {}
    for m in marks:
        note = f"{t(m.kind)}: {m.name}"
        notes[m.at] = f"{notes[m.at]}; {note}" if m.at in notes else note
    rows = [
        (told_at(p.at), figure(p.value), interval(p.low, p.high, like=p.value), p.note or notes.get(p.at, ""))
        for p in points
    ]
    seen = {p.at for p in points}
    rows += [(told_at(when), "", "", note) for when, note in notes.items() if when not in seen]
    return Chart(
        title,
        t("; ").join([t(" to ").join(said), *told]),
        {"width": width, "height": 180, "layer": layers},
        (
            Column(t("when") if is_time else t("run"), is_number=False),
            Column(of),
            Column(t("interval")),
            Column("", False),
        ),
        rows_of(rows),
    )


def scatter(
    points: Sequence[tuple[float, float, str, str]],
    *,
    title: str,
    x: str,
    y: str,
    links: Sequence[str] = (),
    colours: Sequence[str] = SERIES,
    width: int = 420,
) -> Chart:
    """A point for each (x, y, series, name); series differ in colour and shape, names stand in the table.

    `links` are where a click on each point leads, in a chart that can be clicked.
    """
    names = list(dict.fromkeys(point[2] for point in points))[: len(colours)]
    shapes = ["circle", "triangle-up", "square", "diamond", "cross", "triangle-down"]
    values = [
        {"x": number(a), "y": number(b), "of": clip(of, _LABEL), "name": clip(name, _NAME)}
        | ({"url": links[i]} if links else {})
        for i, (a, b, of, name) in enumerate(points)
        if of in names
    ]
    domain = [clip(name, _LABEL) for name in names]
    legend = {"orient": "top", "symbolType": "circle"} if len(names) > 1 else None
    return Chart(
        title,
        t("%(n)s points of %(series)s", n=f"{len(points):,}", series=t(", ").join(names) or t("nothing")),
        {
            "width": width,
            "height": width * 2 // 3,
            "data": {"values": values},
            "mark": {"type": "point", "size": 26, "opacity": 0.65, "color": ACCENT},
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "quantitative",
                    "axis": {"title": x, "grid": True},
                    "scale": {"zero": False},
                },
                "y": {"field": "y", "type": "quantitative", "axis": {"title": y}, "scale": {"zero": False}},
                "color": {
                    "field": "of",
                    "type": "nominal",
                    "legend": legend,
                    "scale": {"domain": domain, "range": list(colours[: len(names)])},
                },
                "shape": {
                    "field": "of",
                    "type": "nominal",
                    "legend": legend,
                    "scale": {"domain": domain, "range": shapes[: len(names)]},
                },
                "tooltip": [{"field": "of", "title": t("of")}, {"field": "name", "title": t("what")}],
            },
        },
        (Column("", is_number=False), Column(t("series"), is_number=False), Column(x), Column(y)),
        rows_of((name, of, figure(a), figure(b)) for a, b, of, name in points),
    )
