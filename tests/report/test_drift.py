from __future__ import annotations

import io
import re

import pytest

from evalharness.report.charts import can_draw, two_sides
from evalharness.report.drift_console import print_drift
from evalharness.report.drift_html import drift_html
from evalharness.report.drift_markdown import drift_markdown
from evalharness.report.drift_text import headline, rows_of
from evalharness.report.terminal import make_console

from .drifting import drift_line, drift_report


def printed(one, width=120):
    out = io.StringIO()
    print_drift(one, console=make_console(out, width=width))
    return out.getvalue()


def test_what_has_drifted_stands_first():
    rows = rows_of(drift_report())
    assert [(r.column, r.segment, r.of.state) for r in rows][:3] == [
        ("output.characters", "", "drift"),
        ("output.characters", "language=de", "drift"),
        ("latency_s", "", "small"),
    ]
    assert rows[0].moved == "mean 200.0 → 260.0"
    assert rows[1].moved == "", "a segment has no figures of its own"
    assert rows[-1].state == "too few rows"
    assert rows[-1].p == "—"


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ([("a", "", "drift"), ("b", "", "no_drift")], "1 of 2 columns has drifted"),
        ([("a", "", "drift"), ("b", "", "drift")], "2 of 2 columns have drifted"),
        ([("a", "", "no_drift"), ("b", "", "small")], "No drift shown in 2 columns"),
        (
            [("a", "", "no_drift"), ("a", "x=1", "drift")],
            "No drift shown in 1 column as a whole, but 1 segment has drifted",
        ),
        (
            [("a", "", "drift"), ("b", "", "small"), ("b", "x=1", "drift")],
            "1 of 2 columns has drifted, and 1 segment of others",
        ),
        ([], "Nothing was compared"),
    ],
)
def test_headlines(columns, wanted):
    found = tuple(drift_line(name, 0.01, 0.2, segment=segment, state=state) for name, segment, state in columns)
    assert headline(drift_report(findings=found)) == wanted


def test_the_terminal_shows_it_and_obeys_nothing():
    text = printed(drift_report())
    assert text.startswith("1 of 4 columns has drifted\n")
    assert "now.parquet (900 rows) compared with before.parquet (1,000 rows)" in text
    assert re.search(r"output\.characters +drift +0\.210 +0\.100 +0\.0400 +distance +<0\.001", text)
    assert "refund (2 % → 30 %)" in text
    assert "order (40 % → 20 %)" in text
    assert "note: 3 columns were left out" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_markdown_escapes_what_comes_from_data():
    text = drift_markdown(drift_report())
    assert "<script>" not in text
    assert "| output.characters | language\\=de | **drift** |" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_the_page_is_whole_and_inert():
    page = drift_html(drift_report())
    assert "<script" not in page
    assert "1 of 4 columns has drifted" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert page.count("<figure") == 2
    assert page.count("<details") == 2  # the table behind each chart
    assert page.count('role="img" aria-label="output.characters. ') == can_draw()
    assert "\x1b" not in page
    assert "http" not in re.sub(r'http-equiv|xmlns="[^"]*"', "", page)


def test_pictures_show_their_figures():
    picture = drift_report().pictures["output.characters"]
    chart = two_sides(picture, "output.characters")
    assert len(chart.rows) == 40
    assert chart.rows[0][0] == "0.000 to 12.50"
    filled, outline = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert [row["before"] for row in filled] == pytest.approx(list(picture["reference"]))
    assert [row["y"] for row in outline[1:41]] == pytest.approx(list(picture["current"]))


@pytest.mark.parametrize(
    "picture",
    [
        {},
        {"kind": "numeric", "edges": [1.0, 1.0], "reference": [1.0], "current": [1.0]},
        {"kind": "numeric", "edges": [0.0, 1.0], "reference": [0.0], "current": [0.0]},
        {"kind": "category", "labels": [], "reference": [], "current": []},
    ],
)
def test_nothing_to_draw(picture):
    assert two_sides(picture, "x") is None


def test_an_empty_report():
    one = drift_report(findings=(), pictures={}, summaries={}, terms=(), examples=(), notes=())
    assert printed(one).startswith("Nothing was compared")
    assert "Nothing was compared" in drift_html(one)
    assert drift_markdown(one).startswith("# Nothing was compared")
