"""The words of the dashboard: every one is translated, and none is left over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

import pytest

from evalharness.annotate.page import script_messages
from evalharness.core.language import LANGUAGES, domain, messages
from evalharness.dashboard.catalogue import WORDS, choose_language
from evalharness.dashboard.web import NAVIGATION

from ..messages import in_code, in_templates


def templates() -> Iterator[Traversable]:
    """Those of the dashboard, and that of the raters' page, which it shows too."""
    for room in ("evalharness.dashboard", "evalharness.annotate"):
        yield from (f for f in (resources.files(room) / "templates").iterdir() if f.name.endswith(".j2"))


def said() -> set[str]:
    found = {word for _, _, word in NAVIGATION} | set(WORDS) | set(script_messages())
    return found | in_templates("evalharness.dashboard", "evalharness.annotate") | in_code("evalharness.dashboard")


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    assert len(said()) > 150
    assert not said() - set(messages(language))
    assert not set(domain(language, "dashboard")) - said()


def test_no_call_hides_its_message() -> None:
    # `t(name)` is for WORDS and titles; whatever else is said stands in the call, where the test above finds it.
    known = {"word", "title", "visitor.role", "fault", "state", "name", "r.action", "u.role", "table.title", "s.flip"}
    known |= {"side", "e.kind", "r.row.of.finding", "i.status", "choice.text", "choice.hint"}
    for file in templates():
        for call in re.findall(r"\bt\(([^\"][^)|]*)", file.read_text(encoding="utf-8")):
            assert call.split(" if ")[0].strip() in known, (file.name, call)


@pytest.mark.parametrize(
    ("cookie", "accepted", "expected"),
    [
        (None, None, "en"),
        ("zh", "en", "zh"),
        ("xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "fr, en;q=0.5, zh;q=0.7", "zh"),
        (None, "zh;q=0, en;q=0.1", "en"),
        (None, "zh;q=nonsense", "en"),
    ],
)
def test_the_language_is_that_which_was_chosen_or_is_asked_for(
    cookie: str | None, accepted: str | None, expected: str
) -> None:
    assert choose_language(cookie, accepted) == expected
