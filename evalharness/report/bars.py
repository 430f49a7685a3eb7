"""Small inline SVG: a figure with its interval on a scale. Drawn by classes, since the page allows no inline style."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ..core.language import retold, t
from ..core.types import STATUSES, MetricResult
from .text import figure, safe

if TYPE_CHECKING:
    from ..compare.result import ComparedFigure

__all__ = ["DRAWING", "Scale", "bar", "difference_bar", "drawn_bar", "scale_of", "span_bar", "sparkline", "strip"]

# Draws the figures of the page that is being made: only it knows which of them share a scale.
DRAWING: ContextVar[Callable[[MetricResult], Markup] | None] = ContextVar("drawing", default=None)

# The drawing is stretched to the width of its column: strokes keep their width and dots stay round, since all of it is
# lines with round ends.
_WIDTH, _PAD = 100.0, 3.0


class Scale(NamedTuple):
    """The values at the left and the right end of a bar."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """The horizontal place of `value`, kept on the bar."""
        span = self.high - self.low
        share = (value - self.low) / span if span > 0 else 0.5
        return _PAD + min(1.0, max(0.0, share)) * (_WIDTH - 2 * _PAD)


def scale_of(results: Iterable[MetricResult]) -> Scale | None:
    """The scale that results of one metric share: the metric's bounds, or where they are infinite what is seen."""
    results = list(results)
    seen = [v for r in results for v in (r.value, r.ci_low, r.ci_high) if math.isfinite(v)]
    if not seen:
        return None
    lows, highs = {r.bounds[0] for r in results}, {r.bounds[1] for r in results}
    low, high = min(lows), max(highs)
    if not math.isfinite(low):
        low = min(0.0, *seen) if min(seen) >= 0 else min(seen) * 1.1
    if not math.isfinite(high):
        high = max(seen) * 1.15 if max(seen) > 0 else 0.0
    return Scale(low, high) if high > low else Scale(low, low + 1.0)


def bar(result: MetricResult, scale: Scale | None, *, limits: Iterable[float] = ()) -> Markup:
    """The SVG of one figure; `limits` are the thresholds of gate rules, drawn as ticks. Empty where nothing is."""
    if scale is None or not math.isfinite(result.value):
        return Markup("")
    label = t(
        "%(value)s on a scale from %(low)s to %(high)s",
        value=figure(result.value),
        low=figure(scale.low),
        high=figure(scale.high),
    )
    parts = [_line("track", 0.0, _WIDTH)]
    if not math.isnan(result.ci_low) and not math.isnan(result.ci_high):
        label += _interval(result.ci_low, result.ci_high, result.value)
        parts.append(_line("ci", scale.x(result.ci_low), scale.x(result.ci_high)))
    for limit in limits:
        if math.isfinite(limit) and scale.low <= limit <= scale.high:
            label += t(", limit %(value)s", value=figure(limit, like=result.value))
            parts.append(f'<path class="limit" d="M{scale.x(limit):.2f} 1v18"/>')
    parts.append(_line("dot", scale.x(result.value), scale.x(result.value)))
    head = Markup('<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup("".join(parts) + "</svg>")


def drawn_bar(result: MetricResult) -> Markup:
    """The SVG of a figure as the page that is being made draws it; on a scale of its own where no page is."""
    draw = DRAWING.get()
    return bar(result, scale_of([result])) if draw is None else draw(result)


def span_bar(span: Sequence[float], scale: Scale, *, unit: str) -> Markup:
    """The SVG of (low, middle, high) of many values on a scale."""
    low, middle, high = span
    label = t(
        "from %(low)s to %(high)s %(unit)s, median %(median)s",
        low=figure(low),
        high=figure(high),
        unit=unit,
        median=figure(middle),
    )
    ends = _line("ci", scale.x(low), scale.x(high)) + _line("dot", scale.x(middle), scale.x(middle))
    head = Markup('<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup(_line("track", 0.0, _WIDTH) + ends + "</svg>")


def difference_bar(one: ComparedFigure, reach: float, css: str) -> Markup:
    """The SVG of a difference with its interval, right of the line in the middle where it is better.

    A figure that is best between its bounds has the side on which its point is nearer to the best value.
    """
    if not math.isfinite(one.difference):
        return Markup("")
    sign = 1.0 if one.higher_is_better else -1.0
    if one.best is not None:
        sign = math.copysign(1.0, one.gain) * math.copysign(1.0, one.difference)
    scale = Scale(-reach, reach) if reach > 0 else Scale(-1.0, 1.0)
    label = t("difference %(value)s", value=figure(one.difference))
    parts = [_line("track", 0.0, _WIDTH), f'<path class="zero" d="M{_WIDTH / 2:.2f} 1v18"/>']
    if not math.isnan(one.low) and not math.isnan(one.high):
        label += _interval(one.low, one.high, one.difference)
        ends = sorted((scale.x(sign * one.low), scale.x(sign * one.high)))
        parts.append(_line(f"ci {css}", *ends))
    place = scale.x(sign * one.difference)
    parts.append(_line(f"dot {css}", place, place))
    head = Markup('<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup("".join(parts) + "</svg>")


def _interval(low: float, high: float, like: float) -> str:
    return t(", interval %(low)s to %(high)s", low=figure(low, like=like), high=figure(high, like=like))


def _line(kind: str, left: float, right: float) -> str:
    # A line of no length is not drawn everywhere; one of a hundredth is.
    return f'<path class="{kind}" d="M{left:.2f} 10h{max(right - left, 0.01):.2f}"/>'


def strip(counts: Mapping[str, int]) -> Markup:
    """The SVG of how answers are spread over states: one bar, a piece a state, no piece too thin to be seen."""
    total = sum(counts.values())
    if not total:
        return Markup("")
    least = 6.0
    widths = {name: max(least, 1000.0 * n / total) for name, n in counts.items() if n}
    shrink = 1000.0 / sum(widths.values())
    pieces, x = [], 0.0
    for name, width in widths.items():
        kind = name if name in STATUSES else "other"
        pieces.append(f'<rect class="s-{kind}" x="{x:.1f}" y="0" width="{width * shrink:.1f}" height="10"/>')
        x += width * shrink
    label = t(", ").join(f"{retold(name)} {n:,}" for name, n in counts.items())
    head = Markup('<svg class="strip" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup("".join(pieces) + "</svg>")


def sparkline(past: Sequence[float], now: float) -> Markup:
    """The SVG of a figure in earlier runs and in this one, the last point marked; empty where nothing came before."""
    seen = [*past, now]
    known = [value for value in seen if math.isfinite(value)]
    if len(known) < 2 or not math.isfinite(now):
        return Markup("")
    low, span = min(known), max(known) - min(known)
    places = [
        (_PAD + i * (_WIDTH - 2 * _PAD) / (len(seen) - 1), 20 - 16 * (value - low) / span if span else 12.0)
        for i, value in enumerate(seen)
        if math.isfinite(value)
    ]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    x, y = places[-1]
    label = t(
        "%(n)s earlier: from %(first)s, lowest %(low)s, highest %(high)s, now %(now)s",
        n=len(known) - 1,
        first=figure(known[0]),
        low=figure(low),
        high=figure(low + span),
        now=figure(now),
    )
    head = Markup('<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{}">')
    body = f'<path d="M{line}"/><path class="last" d="M{x:.1f} {y:.1f}h0.01"/></svg>'
    return head.format(label) + Markup(body)
