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
    if hasattr(value, "_make"):
        return value._make(everywhere(item, odd, field) for field, item in zip(value._fields, value, strict=True))
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


PROBED = """
version: 1
name: probed
models:
  m: {backend: fake, reply: "The code is 281."}
datasets:
  rows:
    rows: [{q: "He said that 3 men can't come!", a: "The code is 281.", who: x}, {q: "She is here.", a: b, who: y}]
    groups: [who]
tasks:
  - {id: plain, dataset: rows, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match, rouge1]}
  - {id: robust, probe: robustness, of: plain, perturbations: [typos, {case: upper}, contractions]}
  - {id: rewritten, probe: counterfactual, of: plain, axis: gender, margin: 0.05, question: who}
  - {id: haystack, probe: needle, lengths: [200, 400], depths: [0, 1], samples: 2, model: m}
  - {id: leaks, dataset: rows, prompt: "{{ q }}", metrics: [pii]}
"""


def test_what_probes_find(looked_at, tmp_path, monkeypatch):
    """Names of probes, perturbations, groups and levels come from files of users, as do the words that attacks try."""
    from evalharness.report import html as page_of
    from evalharness.report.attacks import AttackedText, AttackView, WordChange
    from evalharness.report.worddiff import word_diff
    from evalharness.runner import run

    (tmp_path / "suite.yaml").write_text(PROBED, encoding="utf-8")
    record = run(tmp_path / "suite.yaml", reports=tmp_path / "reports", environ={})
    view = page_of.build_view(record, None, ())
    assert view.probes
    assert any(task.grids for task in view.tasks)
    old, new = word_diff("a good film", "a fine film")
    change, ends = ("good", "fine"), ("pos", "neg")
    text = AttackedText("s1", "turned round", "pos", *ends, 0.9, 0.2, 7, 0.8, (change,), tuple(old), tuple(new))
    attack = AttackView("robust", "m", 1, 0, (("turned round", 1),), (WordChange(*change, 1),), (text,))
    for number, odd in enumerate(BATCHES):
        shown = dataclasses.replace(view, tasks=everywhere(view.tasks, odd), probes=everywhere(view.probes, odd))
        monkeypatch.setattr(page_of, "build_view", lambda *_, shown=shown: shown)
        monkeypatch.setattr(page_of, "attack_views", lambda _, odd=odd: (everywhere(attack, odd),))
        page = looked_at(render_html(record), f"probed{number}")
    assert page.locator("main").inner_text().count("window.hacked") > 50
