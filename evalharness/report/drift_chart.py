"""A column's two distributions over one another, as inline SVG: outlines for numbers, pairs of bars for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from .text import clip, figure, safe, share

__all__ = ["distribution", "standalone", "table_of"]

_WIDTH, _HEIGHT, _BASE = 320.0, 120.0, 104.0
_BAR, _LEVELS, _LABEL = 22.0, 12, 22


def distribution(picture: Mapping[str, Any], column: str) -> Markup:
    """The SVG of one entry of `DriftReport.pictures`; empty where there is nothing to draw."""
    if picture.get("kind") == "numeric":
        return _outlines(picture["edges"], picture["reference"], picture["current"], column)
    if picture.get("kind") == "category":
        return _pairs(picture["labels"], picture["reference"], picture["current"], column)
    return Markup("")


_STYLE = Markup(
    "<style>.d-ref{fill:#e3e6e8;stroke:#59636d}.d-now{fill:none;stroke:#0b5cad;stroke-width:2}.d-ref-bar{fill:#9aa2aa}"
    ".d-now-bar{fill:#0b5cad}.d-axis{stroke:#dcdfe1}text{font:10px sans-serif;fill:#3a4148}"
    ".end,.d-name{text-anchor:end}</style>"
)


def standalone(picture: Mapping[str, Any], column: str) -> Markup:
    """The drawing as a file of its own, for a message: the reference in grey, now in blue; empty where none is."""
    drawn = distribution(picture, column)
    if not drawn:
        return drawn
    head, _, body = str(drawn).partition(">")
    height = head.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split(" ")[1]
    size = f' xmlns="http://www.w3.org/2000/svg" width="{2 * _WIDTH:g}" height="{2 * float(height):g}">'
    return Markup(head + size) + _STYLE + Markup(body)


def table_of(picture: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What the picture shows, in figures: (bin or class, share in the reference, share now)."""
    if picture.get("kind") == "numeric":
        edges = picture["edges"]
        names = [f"{figure(a)} to {figure(b)}" for a, b in pairwise(edges)]
    else:
        names = [str(label) for label in picture.get("labels", ())]
    rows = zip(names, picture.get("reference", ()), picture.get("current", ()), strict=True)
    return [(name, share(before, 1), share(now, 1)) for name, before, now in rows]


def _outlines(edges: Sequence[float], reference: Sequence[float], current: Sequence[float], column: str) -> Markup:
    top = max([*reference, *current, 0.0])
    if top <= 0 or edges[-1] <= edges[0]:
        return Markup("")

    def steps(shares: Sequence[float], *, closed: bool) -> str:
        path = [f"M0 {_BASE:.1f}"]
        for (left, right), value in zip(pairwise(edges), shares, strict=True):
            y = _BASE - (_BASE - 6) * value / top
            path.append(f"L{x(left):.1f} {y:.1f}H{x(right):.1f}")
        return "".join(path) + (f"V{_BASE:.1f}Z" if closed else f"V{_BASE:.1f}")

    def x(value: float) -> float:
        return _WIDTH * (value - edges[0]) / (edges[-1] - edges[0])

    body = (
        f'<path class="d-ref" d="{steps(reference, closed=True)}"/>'
        f'<path class="d-now" d="{steps(current, closed=False)}"/><path class="d-axis" d="M0 {_BASE}H{_WIDTH}"/>'
    )
    ends = Markup('<text class="d-tick" x="0" y="117">{}</text><text class="d-tick end" x="{}" y="117">{}</text>')
    return _svg(column, _HEIGHT) + Markup(body) + ends.format(figure(edges[0]), _WIDTH, figure(edges[-1])) + _END


def _pairs(labels: Sequence[str], reference: Sequence[float], current: Sequence[float], column: str) -> Markup:
    """The classes that moved most first, as many as fit."""
    lines = sorted(zip(labels, reference, current, strict=True), key=lambda row: -abs(row[2] - row[1]))[:_LEVELS]
    top = max([*(max(row[1], row[2]) for row in lines), 0.0])
    if top <= 0:
        return Markup("")
    parts = [_svg(column, _BAR * len(lines) + 4)]
    room = _WIDTH - 190
    for i, (label, before, now) in enumerate(lines):
        y = i * _BAR + 3
        parts.append(Markup('<text class="d-name" x="118" y="{}">{}</text>').format(y + 13, safe(clip(label, _LABEL))))
        for css, value, dy in (("d-ref-bar", before, 0.0), ("d-now-bar", now, 9.0)):
            width = max(room * value / top, 0.5)
            parts.append(
                Markup(f'<rect class="{css}" x="124" y="{y + dy:.1f}" width="{width:.1f}" height="8" rx="1"/>')
            )
        end = 128 + room * max(before, now) / top
        text = f"{share(before, 1)} → {share(now, 1)}"
        parts.append(Markup('<text class="d-tick" x="{}" y="{}">{}</text>').format(f"{end:.1f}", y + 13, text))
    return Markup("").join(parts) + _END


_END = Markup("</svg>")


def _svg(column: str, height: float) -> Markup:
    head = Markup('<svg class="distribution" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    label = f"How {safe(column)} is spread in the reference and now; the figures stand in the table below"
    return head.format(f"{_WIDTH:g}", f"{height:g}", label)
