"""The page in a real browser: opened from disk, no network, no console message, nothing of the data runs."""

from __future__ import annotations

import re

import pytest

from evalharness.record import Rating
from evalharness.report.drift_html import drift_html
from evalharness.report.html import render_html

from .drifting import drift_report
from .test_compare import comparison

pytestmark = [pytest.mark.browser, pytest.mark.slow]
XSS = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1><svg onload=window.hacked=1>\u2028\ud800"
VERDICT = {
    "rule": "sentiment.accuracy ≥ 0.9 · small",
    "state": "fail",
    "tier": "block",
    "reason": "sentiment.accuracy of small is 0.727 (n = 11): 0.173 below the limit of 0.9.",
    "task": "sentiment",
    "model": "small",
    "metric": "accuracy",
    "value": 0.727,
    "ci_low": 0.5,
    "ci_high": 0.9,
    "limit": 0.9,
    "baseline_value": None,
    "n": 11,
}
RATINGS = [
    Rating("r", task, model, f"s{i}", 0, rater, "scale", value=float((i * k) % 5 + 1), asked="Is it faithful?")
    for task in ("sentiment", "W" * 200)
    for model in ("small", "large")
    for i in range(8)
    for k, rater in ((1, "anna"), (2, "ben"))
]
RATINGS += [
    Rating("r", "translate", "small", f"t{i}", 0, "anna", "label", label="good" if i % 3 else "bad") for i in range(9)
]
RATINGS += [
    Rating("r", "translate", one, f"t{i}", 0, "anna", "pairwise", label=(one, other, "tie")[i % 3], against=other)
    for one, other in (("large", "small"), ("large", "other"))
    for i in range(9)
]
RATINGS += [
    Rating("r", "sentiment", one, "t0", 0, "anna", "pairwise", label=one, against=other)
    for one, other in (("a", "b"), ("c", "d"))
]
GATE = {"state": "fail", "reason": VERDICT["reason"], "verdicts": [VERDICT]}


def test_opens_from_disk_in_silence(make_record, open_page):
    page = open_page(render_html(make_record(), GATE))
    assert page.title() == "quick · quick-20261121-100000-abcd"
    assert page.locator(".verdict h2").inner_text() == "Fail"
    assert page.locator("#count").inner_text() == "24 samples"


def test_nothing_in_the_data_runs(make_record, open_page):
    hostile = {**GATE, "reason": XSS, "verdicts": [{**VERDICT, **dict.fromkeys(("rule", "reason", "metric"), XSS)}]}
    record = make_record(odd=XSS, metric=XSS, models=(XSS, f"{XSS}2"), system=XSS)
    page = open_page(render_html(record, hostile))
    for place in range(4):
        page.locator("#rows [role=option]").nth(place).click()
        page.wait_for_selector("#sample:not([hidden])")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img").count() == 0
    assert "<script>window.hacked=1</script>" in page.locator("main").inner_text()


def test_an_injected_script_or_style_is_refused(make_record, browser, tmp_path):
    """The policy is a second wall: even markup that slipped through would not run."""
    text = render_html(make_record()).replace(
        "<main>", "<main><script>window.hacked=1</script><p style='position:fixed'>x</p><img src='https://e.invalid/x'>"
    )
    path = tmp_path / "broken.html"
    path.write_text(text, encoding="utf-8")
    page = browser.new_page()
    requests = []
    page.on("requestfinished", lambda r: requests.append(r.url))
    page.goto(path.as_uri())
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("getComputedStyle(document.querySelector('main p')).position") == "static"
    assert not any("e.invalid" in url for url in requests)
    page.close()


@pytest.mark.parametrize("width", [360, 700, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(make_record, open_page, width, scheme):
    long = "W" * 300
    record = make_record(odd=long, models=(f"model{long}", "b"), metric=f"metric{long}")
    page = open_page(render_html(record, GATE, ratings=RATINGS), width=width, scheme=scheme)
    page.locator("#rows [role=option]").nth(2).click()
    page.wait_for_selector("#sample:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(246, 246, 243)"), ("dark", "rgb(18, 22, 26)")])
def test_all_text_has_contrast(make_record, open_page, scheme, background, contrast):
    """WCAG AA: 4.5 to 1 for every text that is seen, in both schemes, samples opened."""
    page = open_page(render_html(make_record(), GATE, ratings=RATINGS), scheme=scheme)
    page.locator("#rows [role=option]").nth(1).click()
    page.wait_for_selector("#sample:not([hidden])")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    ratios = page.evaluate(contrast)
    assert len(ratios) > 30
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_without_script_all_but_the_explorer_is_there(make_record, open_page):
    page = open_page(render_html(make_record(), GATE), script=False)
    text = page.locator("main").inner_text()
    assert "0.727" in text
    assert "needs JavaScript" in text
    assert not page.locator("#explorer").is_visible()


def test_people(make_record, open_page):
    page = open_page(render_html(make_record(), ratings=RATINGS))
    page.click("nav.toc a[href='#people']")
    section = page.locator("#people")
    cards = section.locator("article")
    assert cards.count() == 5
    text = cards.first.inner_text()
    for part in ("sentiment", "Is it faithful?", "Krippendorff’s α", "quadratic weights", "16", "32 ratings"):
        assert part in text, part
    ranking = section.locator("article", has_text="Bradley-Terry")
    assert ranking.locator("tbody tr").count() == 3
    assert ranking.locator("tbody tr svg.bar").count() == 3
    assert "6 · 6 · 6" in ranking.inner_text()
    assert "no ranking" in section.locator("article", has_text="which is better").last.inner_text()


def test_paper(make_record, open_page):
    page = open_page(render_html(make_record(models=("a-small-model", "a-larger-model")), GATE))
    page.emulate_media(media="print")
    assert not page.locator("nav.toc").is_visible()
    assert not page.locator("#explorer").is_visible()
    assert page.locator("#results").is_visible()
    # Paper is not scrolled: what does not fit is lost.
    page.set_viewport_size({"width": 480, "height": 1000})
    outside = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.getAttribute('aria-label'))"
    assert page.locator(".scroll").evaluate_all(outside) == []
    task = page.locator("#operations tbody th", has_text="sentiment").first
    assert task.bounding_box()["width"] > 50, "the name of a task is not broken within a word"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200, 2560])
def test_drift_pages_fit_and_have_contrast(open_page, width, scheme, contrast):
    page = open_page(drift_html(drift_report()), width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {name: ratio for name, ratio in page.evaluate(contrast).items() if ratio < 4.5} == {}


@pytest.fixture(scope="module")
def axe():
    """The script of axe-core, which a package of tests carries."""
    from importlib.resources import files

    pytest.importorskip("axe_core_python")
    return (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


def _pages(make_record, tmp_path, monkeypatch, language="en"):
    """Every page that stands alone, with all that it may show."""
    from evalharness.record.history import PastFigure
    from evalharness.report.compare_html import compare_html

    monkeypatch.setattr("evalharness.report.changes.compare_records", lambda *_, **__: comparison())
    now = make_record(models=("small", "large"), n=40)
    before = make_record(
        models=("small", "large"), n=40, run_id="quick-before", odd="other", folder=tmp_path / "before"
    )
    past = tuple(PastFigure(f"r{i}", "2026-11-01", 0.5 + 0.05 * i) for i in range(5))
    history = {("sentiment", model, "accuracy"): past for model in ("small", "large")}
    yield "run", render_html(now, GATE, ratings=RATINGS, history=history, baseline=before, language=language)
    yield "comparison", compare_html(comparison(), language=language)
    yield "drift", drift_html(drift_report(), language=language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_and_nothing_moves(make_record, browser, axe, tmp_path, monkeypatch, language):
    """axe-core: no violation in light and dark, from telephone to wall; no layout shift, no message, no request."""
    for name, text in _pages(make_record, tmp_path, monkeypatch, language):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        for scheme, width in (("light", 2560), ("dark", 360)):
            # The page's own policy would refuse the script that looks at it.
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
            )
            page = context.new_page()
            told = []
            page.on("console", lambda m, told=told: told.append(m.text))
            page.on("request", lambda r, told=told: told.append(r.url))
            page.add_init_script(
                "window.moved = 0; new PerformanceObserver(l => l.getEntries().forEach(e => window.moved += e.value))"
                ".observe({type: 'layout-shift', buffered: true});"
            )
            page.goto(path.as_uri())
            page.wait_for_timeout(400)
            assert [line for line in told if line not in (path.as_uri(), "data:,")] == []
            assert page.evaluate("window.moved") < 0.01, name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], (name, scheme, width)
            context.close()


def test_pages_have_charts_history_and_changes(make_record, open_page, tmp_path, monkeypatch):
    pages = dict(_pages(make_record, tmp_path, monkeypatch))
    page = open_page(pages["run"])
    assert page.locator("#results .chart svg").count() >= 2
    assert page.locator("#results svg.spark").count() == 2
    assert page.locator("#changes tbody tr").count() == 1
    assert page.locator("#changes article.changed").count() == 1
    assert page.locator("#operations svg.bar").count() > 0
    summary = page.locator("#results .chart summary").first
    summary.click()
    assert page.locator("#results .chart table").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_take_the_colours_of_the_page(make_record, open_page, scheme):
    page = open_page(render_html(make_record(n=40), GATE), scheme=scheme)
    fill = page.evaluate("getComputedStyle(document.querySelector('.chart svg [fill=\"#0b5cad\"]')).fill")
    assert fill == {"light": "rgb(11, 92, 173)", "dark": "rgb(116, 180, 240)"}[scheme]


def test_in_high_contrast_lines_and_muted_text_are_darker(make_record, browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_html(make_record(), GATE), encoding="utf-8")
    page = browser.new_page()
    page.emulate_media(contrast="more")
    page.goto(path.as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('.hint')).color") == "rgb(51, 58, 65)"
    page.close()


def test_the_page_without_its_data_is_small(make_record):
    """The shell: all but the samples, with charts and a comparison; the bar is 250 kB."""
    text = render_html(make_record(models=("small", "large"), n=40), GATE, ratings=RATINGS)
    blocks = re.findall(r'<script type="application/x-deflate".*?</script>', text, re.DOTALL)
    assert len(blocks) >= 2
    assert 50_000 < len(text.encode()) - sum(len(block.encode()) for block in blocks) < 250_000
