"""The chart of a gate as an SVG file that stands alone: each rule's figure and interval beside its limit."""

from __future__ import annotations

import math
import unicodedata
from typing import Final
from xml.sax.saxutils import escape

from .marks import one_line
from .outcome import GateOutcome
from .readings import Reading, readings

__all__ = ["chart_svg"]

_WIDTH, _ROW, _TOP, _BOTTOM = 900, 46, 62, 34
_LEFT, _RIGHT = 392, 790
_CENTRE: Final = (_LEFT + _RIGHT) / 2
_HALF: Final = (_RIGHT - _LEFT) / 2 - 14
_MOST: Final = 60
_NAME: Final = 46
_WORDS: Final = {"pass": "pass", "fail": "FAIL", "inconclusive": "undecided"}
_TITLES: Final = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive"}

# Shown as an image, it has no page around it: its colours follow the reader's own setting.
_STYLE: Final = """\
text{font:13px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:#1b2127}
.page{fill:#ffffff}.head{font-size:16px;font-weight:650}.rule{font-size:12.5px;font-weight:550}
.small{font-size:11.5px;fill:#59636d;font-variant-numeric:tabular-nums}.state{font-weight:650;font-size:12.5px}
.holds{fill:#e3f2ec}.limit{stroke:#1b2127;stroke-width:1.5}.grid{stroke:#dcdfe1}
.ci{stroke-width:5;stroke-linecap:round}.cap{stroke-width:2;fill:none;stroke-linecap:round;stroke-linejoin:round}
.s-pass{stroke:#0a6a51}.s-fail{stroke:#ad330b}.s-inconclusive{stroke:#755800}
.ci.s-pass{stroke:#8cc4b1}.ci.s-fail{stroke:#e3a58c}.ci.s-inconclusive{stroke:#d8bf78}
.f-pass{fill:#0a6a51}.f-fail{fill:#ad330b}.f-inconclusive{fill:#755800}
@media (prefers-color-scheme:dark){text{fill:#e5e9ec}.page{fill:#12161a}.small{fill:#9ca7b1}
.holds{fill:#14302a}.limit{stroke:#e5e9ec}.grid{stroke:#2e363e}
.s-pass{stroke:#5cc9a5}.s-fail{stroke:#ff9770}.s-inconclusive{stroke:#e2bb55}
.ci.s-pass{stroke:#2c6e59}.ci.s-fail{stroke:#8a4a33}.ci.s-inconclusive{stroke:#7a6429}
.f-pass{fill:#5cc9a5}.f-fail{fill:#ff9770}.f-inconclusive{fill:#e2bb55}}
"""


def chart_svg(outcome: GateOutcome, *, suite: str) -> str:
    """The SVG; figures of one metric share a scale, and right of the line in the middle a rule holds.

    A file of its own, since GitHub takes inline SVG out of what people write. No more than 60 rules are drawn, those
    that do not hold first.
    """
    found = readings(outcome)
    shown = found[:_MOST]
    height = _TOP + max(1, len(shown)) * _ROW + _BOTTOM
    title = f"Gate of {suite}: {_TITLES[outcome.state]}"
    bottom = height - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title">',
        f'<title id="title">{_xml(title)}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="8"/>',
        f'<text class="head f-{outcome.state}" x="20" y="30">{_xml(_short(title, 90))}</text>',
        f'<rect class="holds" x="{_CENTRE:g}" y="{_TOP - 8}" width="{_RIGHT - _CENTRE:g}" '
        f'height="{bottom - _TOP + 8}"/>',
        f'<text class="small" x="{_CENTRE - 8:g}" y="{_TOP - 14}" text-anchor="end">does not hold</text>',
        f'<text class="small" x="{_CENTRE + 8:g}" y="{_TOP - 14}">holds</text>',
    ]
    for index, reading in enumerate(shown):
        parts += _row(reading, _TOP + index * _ROW)
    parts.append(f'<path class="limit" d="M{_CENTRE:g} {_TOP - 8}V{bottom}"/>')
    parts.append(f'<text class="small" x="20" y="{height - 12}">{_xml(_foot(len(found)))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _foot(n: int) -> str:
    if not n:
        return "The gate has no rules."
    more = f" Not drawn: {n - _MOST:,} more." if n > _MOST else ""
    return (
        f"The line is each rule's limit. Dot: the figure; bar: its interval. Figures of one metric share a scale.{more}"
    )


def _row(reading: Reading, top: float) -> list[str]:
    verdict, y = reading.verdict, top + _ROW / 2 - 2
    state = verdict.state
    tier = "" if verdict.tier == "block" else f" · {verdict.tier}"
    return [
        f"<g><title>{_xml(one_line(f'{verdict.rule}: {verdict.reason}'))}</title>",
        f'<path class="grid" d="M20 {top + _ROW - 4:g}H{_WIDTH - 20}"/>',
        f'<text class="rule" x="20" y="{y - 3:g}">{_xml(_short(verdict.rule, _NAME))}</text>',
        f'<text class="small" x="20" y="{y + 13:g}">{_xml(f"{reading.figures} · n = {verdict.n:,}{tier}")}</text>',
        *_mark(reading, y),
        f'<text class="state f-{state}" x="{_RIGHT + 16}" y="{y + 4:g}">{_WORDS[state]}</text>',
        "</g>",
    ]


def _mark(reading: Reading, y: float) -> list[str]:
    if not reading.drawn:
        return []
    state = reading.verdict.state
    marks = []
    if not math.isnan(reading.low) and not math.isnan(reading.high):
        left, right = _x(reading.low), _x(reading.high)
        marks.append(f'<path class="ci s-{state}" d="M{left:.1f} {y:g}H{max(right, left + 0.1):.1f}"/>')
        # An interval that is open to a side ends in an arrow there.
        if math.isinf(reading.low):
            marks.append(f'<path class="cap s-{state}" d="M{left + 6:.1f} {y - 5:g}L{left:.1f} {y:g}l6 5"/>')
        if math.isinf(reading.high):
            marks.append(f'<path class="cap s-{state}" d="M{right - 6:.1f} {y - 5:g}L{right:.1f} {y:g}l-6 5"/>')
    return [*marks, f'<circle class="f-{state}" cx="{_x(reading.value):.1f}" cy="{y:g}" r="5.5"/>']


def _x(share: float) -> float:
    return _CENTRE + max(-1.0, min(1.0, share)) * _HALF


def _short(text: str, width: int) -> str:
    """As much of `text` as `width` columns hold: signs of Chinese, Japanese and Korean take two."""
    text = one_line(text)
    used = 0
    for index, sign in enumerate(text):
        used += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if used > width:
            return f"{text[: max(0, index - 1)]}…"
    return text


def _xml(text: str) -> str:
    return escape(one_line(text))
