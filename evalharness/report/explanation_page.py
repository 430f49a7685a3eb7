"""One explanation as a page that opens from disk, asks no network for anything and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ..core.language import speaking, t
from .explanations import explained_text
from .page import environment, page_css, source_hash
from .text import plural

__all__ = ["explanation_page"]


def explanation_page(explanation: Mapping[str, Any], *, title: str, language: str = "en") -> str:
    """The page of one explanation, as it stands in a response's meta.

    Raises:
        UsageError: there is no such language.
    """
    with speaking(language):
        return _page(explanation, title)


def _page(explanation: Mapping[str, Any], title: str) -> str:
    css = page_css("report.css")
    calls = plural(int(explanation["n_evaluations"]), "masked version")
    page = environment().get_template("explanation.html.j2")
    text = page.render(
        css=Markup(css),
        css_hash=Markup(source_hash(css)),
        title=title,
        text=explained_text(explanation, "text"),
        facts=t(
            "%(method)s, %(calls)s of the text, %(seconds)s s",
            method=explanation["method"],
            calls=calls,
            seconds=f"{float(explanation['seconds']):.2f}",
        ),
    )
    return text.encode("utf-8", "replace").decode("utf-8")
