"""Charts, declared as Vega-Lite in one place and drawn as inline SVG: plain data in, a `Chart` out.

Every chart carries a text alternative and the table of what it shows, so a page loses nothing where nothing can be
drawn, or seen.
"""

from __future__ import annotations

from .chart import Chart, Column
from .distributions import bars, histogram, two_bars, two_histograms, two_sides
from .quality import curves, intervals, reliability_chart
from .render import can_draw, png_of, svg_file, svg_of, warm_up
from .theme import SIDES
from .trends import Mark, Point, scatter, trend

__all__ = [
    "SIDES",
    "Chart",
    "Column",
    "Mark",
    "Point",
    "bars",
    "can_draw",
    "curves",
    "histogram",
    "intervals",
    "png_of",
    "reliability_chart",
    "scatter",
    "svg_file",
    "svg_of",
    "trend",
    "two_bars",
    "two_histograms",
    "two_sides",
    "warm_up",
]
