"""The words of the interface: every one is translated, and none is left over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

import pytest

from evalharness.annotate.page import script_messages
from evalharness.dashboard.catalogue import LANGUAGES, WORDS, choose_language, messages, read_po, translate
from evalharness.dashboard.web import NAVIGATION

_CALL = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)*)\"""")
_HOLE = re.compile(r"%\((\w+)\)s")


def templates() -> Iterator[Traversable]:
    """Those of the dashboard, and that of the raters' page, which it shows too."""
    for room in ("evalharness.dashboard", "evalharness.annotate"):
        yield from (f for f in (resources.files(room) / "templates").iterdir() if f.name.endswith(".j2"))


def said() -> set[str]:
    found = {word for _, _, word in NAVIGATION} | set(WORDS) | set(script_messages())
    for file in templates():
        found |= set(_CALL.findall(file.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    assert len(said()) > 150
    translated = messages(language)
    assert set(translated) == said()
    for message, text in translated.items():
        assert set(_HOLE.findall(text)) == set(_HOLE.findall(message)), message
        assert text.strip() == text != ""


def test_no_call_hides_its_message() -> None:
    # `t(name)` is for WORDS and titles; whatever else is said stands in the call, where the test above finds it.
    known = {"word", "title", "visitor.role", "fault", "state", "name", "r.action", "u.role", "table.title", "s.flip"}
    known |= {"side", "e.kind", "r.row.of.finding", "i.status", "choice.text", "choice.hint"}
    for file in templates():
        for call in re.findall(r"\bt\(([^\"][^)|]*)", file.read_text(encoding="utf-8")):
            assert call.split(" if ")[0].strip() in known, (file.name, call)


def test_po_files_are_read_as_gettext_reads_them() -> None:
    text = """
# a comment
msgid ""
msgstr "Language: zh\\n"

msgid "a \\"b\\""
msgstr "x"
" y\\n"

#, fuzzy
msgid "unsure"
msgstr "?"

msgid "empty"
msgstr ""
"""
    assert read_po(text) == {'a "b"': "x y\n"}


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


def test_values_are_filled_in() -> None:
    assert translate("zh", "%(n)s failed", n=3) == "3 个失败"
    assert translate("en", "%(n)s failed", n=3) == "3 failed"
    assert translate("zh", "a run's own name") == "a run's own name"
