"""Every payload as text of report.md, read by another program that reads Markdown: it stays text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest

from evalharness.report.compare_markdown import compare_markdown
from evalharness.report.markdown import code_text, escape_markdown, markdown_table, render_markdown

from .payloads import PAYLOADS
from .test_compare import comparison
from .test_payloads_browser import everywhere

OURS = {"h1", "h2", "h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre", "strong"}
OURS |= {"em", "details", "summary", "br", "hr", "ol", "blockquote"}


class Elements(HTMLParser):
    """The elements of a page, with what their attributes say."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.said += [f"{name}={value}" for name, value in attrs]


@pytest.fixture(scope="module")
def elements():
    markdown_it = pytest.importorskip("markdown_it")
    reader = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

    def of(text):
        found = Elements()
        found.feed(reader.render(text))
        return found

    return of


def test_it_would_be_seen(elements):
    assert elements("<img src=x onerror=a>").names == ["img"]
    assert elements("[x](https://e.invalid)").said == ["href=https://e.invalid"]


def test_no_payload_is_more_than_text(elements):
    """In a heading, a line, an item, a cell, a quotation and at the start of a line."""
    shapes = ("# {}", "{}", "- {}", "a {} b", "> {}", "[{}](#a)")
    for payload in PAYLOADS:
        shown = escape_markdown(payload)
        for shape in shapes:
            wanted = elements(shape.format("word"))
            found = elements(shape.format(shown))
            assert (found.names, found.said) == (wanted.names, wanted.said), (shape, payload)
        table = "\n".join(markdown_table(("a", "b"), [(shown, "x")]))
        assert elements(table).names == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"], payload
        assert elements(f"`{code_text(payload)}`").names == ["p", "code"], payload


CALLS = ("@octocat", "by @octo/team", "#12", "octo/repo#12", "GH-12", "www.e.invalid", "https://e.invalid", ":boom:")


def test_nobody_is_called_and_nothing_is_linked(make_record):
    """A forge looks at the words that markup has become: no backslash is left there."""
    found = re.compile(r"@\w|#\d|gh-\d|www\.|://|(?<!\d):\w+:", re.IGNORECASE)
    for text in CALLS:
        shown = html.unescape(escape_markdown(text)).replace("\\", "")
        assert found.search(text)
        assert not found.search(shown), text
        assert shown.replace("\u200b", "") == text
    all_of = " ".join(CALLS)
    page = render_markdown(make_record(odd=all_of, metric=f"m{all_of}", models=(f"a{all_of}",), n=6))
    plain = re.sub(r"`[^`]*`", "", html.unescape(page).replace("\\", ""))
    assert "octocat" in plain
    assert not found.search(plain), found.search(plain)


def test_a_time_of_day_stays_as_it_is():
    assert "\u200b" not in escape_markdown("2026-11-23 12:45:31 UTC, sha256:0a1b")


def test_no_payload_acts_in_a_whole_report(make_record, elements):
    for number, payload in enumerate(PAYLOADS[::12]):
        record = make_record(odd=payload, metric=f"m{payload}", models=(f"a{payload}",), run_id=f"run{number}", n=6)
        for text in (render_markdown(record), compare_markdown(everywhere(comparison(), payload))):
            found = elements(text)
            assert set(found.names) <= OURS, payload
            assert not [said for said in found.said if "hacked" in said or "e.invalid" in said], payload
