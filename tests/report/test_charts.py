"""Charts: what they say without being seen, that they are Vega-Lite, and that nothing in them can act."""

import math
import re
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from evalharness.report import charts
from evalharness.report.charts.render import can_draw
from evalharness.report.charts.theme import COLOURS
from evalharness.report.page import asset, environment

ODD = "<script>window.hacked=1</script>\"'><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[31m\x00\ufffe\ud800\u2028"
BINS = [
    SimpleNamespace(low=0.5, high=0.75, n=20.0, confidence=0.7, accuracy=0.8),
    SimpleNamespace(low=0.75, high=1.0, n=10.0, confidence=0.95, accuracy=0.5),
]


def all_charts(odd="odd"):
    """One of each kind, with `odd` wherever text of the data may enter."""
    days = [f"2026-11-{day:02d}T00:00:00Z" for day in range(1, 15)]
    times = [charts.Point(at, 0.8 + 0.01 * i, 0.7, 0.9) for i, at in enumerate(days)]
    releases = [charts.Point(f"{odd}{i}", 0.5 + 0.1 * i) for i in range(4)]
    return {
        "histogram": charts.histogram([0, 1, 2, 3], [4, 5, 6], title=odd, of=odd, marks=[(odd, 1.5), ("p95", 2.9)]),
        "bars": charts.bars([odd, "b"], [3, 4], title=odd, of=odd),
        "two_histograms": charts.two_histograms([0, 1, 2], [0.5, 0.5], [0.25, 0.75], title=odd, of=odd),
        "two_bars": charts.two_bars([odd, "b"], [0.5, 0.5], [0.1, 0.9], title=odd, of=odd),
        "intervals": charts.intervals(
            [(odd, 0.5, 0.4, 0.6), ("b", 0.7, math.nan, 1)], title=odd, of=odd, rule=(odd, 1)
        ),
        "reliability": charts.reliability_chart(BINS, title=odd),
        "curves": charts.curves({odd: [(0, 1), (1, 0)], "b": [(0, 1), (1, 0.5)]}, title=odd, x=odd, y=odd),
        "trend over time": charts.trend(
            times,
            title=odd,
            of=odd,
            marks=[charts.Mark(days[3], "alert", odd), charts.Mark(days[5], "deploy", odd)],
            limit=(odd, 0.75),
            expected=[(at, 0.7, 0.8) for at in days],
        ),
        "trend over releases": charts.trend(
            releases, title=odd, of=odd, is_time=False, marks=[charts.Mark(f"{odd}2", "promotion", odd)]
        ),
        "scatter": charts.scatter([(0, 1, odd, odd), (1, 2, "b", "c")], title=odd, x=odd, y=odd),
    }


KINDS = list(all_charts())


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_vega_lite(kind):
    """By the schema that altair carries: a misspelt channel or mark is refused there, and passed over by what draws."""
    altair = pytest.importorskip("altair")
    spec = all_charts()[kind].spec
    made = altair.Chart.from_dict({"$schema": altair.SCHEMA_URL, "data": {"values": []}, **spec})
    made.to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_has_words_and_a_table(kind):
    chart = all_charts("a name")[kind]
    assert chart.title == "a name"
    assert len(chart.description) > 5
    assert chart.rows
    assert {len(row) for row in chart.rows} == {len(chart.columns)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn(kind):
    svg = str(charts.svg_of(all_charts()[kind]))
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert "odd" in root.get("aria-label")
    drawn = [e for e in root.iter() if e.tag.endswith(("path", "line", "rect", "text"))]
    assert len(drawn) > 4
    assert len(svg) < 12_000
    assert "NaN" not in svg
    assert "undefined" not in svg
    # Two pictures on a page would share an id, and the policy of pages refuses inline style.
    assert " id=" not in svg
    assert " style=" not in svg


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_chart_acts(kind):
    chart = all_charts(ODD)[kind]
    for svg in (str(charts.svg_of(chart)), charts.svg_file(chart)):
        root = ElementTree.fromstring(svg)  # not well-formed would raise
        tags = {e.tag.rpartition("}")[2] for e in root.iter()}
        assert tags <= {"svg", "g", "path", "text", "line", "rect", "title", "desc", "tspan"}
        assert not [name for e in root.iter() for name in e.attrib if name.startswith("on") or "href" in name]
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\u2028\ud800-\udfff\ufffe]", svg)
        assert "49" not in "".join(root.itertext())


def test_no_character_ends_the_process():
    """What draws aborts on characters that XML does not allow; so each that is no letter goes through, elsewhere."""
    code = (
        "import unicodedata\n"
        "from evalharness.report import charts\n"
        "odd = [chr(i) for i in range(0x300)] + [chr(i) for i in (0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000)]\n"
        "odd += [chr(i) for i in range(0x300, 0x10000) if unicodedata.category(chr(i)) in ('Cc', 'Cf', 'Zl', 'Zp')]\n"
        "odd += [chr(0xfffe), chr(0xffff), chr(0x1fffe), chr(0x10ffff)]\n"
        "rows = [''.join(odd[i:i + 40]) for i in range(0, len(odd), 40)]\n"
        "for row in rows:\n"
        "    assert charts.svg_of(charts.bars([row], [1.0], title=row, of=row))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-800:]


def test_every_colour_is_one_of_the_palette_and_every_page_maps_it():
    used = set()
    for chart in all_charts().values():
        used |= set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]+)"', str(charts.svg_of(chart))))
    assert used <= set(COLOURS), used - set(COLOURS)
    css = asset("base.css")
    for colour in COLOURS:
        assert f'.chart [fill="{colour}"]' in css
        assert f'.chart [stroke="{colour}"]' in css


def test_an_infinite_or_missing_value_is_left_out_of_the_picture_and_told_in_the_table():
    points = [
        charts.Point("2026-11-01", 0.5),
        charts.Point("2026-11-02", math.nan),
        charts.Point("2026-11-03", math.inf),
    ]
    chart = charts.trend(points, title="t", of="accuracy")
    assert charts.svg_of(chart)
    assert [row[1] for row in chart.rows] == ["0.500", "—", "∞"]


def test_marks_of_a_trend_stand_in_the_table_even_between_its_points():
    points = [charts.Point("2026-11-01", 0.5), charts.Point("2026-11-03", 0.6)]
    chart = charts.trend(points, title="t", of="x", marks=[charts.Mark("2026-11-02", "alert", "too low")])
    assert ("2026-11-02", "", "", "alert: too low") in chart.rows
    assert "alert at 2026-11-02: too low" in chart.description


def test_the_classes_that_moved_most_come_first():
    chart = charts.two_bars(["same", "moved"], [0.5, 0.5], [0.5, 0.1], title="t", of="class")
    assert [row[0] for row in chart.rows] == ["moved", "same"]


def test_without_what_draws_a_page_shows_the_table(monkeypatch):
    render = sys.modules["evalharness.report.charts.render"]
    monkeypatch.setattr(render, "can_draw", lambda: False)
    page = environment().get_template("components.j2").module.chart(all_charts()["bars"])
    assert "<svg" not in page
    assert "<details open>" in page
    assert "<td" in page


def test_what_draws_is_here():
    assert can_draw()


def test_series_of_a_map_take_the_colours_they_are_given():
    points = [(0, 1, "reference", "a"), (1, 2, "current", "b")]
    chart = charts.scatter(points, title="t", x="x", y="y", colours=charts.SIDES)
    assert chart.spec["encoding"]["color"]["scale"] == {
        "domain": ["reference", "current"],
        "range": ["#8d959d", "#0b5cad"],
    }
