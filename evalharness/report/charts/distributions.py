"""How values are spread: histograms and bars of classes, of one set or of two over one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...core.language import t
from ..text import amount, clip, figure, share
from .chart import Chart, Column, Spec, number, rows_of
from .theme import ACCENT, BEFORE, INK, MUTED, NARROW, SIDES

__all__ = ["bars", "histogram", "two_bars", "two_histograms", "two_sides"]

_HEIGHT, _STEP, _LABEL = 110, 24, 40
_MOST_CLASSES = 12


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    title: str,
    of: str,
    counted: str = "",
    marks: Sequence[tuple[str, float]] = (),
) -> Chart:
    """Counts between `edges` (one more than counts), with named values such as a median as lines across.

    `of` is what the values are, with its unit: the title of the axis.
    """
    counted = counted or t("answers")
    bins = list(zip(pairwise(edges), counts, strict=True))
    values = [{"low": number(a), "high": number(b), "n": number(n)} for (a, b), n in bins]
    layers: list[Spec] = [
        {
            "data": {"values": values},
            "mark": {"type": "bar", "binSpacing": 1},
            "encoding": {
                "x": {
                    "field": "low",
                    "type": "quantitative",
                    "bin": {"binned": True},
                    "axis": {"title": of, "tickCount": 6, **({"format": "~s"} if edges[-1] >= 10_000 else {})},
                    "scale": {"domain": [number(edges[0]), number(edges[-1])], "nice": False, "zero": False},
                },
                "x2": {"field": "high"},
                "y": {"field": "n", "type": "quantitative", "axis": {"title": counted, "tickCount": 4}},
            },
        }
    ]
    for place, (name, where) in enumerate(marks):
        line: Spec = {"data": {"values": [{"at": number(where), "name": f"{name} {figure(where)}"}]}}
        at: Spec = {"x": {"field": "at", "type": "quantitative"}}
        layers.append({**line, "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3]}, "encoding": at})
        # Names stand above one another, and turn to the left in the right half.
        side = -1 if where > (edges[0] + edges[-1]) / 2 else 1
        text = {"type": "text", "y": -6 - 13 * place, "dx": 3 * side, "align": "left" if side > 0 else "right"}
        layers.append({**line, "mark": text, "encoding": {**at, "text": {"field": "name"}}})
    total = sum(counts)
    told = [f"{name} {figure(at)}" for name, at in marks]
    span = t(
        "%(n)s %(what)s from %(low)s to %(high)s",
        n=amount(total),
        what=counted,
        low=figure(edges[0]),
        high=figure(edges[-1]),
    )
    return Chart(
        title,
        t("; ").join([span, *told]),
        {"width": NARROW, "height": _HEIGHT, "layer": layers},
        (Column(of, is_number=False), Column(counted), Column(t("share"))),
        rows_of((_span(a, b), amount(n), share(n, total)) for (a, b), n in bins),
    )


def bars(labels: Sequence[str], counts: Sequence[float], *, title: str, of: str, counted: str = "") -> Chart:
    """A bar for each class with its count behind it, the largest first as they come."""
    counted = counted or t("answers")
    total = sum(counts)
    rows = list(zip(labels, counts, strict=True))
    values = [
        {"place": i, "name": clip(str(name), _LABEL), "n": number(n), "told": amount(n)}
        for i, (name, n) in enumerate(rows[:_MOST_CLASSES])
    ]
    y = {"field": "name", "type": "nominal", "sort": {"field": "place"}, "axis": {"title": None}}
    x = {"field": "n", "type": "quantitative", "axis": None}
    return Chart(
        title,
        t("; ").join(f"{name} {amount(n)}" for name, n in rows[:_MOST_CLASSES]),
        {
            "width": NARROW - 60,
            "height": {"step": _STEP},
            "data": {"values": values},
            "encoding": {"y": y, "x": x},
            "layer": [
                {"mark": {"type": "bar", "height": {"band": 0.7}}},
                {"mark": {"type": "text", "align": "left", "dx": 4}, "encoding": {"text": {"field": "told"}}},
            ],
        },
        (Column(of, is_number=False), Column(counted), Column(t("share"))),
        rows_of((name, amount(n), share(n, total)) for name, n in rows),
    )


def two_histograms(
    edges: Sequence[float], reference: Sequence[float], current: Sequence[float], *, title: str, of: str
) -> Chart:
    """Shares between `edges` of the reference (filled) and of now (an outline)."""
    bins = list(zip(pairwise(edges), reference, current, strict=True))
    values = [{"low": number(a), "high": number(b), "before": number(r), "now": number(c)} for (a, b), r, c in bins]
    # A step needs the last value once more, at the last edge.
    outline = [{"x": number(a), "y": number(c)} for (a, _), _, c in bins]
    outline = [{"x": number(edges[0]), "y": 0.0}, *outline, {"x": number(edges[-1]), "y": outline[-1]["y"]}]
    outline.append({"x": number(edges[-1]), "y": 0.0})
    x = {
        "type": "quantitative",
        "scale": {"domain": [number(edges[0]), number(edges[-1])], "zero": False, "nice": False},
    }
    axis = {"title": of, "tickCount": 6}
    percent = {"title": t("share"), "tickCount": 3, "format": "~%"}
    return Chart(
        title,
        t(
            "the reference filled, the current rows as a line, from %(low)s to %(high)s",
            low=figure(edges[0]),
            high=figure(edges[-1]),
        ),
        {
            "width": NARROW,
            "height": _HEIGHT,
            "layer": [
                {
                    "data": {"values": values},
                    "mark": {"type": "bar", "binSpacing": 0, "color": BEFORE, "opacity": 0.45},
                    "encoding": {
                        "x": {**x, "field": "low", "bin": {"binned": True}, "axis": axis},
                        "x2": {"field": "high"},
                        "y": {"field": "before", "type": "quantitative", "axis": percent},
                    },
                },
                {
                    "data": {"values": outline},
                    "mark": {"type": "line", "interpolate": "step-after", "color": ACCENT, "strokeWidth": 2},
                    "encoding": {
                        "x": {**x, "field": "x"},
                        "y": {"field": "y", "type": "quantitative"},
                        "order": {"field": "x", "type": "quantitative"},
                    },
                },
            ],
        },
        (Column(of, is_number=False), Column(t("reference")), Column(t("current"))),
        rows_of((_span(a, b), share(r, 1), share(c, 1)) for (a, b), r, c in bins),
    )


def two_bars(
    labels: Sequence[str], reference: Sequence[float], current: Sequence[float], *, title: str, of: str
) -> Chart:
    """Shares of classes in the reference and now, those that moved most first."""
    # What drift calls the classes that it does not count one by one.
    names = [t("others") if label == "others" else label for label in labels]
    rows = sorted(zip(names, reference, current, strict=True), key=lambda row: -abs(row[2] - row[1]))
    values = [
        {"place": i, "name": clip(str(name), _LABEL), "of": side, "share": number(value), "side": number(j)}
        for i, (name, before, now) in enumerate(rows[:_MOST_CLASSES])
        for j, (side, value) in enumerate((("reference", before), ("current", now)))
    ]
    ends = [
        {
            "place": i,
            "name": clip(str(name), _LABEL),
            "share": max(before, now),
            "told": f"{share(before, 1)} → {share(now, 1)}",
        }
        for i, (name, before, now) in enumerate(rows[:_MOST_CLASSES])
    ]
    y = {"field": "name", "type": "nominal", "sort": {"field": "place", "op": "min"}, "axis": {"title": None}}
    x = {"field": "share", "type": "quantitative", "axis": None}
    return Chart(
        title,
        t("; ").join(f"{row['name']} {row['told']}" for row in ends),
        {
            "width": NARROW - 100,
            "height": {"step": _STEP, "for": "position"},
            "layer": [
                {
                    "data": {"values": values},
                    "mark": {"type": "bar"},
                    "encoding": {
                        "y": y,
                        "x": x,
                        "yOffset": {"field": "side", "type": "ordinal"},
                        "color": {
                            "field": "of",
                            "type": "nominal",
                            "scale": {"domain": ["reference", "current"], "range": list(SIDES)},
                            "legend": None,
                        },
                    },
                },
                {
                    "data": {"values": ends},
                    "mark": {"type": "text", "align": "left", "dx": 4, "color": MUTED},
                    "encoding": {"y": y, "x": x, "text": {"field": "told"}},
                },
            ],
        },
        (Column(of, is_number=False), Column(t("reference")), Column(t("current"))),
        rows_of((name, share(before, 1), share(now, 1)) for name, before, now in rows),
    )


def _span(low: float, high: float) -> str:
    return t("%(low)s to %(high)s", low=figure(low), high=figure(high))


def two_sides(picture: Mapping[str, Any], column: str) -> Chart | None:
    """An entry of `DriftReport.pictures` as a chart; None where there is nothing to see."""
    before, now = picture.get("reference", ()), picture.get("current", ())
    if not max([*before, *now, 0.0]) > 0:
        return None
    if picture.get("kind") == "numeric" and picture["edges"][-1] > picture["edges"][0]:
        return two_histograms(picture["edges"], before, now, title=column, of=column)
    if picture.get("kind") == "category":
        return two_bars(picture["labels"], before, now, title=column, of=column)
    return None
