import math
import xml.etree.ElementTree as ET

import pytest

from evalharness.compare.pairing import Pairing
from evalharness.core.types import Verdict
from evalharness.gate import GateOutcome
from evalharness.gate.chart import chart_svg
from evalharness.gate.readings import readings
from evalharness.gate.strips import strip, strips

NAN = math.nan


def verdict(value, low, high, limit, *, sign="≥", state="pass", metric="acc", tier="block", model="m"):
    rule = f"t.{metric} {sign} {limit:g} · {model}"
    return Verdict(rule, state, tier, "because", "t", model, metric, value, low, high, limit, n=50)


def outcome(*verdicts, pairings=None):
    return GateOutcome("run", None, verdicts, pairings or (None,) * len(verdicts), "pass", "interval", 0.95)


def one(*args, **more):
    (reading,) = readings(outcome(verdict(*args, **more)))
    return reading


def test_right_of_the_limit_a_rule_holds():
    at_least, at_most = one(0.9, 0.85, 0.95, 0.8), one(0.1, 0.05, 0.15, 0.2, sign="≤")
    for reading in (at_least, at_most):
        assert (reading.low, reading.value, reading.high) == pytest.approx((1 / 3, 2 / 3, 1))
    failing = one(0.7, 0.6, 0.9, 0.8, state="fail")
    assert failing.low == -1 < failing.value < 0 < failing.high


def test_a_comparison_is_drawn_by_its_change():
    pairing = Pairing(100, 0, 0, 9, 1, 0.08, 0.03, 0.13, "Tango score", 0.95)
    found = verdict(0.7, 0.6, 0.8, 0.02, sign="regresses ≤", state="fail")
    (reading,) = readings(outcome(found, pairings=(pairing,)))
    assert (reading.low, reading.value, reading.high) == pytest.approx((-1, -0.06 / 0.11, -0.01 / 0.11))
    assert reading.figures == "−0.08 [−0.13, −0.03]"


@pytest.mark.parametrize(
    ("condition", "limit", "change", "interval", "expected"),
    [
        ("non-inferior within 0.02", 0.02, -0.01, (-0.03, 0.01), (-0.01, 0.01, 0.03)),
        ("superior", 0.0, 0.04, (0.01, 0.07), (0.01, 0.04, 0.07)),
        ("superior by 0.02", 0.02, 0.04, (0.01, 0.07), (-0.01, 0.02, 0.05)),
        ("equivalent within 0.05", 0.05, 0.01, (-0.01, 0.03), (0.02, 0.04, 0.06)),
        ("equivalent within 0.05", 0.05, -0.06, (-0.08, -0.04), (-0.03, -0.01, 0.01)),
        ("drops ≤ 5 %", 0.05, -0.02, (-0.03, -0.01), (0.01, 0.02, 0.03)),
    ],
)
def test_each_kind_of_comparison_holds_right_of_its_limit(condition, limit, change, interval, expected):
    pairing = Pairing(100, 0, 0, 9, 1, -change, -interval[1], -interval[0], "t", 0.9)
    rule = f"t.acc {condition} · m"
    found = Verdict(rule, "pass", "block", "because", "t", "m", "acc", 0.8, 0.7, 0.9, limit, 0.8, 100)
    (reading,) = readings(outcome(found, pairings=(pairing,)))
    farthest = max(map(abs, expected))
    assert (reading.low, reading.value, reading.high) == pytest.approx([x / farthest for x in expected])


def test_figures_of_one_metric_share_a_scale():
    near, far = verdict(0.81, 0.8, 0.82, 0.8, model="a"), verdict(0.9, 0.8, 1.0, 0.8, model="b")
    slow = verdict(1.9, 1.8, 2.0, 2.0, sign="≤", metric="latency")
    shares = {r.verdict.model + r.verdict.metric: r.high for r in readings(outcome(near, far, slow))}
    assert shares == pytest.approx({"aacc": 0.1, "bacc": 1.0, "mlatency": 1.0})


def test_what_fails_stands_first_and_what_decides_before_what_warns():
    states = [("pass", "block"), ("fail", "warn"), ("inconclusive", "block"), ("fail", "block")]
    found = readings(outcome(*(verdict(0.9, 0.8, 1, 0.8, state=s, tier=t) for s, t in states)))
    order = [(r.verdict.state, r.verdict.tier) for r in found]
    assert order == [("fail", "block"), ("inconclusive", "block"), ("pass", "block"), ("fail", "warn")]


@pytest.mark.parametrize(
    ("figures", "drawn"),
    [
        ((0.9, 0.8, 1.0, 0.6), "                │       ├───●───┤"),
        ((0.6, 0.4, 1.0, 0.8), "├───────●───────┼───────┤        "[:33]),
        ((0.9, NAN, NAN, 0.8), "                │               ●"),
        ((NAN, NAN, NAN, 0.8), "                │                "),
        ((0.8, 0.8, 0.8, 0.8), "                ●                "),
        ((0.9, -math.inf, math.inf, 0.8), "◂───────────────┼────────────●──▸"),
    ],
)
def test_a_strip_in_characters(figures, drawn):
    assert strip(one(*figures, state="inconclusive" if figures[0] < figures[3] else "pass")) == drawn


def test_a_figure_that_is_near_its_limit_is_never_drawn_on_it():
    near = strip(readings(outcome(verdict(0.8001, NAN, NAN, 0.8), verdict(1.0, NAN, NAN, 0.8, model="b")))[0])
    assert near == "                │●               "


def test_strips_name_the_rule_and_the_figure():
    text = strips(outcome(verdict(0.9, 0.8, 1.0, 0.6), verdict(0.5, 0.4, 0.5, 0.6, state="fail", model="b|\n`")))
    first, second = text.splitlines()
    assert first.endswith("✗ t.acc ≥ 0.6 · b|⏎`   0.5 [0.4, 0.5]")
    assert second.endswith("✓ t.acc ≥ 0.6 · m   0.9 [0.8, 1]")
    assert strips(outcome(*[verdict(1, 1, 1, 0)] * 5), most=2).endswith("… and 3 more")


HOSTILE = "</text><script>alert(1)</script>&\"'\x00\ud800\u202e" + "漢字" * 60


def test_the_svg_is_valid_whatever_the_names():
    svg = chart_svg(outcome(verdict(0.9, 0.8, 1.0, 0.8, model=HOSTILE), verdict(NAN, NAN, NAN, 0.8)), suite=HOSTILE)
    root = ET.fromstring(svg.encode("utf-8"))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "style", "rect", "text", "path", "circle", "g"}
    assert len([e for e in root.iter() if e.tag.endswith("circle")]) == 1
    assert "<script>alert(1)" in "".join(root.itertext())


def test_the_svg_of_many_rules_says_what_it_leaves_out():
    svg = chart_svg(outcome(*[verdict(0.9, 0.8, 1.0, 0.8)] * 75), suite="s")
    assert svg.count("<circle") == 60
    assert "Not drawn: 15 more." in svg
    assert "The gate has no rules." in chart_svg(outcome(), suite="s")


@pytest.mark.browser
@pytest.mark.slow
def test_the_svg_in_a_browser(browser, tmp_path):
    """No text leaves the picture or runs into the chart, in any colour scheme."""
    path = tmp_path / "gate.svg"
    long = verdict(0.123456, 0.1, 0.2, 0.8, state="inconclusive", model="漢字" * 40, tier="warn")
    path.write_text(chart_svg(outcome(long, verdict(0.9, 0.8, 1.0, 0.8)), suite="s" * 200), encoding="utf-8")
    page = browser.new_page()
    try:
        page.goto(path.as_uri())
        boxes = page.evaluate(
            "[...document.querySelectorAll('text')].map(t => { const b = t.getBBox();"
            " return [t.getAttribute('class'), b.x, b.x + b.width]; })"
        )
        assert all(left >= 0 and right <= 900 for _, left, right in boxes), boxes
        assert all(right <= 392 for kind, left, right in boxes if kind == "rule"), boxes
        colours = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colours.add(page.evaluate("getComputedStyle(document.querySelector('.page')).fill"))
        assert len(colours) == 2
    finally:
        page.close()
