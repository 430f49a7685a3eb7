import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import pytest

from evalharness.report.html import render_html
from evalharness.report.page import embed_json
from evalharness.report.write import write_reports

from .blocks import rows_of

XSS = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1></script><!--{{7*7}}\u2028\ud800\x00\x1b"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.scripts, self.open = [], [], [], None
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("script", "style"):
            self.open = (tag, dict(attrs))
            self.scripts.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.open = None

    def handle_data(self, data):
        if self.open:
            self.scripts[-1][2] += data
        else:
            self.text += data


def test_it_says_what_there_is(make_record):
    text = render_html(make_record(), {"state": "fail", "reason": "Too low.", "verdicts": []})
    page = Page(text)
    for part in ("Fail", "Too low.", "accuracy", "0.727", "[0.527, 0.927]", "27.31", "confusion", "Worst first"):
        assert part.lower() in page.text.lower()
    for part in ("5" * 64, "d" * 64, "reviews", "evalharness run", "a note", "error 1", "connection lost"):
        assert part in page.text
    assert page.text.index("Too low.") < page.text.index("0.727")  # the verdict comes first
    assert len(rows_of(text)) == 24


def test_without_a_gate_it_claims_no_verdict(make_record):
    assert "No verdict" in Page(render_html(make_record())).text


def test_the_policy_allows_the_one_style_and_the_one_script(make_record):
    page = Page(render_html(make_record()))
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy
    for kind, rule in (("style", "style-src"), ("script", "script-src")):
        (body,) = [s[2] for s in page.scripts if s[0] == kind and "type" not in s[1]]
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"


def test_nothing_is_loaded_and_nothing_runs_inline(make_record):
    page = Page(render_html(make_record()))
    names = {name for name, _ in page.attributes}
    assert not any(name.startswith("on") for name in names)
    assert "style" not in names
    assert not {"iframe", "object", "embed", "base", "img"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith(("#", "data:,"))


def test_hostile_text_stays_text(make_record):
    verdict = {
        "rule": XSS,
        "state": "fail",
        "tier": XSS,
        "reason": XSS,
        "task": XSS,
        "model": XSS,
        "metric": XSS,
        "value": 0.5,
        "ci_low": "nan",
        "ci_high": "nan",
        "limit": 0.1,
        "baseline_value": None,
        "n": 1,
    }
    gate = {"state": "fail", "reason": XSS, "decide_on": XSS, "baseline_id": XSS, "verdicts": [verdict]}
    record = make_record(odd=XSS, metric=XSS, models=(XSS,))
    text = render_html(record, gate)
    plain, hostile = Page(render_html(make_record(run_id="plain"), gate)), Page(text)
    # The same elements stand in the page as without the payloads, and no attribute more.
    # A name with points may end a line behind them.
    assert sorted({*hostile.tags} - {"wbr"}) == sorted({*plain.tags} - {"wbr"})
    assert "img" not in hostile.tags
    assert {name for name, _ in hostile.attributes} <= {name for name, _ in plain.attributes}
    assert hostile.tags.count("script") == 3
    assert "{{7*7}}" in hostile.text
    assert any("<script>" in row.get("output", "") for row in rows_of(text))


def test_page_has_no_control_characters(make_record):
    text = render_html(make_record(odd=XSS))
    text.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text)


@pytest.mark.parametrize(
    "value", ["</script>", "<!--<script>", "\u2028\u2029", "\ud800", "&lt;", "\\u003c", '"', "\U0001f642", "\\"]
)
def test_embedded_json_round_trip(value):
    text = str(embed_json({"k": value}))
    assert not re.search("[<>&\u2028\u2029]", text)
    text.encode("utf-8")
    assert json.loads(text) == {"k": value}


def test_structure_for_assistive_technology(make_record):
    text = render_html(make_record())
    page = Page(text)
    assert {"header", "nav", "main", "footer"} <= set(page.tags)
    assert page.tags.count("h1") == 1
    assert ("lang", "en") in page.attributes
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for name, value in page.attributes:
        if name == "aria-labelledby":
            assert value in ids
        if name == "href" and value.startswith("#"):
            assert value[1:] in ids
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    for svg in re.findall(r"<svg[^>]*>", text):
        assert 'role="img"' in svg
        assert "aria-label=" in svg


def test_limits_of_rules_are_drawn(make_record):
    verdict = {
        "rule": "sentiment.accuracy ≥ 0.5 · small",
        "state": "pass",
        "tier": "block",
        "reason": "fine",
        "task": "sentiment",
        "model": "small",
        "metric": "accuracy",
        "value": 0.727,
        "ci_low": 0.5,
        "ci_high": 0.9,
        "limit": 0.5,
        "baseline_value": None,
        "n": 11,
    }
    text = render_html(make_record(), {"state": "pass", "reason": "fine", "verdicts": [verdict]})
    assert 'class="limit"' in text
    assert "limit 0.500" in text
    group = {**verdict, "rule": "sentiment.accuracy ≥ 0.5 · small · language=de"}
    record = make_record(run_id="two")
    text = render_html(record, {"state": "pass", "reason": "fine", "verdicts": [group]})
    assert text.count('class="limit"') == 1
    compared = {**verdict, "rule": "sentiment.accuracy non-inferior within 0.5 · small", "baseline_value": 0.7}
    text = render_html(make_record(run_id="three"), {"state": "pass", "reason": "fine", "verdicts": [compared]})
    assert 'class="limit"' not in text


def test_a_large_record_says_what_it_left_out(make_record):
    text = render_html(make_record(), max_samples=5)
    assert "5 of 24 answers, failed and wrong ones first: the page stops at 5 answers" in Page(text).text
    assert "evalharness report quick-20261121-100000-abcd --samples 24" in Page(text).text
    assert [row["id"] for row in rows_of(text)][:4] == ["s4", "s0", "s5", "s10"]


def test_empty_and_unfinished_records(make_record):
    assert "The record has no tasks." in Page(render_html(make_record(n=0, models=(), results=[]))).text
    unfinished = make_record(run_id="u", manifest={"complete": False})
    assert "not complete" in Page(render_html(unfinished)).text


def test_write_reports(make_record):
    record = make_record()
    paths = write_reports(record)
    assert {p.name for p in paths.values()} == {"report.html", "report.md"}
    assert all(p.parent == record.folder and p.stat().st_size > 1000 for p in paths.values())
    record.verify()
    again = write_reports(record, {"state": "pass", "reason": "All hold.", "verdicts": []})
    assert "All hold." in again["html"].read_text(encoding="utf-8")


def test_same_record_same_page(make_record):
    record = make_record()
    assert render_html(record) == render_html(record)


def test_secrets_stay_placeholders(make_record):
    suite = {"version": 1, "name": "quick", "models": {"m": {"api_key": "${env:KEY}"}}, "tasks": []}
    assert "${env:KEY}" in Page(render_html(make_record(manifest={"suite": suite}))).text
