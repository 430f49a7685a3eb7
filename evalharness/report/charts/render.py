"""Draws charts: Vega-Lite to SVG by vl-convert, in this process, without a network."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import re
import threading
from functools import cache
from typing import Any

from markupsafe import Markup

from ...core.language import t
from .chart import Chart, Spec, shown
from .theme import CONFIG

__all__ = ["NEEDS", "can_draw", "interactive_spec", "png_of", "svg_file", "svg_of", "warm_up"]

NEEDS = "Charts are drawn by the package vl-convert-python, which is not here: pip install 'evalharness[report]'."
_VEGA_LITE = "6.4"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_TAG = re.compile(r"<[^>]*>")
# What a drawing is as well without: roles of parts (the whole is one picture with one description), defaults, class
# names of the library, and frames of no size.
_NEEDLESS = re.compile(
    r' (?:role|aria-[a-z]+|pointer-events|class|font-family|xmlns:xlink|version)="[^"]*"|'
    r' (?:opacity="1"|transform="translate\(0,0\)"|stroke-width="0"|font-weight="normal"|text-anchor="start")'
)
_LONG = re.compile(r"(\d+\.\d{2})\d+")
_EMPTY = re.compile(r'<path(?: d="(?:M0,0h0v0h0Z)?")?(?: display="none")?/>|<g></g>|<g/>')


@cache
def can_draw() -> bool:
    """Whether what draws is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def warm_up() -> None:
    """Make what draws ready, on a thread: it takes half a second of one core, which a long run has to spare.

    The thread is waited for when the process ends: what draws must not be torn down while it starts.
    """
    if can_draw():
        threading.Thread(target=_draw_nothing, name="evalharness-charts").start()


def _draw_nothing() -> None:
    with contextlib.suppress(Exception):
        import vl_convert

        vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "point"}, vl_version=_VEGA_LITE)


def _whole(spec: Spec, **more: Any) -> Spec:
    # `schema` first: what the spec says of itself wins over the theme.
    config = {**CONFIG, **more, **spec.get("config", {})}
    return {"$schema": _SCHEMA, **shown({**spec, "config": config})}


def svg_of(chart: Chart) -> Markup:
    """The chart for a page, in the palette that base.css turns into the page's; empty where nothing can be drawn."""
    if not can_draw():
        return Markup("")
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(_whole(chart.spec), vl_version=_VEGA_LITE, allowed_base_urls=[])
    head = Markup('<svg role="img" aria-label="{}"').format(
        shown(t("%(title)s. %(description)s", title=chart.title, description=chart.description))
    )
    return head + Markup(_small(drawn).removeprefix("<svg"))


def svg_file(chart: Chart) -> str:
    """The chart as a file of its own: on white, with its title."""
    import vl_convert

    spec = {**chart.spec, "title": chart.title, "description": chart.description}
    drawn = vl_convert.vegalite_to_svg(_whole(spec, background="#ffffff"), vl_version=_VEGA_LITE, allowed_base_urls=[])
    head = Markup("<title>{}</title><desc>{}</desc>").format(shown(chart.title), shown(chart.description))
    top, end, rest = _small(drawn).partition(">")
    return f'{top} role="img"{end}{head}{rest}\n'.replace("<svg", '<svg font-family="system-ui, sans-serif"', 1)


def interactive_spec(chart: Chart) -> Spec:
    """The whole Vega-Lite of the chart, for a browser that draws it itself."""
    return copy.deepcopy(_whole(chart.spec))


def png_of(chart: Chart, *, scale: float = 2.0) -> bytes:
    """The chart as a picture, for what shows no SVG."""
    import vl_convert

    spec = {**chart.spec, "title": chart.title}
    whole = _whole(spec, background="#ffffff")
    return bytes(vl_convert.vegalite_to_png(whole, vl_version=_VEGA_LITE, scale=scale, allowed_base_urls=[]))


def _small(svg: str) -> str:
    """The same drawing in a third of the bytes; only tags are touched, never text."""
    svg = _TAG.sub(lambda tag: _LONG.sub(r"\1", _NEEDLESS.sub("", tag[0])), svg)
    while (shorter := _EMPTY.sub("", svg)) != svg:
        svg = shorter
    return svg
