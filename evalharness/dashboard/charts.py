"""Charts of pages: drawn once, kept for a while, and handed to the browser as data for those who want to explore."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from markupsafe import Markup

from ..core.canonical import digest
from ..core.files import cache_dir, write_atomic
from ..core.language import spoken
from ..report.charts import Chart, can_draw, svg_of
from ..report.charts.render import interactive_spec
from ..report.page import embed_json

__all__ = ["Drawn", "untitled", "vega_bundle"]

_KEPT: Final = 400
_ROOM: Final = 8
_lock = threading.Lock()
_drawn: OrderedDict[str, Markup] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart ready for a page: its drawing (empty where nothing draws), and its Vega-Lite for a browser."""

    chart: Chart
    picture: Markup
    data: Markup

    @classmethod
    def of(cls, chart: Chart) -> Drawn:
        """Draw it, or take the drawing of before: the same chart is mostly asked for again."""
        key = digest([spoken(), chart.title, chart.description, chart.spec])
        with _lock:
            found = _drawn.get(key)
            if found is not None:
                _drawn.move_to_end(key)
        if found is None:
            found = svg_of(chart)
            with _lock:
                _drawn[key] = found
                while len(_drawn) > _KEPT:
                    _drawn.popitem(last=False)
        return cls(chart, found, embed_json(interactive(chart)) if can_draw() else Markup(""))


def interactive(chart: Chart) -> dict[str, Any]:
    """The chart's Vega-Lite with values shown at the pointer, and axes that the wheel moves where it goes over time."""
    spec = interactive_spec(chart)
    layers = spec.get("layer", [spec])
    for layer in layers:
        if isinstance(layer.get("mark"), dict) and layer["mark"].get("type") in ("line", "point", "bar", "area"):
            layer["mark"]["tooltip"] = True
        # What stands above the axes, as marks of alerts and promotions do, is no part of what the wheel moves aside.
        if isinstance(layer.get("mark"), dict) and layer["mark"].get("type") == "point" and "y" in layer["mark"]:
            layer["mark"]["clip"] = False
            layer["encoding"]["tooltip"] = {"field": "name", "type": "nominal"}
    for layer in layers:
        values = layer.get("data", {}).get("values") or [{}]
        if "url" in values[0]:
            layer["encoding"]["href"] = {"field": "url", "type": "nominal"}
            layer["mark"]["cursor"] = "pointer"
    lines = [one for one in layers if isinstance(one.get("mark"), dict) and one["mark"].get("type") == "line"]
    if lines and lines[0].get("encoding", {}).get("x", {}).get("type") == "temporal":
        lines[0]["params"] = [{"name": "view", "select": {"type": "interval", "encodings": ["x"]}, "bind": "scales"}]
        # What can be moved aside is cut off at the axes: the outermost points need room within them.
        for place in (layer.get("encoding", {}).get(axis) for layer in layers for axis in ("x", "y")):
            if place is not None and "field" in place:
                place["scale"] = {**place.get("scale", {}), "padding": _ROOM}
    return spec


def untitled(chart: Chart) -> Chart:
    """The chart without a name at its axis: its title says what it is of."""
    for layer in chart.spec.get("layer", [chart.spec]):
        axis = layer.get("encoding", {}).get("y", {}).get("axis")
        if isinstance(axis, dict):
            axis["title"] = None
    return chart


@cache
def vega_bundle() -> tuple[bytes, str]:
    """Vega, Vega-Lite and their embedding as one script, of the drawing library's own: no network is asked.

    The script, packed by gzip, and a name of its content. To make it takes two seconds of one core, once for each
    version of the library: it is kept in the cache.
    """
    from importlib.metadata import version

    place = cache_dir() / "dashboard" / f"vega-{version('vl-convert-python')}.js.gz"
    try:
        packed = place.read_bytes()
        gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        packed = _packed_bundle()
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, packed)
    return packed, hashlib.sha256(packed).hexdigest()[:16]


def _packed_bundle() -> bytes:
    import vl_convert

    # Without a snippet of ours it makes `vegaEmbed` known to the page.
    return gzip.compress(str(vl_convert.javascript_bundle()).encode(), mtime=0)  # type: ignore[call-arg]
