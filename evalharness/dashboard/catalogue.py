"""The words of the interface in other languages: gettext's .po files, read as they are.

They are read once and are small, so nothing is compiled, and what stands in the package is what translators edit.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

__all__ = ["LANGUAGES", "WORDS", "choose_language", "messages", "read_po", "translate"]

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
"""What each language calls itself; English is what the code says."""
_ENTRY: Final = re.compile(r'^(msgctxt|msgid|msgstr)\s+(".*")\s*$')


def read_po(text: str) -> dict[str, str]:
    """The messages of a .po file and their translations; those without one, or marked fuzzy, are left out."""
    found: dict[str, str] = {}
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        parts: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if match := _ENTRY.match(line):
                key = match[1]
                parts[key] = ast.literal_eval(match[2])
            elif key and line.startswith('"'):
                parts[key] += ast.literal_eval(line.strip())
        is_fuzzy = re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE) is not None
        if parts.get("msgid") and parts.get("msgstr") and not is_fuzzy:
            found[parts["msgid"]] = parts["msgstr"]
    return found


@cache
def messages(language: str) -> Mapping[str, str]:
    """The translations into `language`; none for English."""
    if language == "en":
        return {}
    place = resources.files(__package__) / "locale" / language / "dashboard.po"
    return read_po(place.read_text(encoding="utf-8"))


def translate(language: str, message: str, **values: object) -> str:
    """`message` in `language`, with `%(name)s` filled in; in English where it is not translated."""
    text = messages(language).get(message, message)
    return text % values if values else text


def choose_language(cookie: str | None, accepted: str | None) -> str:
    """The language that was chosen, else the first that the browser asks for, else English."""
    if cookie is not None and cookie in LANGUAGES:
        return cookie
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepted or "").split(",")[:20]):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        wanted.append((-weight, place, name.partition("-")[0].lower()))
    return next((name for weight, _, name in sorted(wanted) if name in LANGUAGES and weight < 0), "en")


WORDS: Final = (
    *("pass", "fail", "inconclusive", "ok", "pending", "firing", "resolved", "no data", "error"),
    *("compared", "no reference", "skipped", "drift", "small", "no drift", "too few"),
    *("told firing", "told resolved", "told no data", "told error", "told repeat", "acknowledged", "late"),
    *("viewer", "editor", "admin", "log in", "log out", "wrong password", "acknowledge", "silence", "end silence"),
    *("add user", "change user", "remove user", "rate", "deploy", "forget deploy"),
    *("How good is this answer?", "Which label fits this answer?", "Which answer is better?"),
    *("A is better", "About the same", "B is better", "worst", "best", "Agreement of raters"),
    *(
        "better",
        "worse",
        "changed sides",
        "no difference shown",
        "nothing to compare",
        "right to wrong",
        "wrong to right",
    ),
    *("reference", "current", "Groups", "Time, tokens and states", "This name and password do not belong together."),
)
"""Messages that stand in the code or the registry, and in no template: states, roles, actions."""
