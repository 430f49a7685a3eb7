"""Every payload through every place of the reports, in a real browser: none runs, none asks the network."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from evalharness.record import Rating
from evalharness.report.compare_html import compare_html
from evalharness.report.drift_html import drift_html
from evalharness.report.explanation_page import explanation_page
from evalharness.report.html import render_html

from .drifting import drift_report
from .payloads import FOREIGN, PAYLOADS, batches
from .test_browser import VERDICT
from .test_compare import comparison
from .test_explanations import explanation, why

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["why"]
BATCHES = batches(45)
# What a text of these kinds may be is fixed: none of it is ever somebody else's.
FIXED = {"section", "finding", "flip", "status", "baseline_status", "kind", "state", "correction", "created_utc"}


def everywhere(value: Any, odd: str, name: str = "") -> Any:
    """`value` with `odd` behind each of its texts, the keys of mappings among them, but for those of fixed words."""
    if isinstance(value, str):
        return value if name in FIXED or not value else value + odd
    if isinstance(value, dict):
        return {everywhere(key, odd): everywhere(item, odd, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(everywhere(item, odd, name) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: everywhere(getattr(value, field.name), odd, field.name) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    return value


@pytest.fixture
def looked_at(browser, tmp_path):
    """Opens a page and all that it folds; fails for whatever ran, was asked for, or stands there as an element."""
    told = []
    page = browser.new_page()
    page.on("console", lambda m: told.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: told.append(f"error: {e}"))
    page.on("dialog", lambda d: told.append(f"dialog: {d.message}"))
    page.on("request", lambda r: told.append(r.url) if not r.url.startswith(("file://", "data:")) else None)

    def look(text, name):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        page.goto(path.as_uri())
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
        if 'id="explorer"' in text:
            page.wait_for_selector("#explorer[data-turn]")
            for place in range(3):
                page.locator("#rows [role=option]").nth(place).click()
                page.wait_for_selector("#sample:not([hidden])")
        assert (page.evaluate(FOREIGN), told) == ([], []), name
        return page

    yield look
    page.close()


def test_there_are_as_many_as_are_asked_for():
    assert len(PAYLOADS) == len(set(PAYLOADS)) >= 400


def test_the_look_sees_what_was_let_through(looked_at, tmp_path):
    for text in (
        "<p onclick=x>x</p>",
        "<a href=' javascript:x'>x</a>",
        "<iframe></iframe>",
        "<script>window.hacked=1</script>",
    ):
        with pytest.raises(AssertionError):
            looked_at(f"<!doctype html><main>{text}</main>", "control")


def test_the_run_report(make_record, looked_at, tmp_path):
    for number, odd in enumerate(BATCHES):
        verdicts = [{**VERDICT, **dict.fromkeys(("rule", "reason", "metric", "task", "model"), odd)}]
        gate = {"state": "fail", "reason": odd, "verdicts": verdicts}
        shared: dict[str, Any] = {"metric": f"m{odd}", "models": (f"a{odd}", f"b{odd}"), "system": odd, "n": 8}
        shared |= {"prefix": odd, "manifest": {"name": odd, "parent": odd, "notes": (odd,)}}
        now = make_record(odd=odd, run_id=f"now{number}", **shared)
        before = make_record(odd=f"before{odd}", run_id=f"before{number}", **shared)
        ratings = [
            Rating("r", task, f"a{odd}", f"s{i}", 0, f"{rater}{odd}", kind, **given, comment=odd, asked=f"{kind}?{odd}")
            for task in ("sentiment", f"t{odd}")
            for i in range(6)
            for rater in ("anna", "ben")
            for kind, given in (
                ("scale", {"value": float(i % 5 + 1)}),
                ("label", {"label": f"{i % 2}{odd}"}),
                ("pairwise", {"label": f"a{odd}", "against": f"b{odd}"}),
            )
        ]  # fmt: skip
        page = looked_at(render_html(now, gate, ratings=ratings, baseline=before), f"run{number}")
    assert "window.hacked" in page.locator("main").inner_text()


def test_the_comparison(looked_at):
    for number, odd in enumerate(BATCHES):
        page = looked_at(compare_html(everywhere(comparison(), odd)), f"compare{number}")
    assert "window.hacked" in page.locator("main").inner_text()


def test_the_drift_report(looked_at):
    for number, odd in enumerate(BATCHES):
        page = looked_at(drift_html(everywhere(drift_report(), odd)), f"drift{number}")
    assert "window.hacked" in page.locator("main").inner_text()


def test_the_page_of_an_explanation(looked_at):
    for number, odd in enumerate(BATCHES):
        text = f"good {odd}"
        found = explanation(text, [0.5 - 0.1 * i for i in range(len(text.split()))])
        found |= dict.fromkeys(("method", "explained", "predicted"), odd) | {"outputs": [odd]}
        looked_at(explanation_page(found, title=odd), f"why{number}")


def test_explanations_in_the_run_report(why, looked_at, monkeypatch):
    """The section's own texts: words, outputs, groups, reasons of failures."""
    from evalharness.report import explanations as shown

    plain = shown.explanation_views(why)
    for number, odd in enumerate(BATCHES):
        views = everywhere(tuple(plain), odd)
        monkeypatch.setattr(
            "evalharness.report.view.explanation_views", lambda record, views=views: views, raising=False
        )
        looked_at(render_html(why), f"section{number}")
