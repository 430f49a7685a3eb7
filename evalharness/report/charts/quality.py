"""How good a figure is: intervals side by side, reliability, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from ...core.language import t
from ..text import amount, clip, figure, interval
from .chart import Chart, Column, Spec, number, rows_of
from .theme import INK, MUTED, NARROW, SERIES, SOFT

__all__ = ["Bin", "curves", "intervals", "reliability_chart"]

_STEP, _LABEL, _SIDE = 22, 34, 220


class Bin(Protocol):
    """Answers of like confidence (`metrics.calibration.ReliabilityBin` is one)."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def accuracy(self) -> float: ...


def intervals(
    rows: Sequence[tuple[str, float, float, float]],
    *,
    title: str,
    of: str,
    rule: tuple[str, float] | None = None,
    domain: tuple[float, float] | None = None,
) -> Chart:
    """A dot with its interval for each (name, value, low, high), in the order given; `rule` is a named line across."""
    values: list[Spec] = [
        {"place": i, "name": clip(str(name), _LABEL), "value": number(v), "low": number(a), "high": number(b)}
        for i, (name, v, a, b) in enumerate(rows)
    ]
    y = {"field": "name", "type": "nominal", "sort": {"field": "place"}, "axis": {"title": None, "grid": True}}
    scale = {"zero": False, **({"domain": [number(domain[0]), number(domain[1])]} if domain else {})}
    x = {"type": "quantitative", "scale": scale, "axis": {"title": of, "tickCount": 5}}
    layers = [
        {
            "mark": {"type": "rule", "color": SOFT, "strokeWidth": 6, "strokeCap": "round"},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {"mark": {"type": "point"}, "encoding": {"x": {**x, "field": "value"}}},
    ]
    if rule is not None and math.isfinite(rule[1]):
        layers.append(
            {
                "data": {"values": [{"at": rule[1]}]},
                "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3]},
                "encoding": {"x": {**x, "field": "at"}, "y": {"value": 0}, "y2": {"value": _STEP * len(values)}},
            }
        )
    told = t("; the line is %(name)s, %(value)s", name=rule[0], value=figure(rule[1])) if rule else ""
    return Chart(
        title,
        t("; ").join(f"{name} {figure(v)}" for name, v, _, _ in rows) + told,
        {
            "width": NARROW - 60,
            "height": {"step": _STEP},
            "data": {"values": values},
            "encoding": {"y": y},
            "layer": layers,
        },
        (Column("", is_number=False), Column(of), Column(t("interval"))),
        rows_of((name, figure(v), interval(a, b, like=v)) for name, v, a, b in rows),
    )


def reliability_chart(bins: Sequence[Bin], *, title: str) -> Chart:
    """How often answers of each confidence are right; on the diagonal, as often as they say."""
    values = [
        {
            "low": number(b.low),
            "high": number(b.high),
            "confidence": number(b.confidence),
            "right": number(b.accuracy),
            "n": number(b.n),
        }
        for b in bins
    ]
    unit = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    x_axis = {"title": t("confidence"), "tickCount": 5}
    y_axis = {"title": t("share right"), "tickCount": 5}
    return Chart(
        title,
        t("; ").join(
            t(
                "confidence %(confidence)s: right %(right)s of %(n)s",
                confidence=figure(b.confidence),
                right=figure(b.accuracy),
                n=f"{b.n:,.6g}",
            )
            for b in bins
        ),
        {
            "width": _SIDE,
            "height": _SIDE,
            "layer": [
                {
                    "data": {"values": values},
                    "mark": {"type": "bar", "color": SOFT, "binSpacing": 1},
                    "encoding": {
                        "x": {**unit, "field": "low", "bin": {"binned": True}, "axis": x_axis},
                        "x2": {"field": "high"},
                        "y": {**unit, "field": "right", "axis": y_axis},
                    },
                },
                {
                    "data": {"values": [{"a": 0, "b": 1}]},
                    "mark": {"type": "rule", "color": MUTED, "strokeDash": [4, 3]},
                    "encoding": {
                        "x": {**unit, "field": "a"},
                        "x2": {"field": "b"},
                        "y": {**unit, "field": "a"},
                        "y2": {"field": "b"},
                    },
                },
                {
                    "data": {"values": values},
                    "mark": {"type": "point"},
                    "encoding": {"x": {**unit, "field": "confidence"}, "y": {**unit, "field": "right"}},
                },
            ],
        },
        (Column(t("confidence"), is_number=False), Column("n"), Column(t("mean")), Column(t("right"))),
        rows_of(
            (
                t("%(low)s to %(high)s", low=f"{b.low:.3g}", high=f"{b.high:.3g}"),
                amount(b.n),
                figure(b.confidence),
                figure(b.accuracy),
            )
            for b in bins
        ),
    )


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]], *, title: str, x: str, y: str, x_percent: bool = False
) -> Chart:
    """A line for each of at most six series, every second one dashed; above them what each is, if several."""
    names = list(series)[: len(SERIES)]
    values = [{"of": clip(name, _LABEL), "x": number(a), "y": number(b)} for name in names for a, b in series[name]]
    domain = [clip(name, _LABEL) for name in names]
    # Not at the ends of the lines, where curves of one text meet.
    legend = {"orient": "top", "symbolType": "stroke"} if len(names) > 1 else None
    colour = {
        "field": "of",
        "type": "nominal",
        "scale": {"domain": domain, "range": list(SERIES[: len(names)])},
        "legend": legend,
    }
    ticks = {"format": "~%", "values": [0, 0.25, 0.5, 0.75, 1]} if x_percent else {"tickCount": 5}
    axis = {"title": x, "labelFlush": False, **ticks}
    place = {
        "x": {"field": "x", "type": "quantitative", "axis": axis, "scale": {"nice": False}},
        "y": {"field": "y", "type": "quantitative", "axis": {"title": y, "tickCount": 4}, "scale": {"zero": False}},
        "color": colour,
    }
    dash = {
        "field": "of",
        "type": "nominal",
        "legend": legend,
        "scale": {"domain": domain, "range": [[1, 0], [5, 3]]},
    }
    return Chart(
        title,
        t("; ").join(
            t(
                "%(name)s from %(low)s to %(high)s",
                name=name,
                low=figure(series[name][0][1]),
                high=figure(series[name][-1][1]),
            )
            for name in names
        ),
        {
            "width": NARROW - 80,
            "height": 140,
            "data": {"values": values},
            "mark": {"type": "line"},
            "encoding": {**place, "strokeDash": dash},
        },
        (Column(t("series"), is_number=False), Column(x), Column(y)),
        rows_of((name, figure(a), figure(b)) for name in names for a, b in series[name]),
    )
