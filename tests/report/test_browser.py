"""The page in a real browser: opened from disk, no network, no console message, nothing of the data runs."""

from __future__ import annotations

import pytest

from evalharness.record import Rating
from evalharness.report.drift_html import drift_html
from evalharness.report.html import render_html

from .drifting import drift_report

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
    page = open_page(render_html(make_record(), GATE))
    page.emulate_media(media="print")
    assert not page.locator("nav.toc").is_visible()
    assert not page.locator("#explorer").is_visible()
    assert page.locator("#results").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200, 2560])
def test_drift_pages_fit_and_have_contrast(open_page, width, scheme, contrast):
    page = open_page(drift_html(drift_report()), width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {name: ratio for name, ratio in page.evaluate(contrast).items() if ratio < 4.5} == {}
