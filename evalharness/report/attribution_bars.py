"""Small inline SVG for explanations: a step of a waterfall, and the mean of a word with its interval."""

from __future__ import annotations

import math

from markupsafe import Markup

from ..core.language import t
from .bars import Scale
from .explanations import ExplainedText, Step, WordMean, WordTable
from .text import figure, safe

__all__ = ["largest_of", "reach_of", "scale_of_text", "signed", "step_bar", "word_bar"]

_HEAD = Markup('<svg class="bar {}" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">')
_MIDDLE = 50.0
_MOST_REACH = 2.5


def signed(value: float, like: float | None = None) -> str:
    """`+0.312`, `−0.045`: a contribution with its sign, with as many decimals as `like` would get."""
    shown = figure(value, like=like)
    return f"+{shown}" if value > 0 and any(digit in shown for digit in "123456789") else shown


def scale_of_text(text: ExplainedText) -> Scale:
    """From the least to the largest value that the waterfall of `text` passes."""
    seen = [text.base, text.full, *(step.end for step in text.steps)]
    low, high = min(seen), max(seen)
    return Scale(low, high) if high > low else Scale(low - 0.5, high + 0.5)


def largest_of(text: ExplainedText) -> float:
    """The largest step of the waterfall of `text`, either way."""
    return max((abs(step.value) for step in text.steps), default=0.0)


def step_bar(step: Step, scale: Scale) -> Markup:
    """The SVG of one step: a bar from where it starts to where it ends."""
    left, right = sorted((scale.x(step.start), scale.x(step.end)))
    kind = "up" if step.value >= 0 else "down"
    label = t("from %(low)s to %(high)s", low=figure(step.start), high=figure(step.end))
    body = f'<rect class="{kind}" x="{left:.2f}" y="3" width="{max(right - left, 0.6):.2f}" height="14"/>'
    return _HEAD.format("step", safe(label)) + Markup(f"{body}</svg>")


def reach_of(table: WordTable) -> float:
    """The largest value that the bars of `table` show, on either side of 0.

    A few texts have intervals so wide that nothing else could be seen: those end in an arrow, at `_MOST_REACH` times
    the largest mean.
    """
    means = max((abs(row.mean) for row in table.rows), default=0.0)
    seen = [abs(v) for row in table.rows for v in (row.mean, row.low, row.high) if math.isfinite(v)]
    return min(max(seen, default=0.0), _MOST_REACH * means)


def word_bar(row: WordMean, reach: float) -> Markup:
    """The SVG of a word's mean, right of the line in the middle where it raises the output."""
    scale = Scale(-reach, reach) if reach > 0 else Scale(-1.0, 1.0)
    label = t("mean %(value)s", value=signed(row.mean))
    left, right = sorted((_MIDDLE, scale.x(row.mean)))
    kind = "up" if row.mean >= 0 else "down"
    parts = [f'<rect class="{kind}" x="{left:.2f}" y="4" width="{max(right - left, 0.6):.2f}" height="12"/>']
    if math.isfinite(row.low) and math.isfinite(row.high):
        label += t(
            ", interval %(low)s to %(high)s",
            low=figure(row.low, like=row.mean),
            high=figure(row.high, like=row.mean),
        )
        low, high = scale.x(row.low), scale.x(row.high)
        path = f"M{low:.2f} 10h{max(high - low, 0.01):.2f}"
        if row.low < scale.low:
            path += f"M{low + 2:.2f} 6L{low:.2f} 10L{low + 2:.2f} 14"
        if row.high > scale.high:
            path += f"M{high - 2:.2f} 6L{high:.2f} 10L{high - 2:.2f} 14"
        parts.append(f'<path class="whisker" d="{path}"/>')
    parts.append(f'<path class="zero" d="M{_MIDDLE:.2f} 1v18"/>')
    return _HEAD.format("word", safe(label)) + Markup("".join(parts) + "</svg>")
