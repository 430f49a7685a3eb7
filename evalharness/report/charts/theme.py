"""How all charts look: one palette, one scale of type. Pages turn these colours into those of their own scheme.

Every colour that a drawing may hold stands in `COLOURS`; base.css names each of them once more, with what it becomes in
the dark, in high contrast and on paper (`tests/report/test_charts.py` holds the two together). The colours of series
are told apart by the colour-blind (Okabe and Ito's hues, darkened until text of them can be read), and no chart relies
on colour alone: series carry their names, marks have shapes.
"""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "CONFIG", "NARROW", "SERIES", "SIDES", "WIDE"]

INK, MUTED, LINE = "#1b2127", "#59636d", "#dcdfe1"
ACCENT, SOFT = "#0b5cad", "#a9c9ea"
BEFORE = "#8d959d"
# Of a reference, and of what is compared with it.
SIDES = (BEFORE, ACCENT)
GOOD, BAD = "#0a6a51", "#ad330b"
SERIES = (ACCENT, "#b3560a", "#0b7a5c", "#7d5ba6", "#8a6a0f", "#5c6670")
COLOURS = tuple(dict.fromkeys((INK, MUTED, LINE, ACCENT, SOFT, BEFORE, GOOD, BAD, *SERIES)))

# Widths in pixels of what is drawn: the first fits a telephone without being shrunk.
NARROW, WIDE = 300, 640

_FONT = "ui-sans-serif, system-ui, sans-serif"
CONFIG: dict[str, Any] = {
    "background": None,
    "font": _FONT,
    "padding": {"left": 6, "right": 14, "top": 4, "bottom": 4},
    "view": {"stroke": None},
    "aria": False,
    "axis": {
        "labelColor": MUTED,
        "labelFontSize": 11,
        "labelLimit": 150,
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "tickSize": 4,
        "labelPadding": 4,
    },
    "axisY": {"domain": False, "ticks": False},
    "axisX": {"grid": False},
    "legend": {"labelColor": INK, "labelFontSize": 11, "title": None, "symbolType": "square", "labelLimit": 200},
    "bar": {"color": ACCENT},
    "line": {"color": ACCENT, "strokeWidth": 2},
    "point": {"color": ACCENT, "filled": True, "size": 45, "opacity": 1},
    "rule": {"color": MUTED},
    "text": {"color": INK, "fontSize": 11},
    "title": {"color": INK, "fontSize": 13, "fontWeight": 600, "anchor": "start", "offset": 10},
    "range": {"category": list(SERIES)},
}
