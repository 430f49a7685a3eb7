"""The section on probes in the three kinds of report."""

from __future__ import annotations

from typing import Any

import pytest

import evalharness
from evalharness.report.html import render_html
from evalharness.report.markdown import render_markdown

from .conftest import SWAP

ITEMS = "  - {id: jobs, probe: jobs, n: 40}\n"


def test_every_report_has_a_section_by_question(write: Any) -> None:
    record = evalharness.run(write(ITEMS, SWAP))
    page = render_html(record)
    section = page[page.index('<section id="probes"') : page.index('<section id="results"')]
    assert "<bdi>gender</bdi>" in section
    assert "<bdi>biased</bdi></span>" in section
    assert "no effect: 0 ± 0.05" in section
    assert "fewer than 30 samples" in section
    assert "who=<wbr>she</bdi>" in section
    text = render_markdown(record)
    assert text.index("## Probes") < text.index("### gender") < text.index("## Results")
    assert "| **biased** |" in text


def test_a_report_without_probes_has_none(write: Any) -> None:
    record = evalharness.run(write())
    assert 'id="probes"' not in render_html(record)
    assert "## Probes" not in render_markdown(record)


@pytest.mark.browser
def test_the_section_is_readable_on_any_screen(write: Any, browser: Any, tmp_path: Any) -> None:
    record = evalharness.run(write(ITEMS, SWAP))
    page = tmp_path / "page.html"
    page.write_text(render_html(record), "utf-8")
    for width in (1280, 390):
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.goto(page.as_uri())
        assert tab.locator("#probes .badge").count() == 2
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.close()
