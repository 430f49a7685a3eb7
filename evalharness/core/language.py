"""The words of pages in other languages: gettext's .po files, read as they are, and the language that is spoken now.

English is what the code says. The files are read once and are small, so nothing is compiled, and what stands in the
package is what translators edit: `dashboard.po` and `report.po` hold what templates and code say with `t`, `records.po`
the sentences that records, gates and comparisons hold in English, which `retold` finds again by their shape.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import Final

from markupsafe import Markup

from .errors import UsageError
from .registry import suggestion
from .visible import safe

__all__ = [
    "DOMAINS",
    "LANGUAGES",
    "checked_language",
    "domain",
    "in_script",
    "messages",
    "read_po",
    "retold",
    "speaking",
    "spoken",
    "t",
    "tm",
    "translate",
]

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
"""What each language calls itself; English is what the code says."""
DOMAINS: Final = ("dashboard", "report", "records")
_SPOKEN: ContextVar[str] = ContextVar("language", default="en")
_ENTRY: Final = re.compile(r'^(msgctxt|msgid_plural|msgid|msgstr(?:\[0\])?)\s+(".*")\s*$')
_HOLE: Final = re.compile(r"%\((\w+)\)s")
_CALL: Final = re.compile(r'\bt\(("(?:[^"\\]|\\.)*")')
# Where a sentence ends and another begins.
_NEXT: Final = re.compile(r"(?<=\.) (?=[A-Z0-9])")
# A sentence may be made of others, and these again; nothing that is said here goes deeper.
_DEPTH: Final = 6
# Holes that hold a part of a sentence; those that hold a number; what fills all others is a name.
_PARTS: Final = frozenset(
    "subject because why more held bound bounds what pairs alone reason size known told remedy".split()  # noqa: SIM905
)
_FIGURES: Final = frozenset(
    "n value limit level low high gap now before worst best worse better share most failed total p alpha missing look "  # noqa: SIM905
    "looks saved threshold smallest least field ours theirs run other baseline".split()
)
# Nothing that is said here is longer; what is would take long to look at, and is somebody's own.
_LONGEST: Final = 2_000
# A shape of fewer letters is too little to know a whole sentence by.
_LEAST: Final = 5


def read_po(text: str) -> dict[str, str]:
    """The messages of a .po file and their translations; those without one, or marked fuzzy, are left out.

    Of a plural both English forms stand for the one form (`msgstr[0]`) that languages such as Chinese have.
    """
    found: dict[str, str] = {}
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        parts: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if match := _ENTRY.match(line):
                key = match[1].removesuffix("[0]")
                parts[key] = ast.literal_eval(match[2])
            elif key and line.startswith('"'):
                parts[key] += ast.literal_eval(line.strip())
        is_fuzzy = re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE) is not None
        if parts.get("msgid") and parts.get("msgstr") and not is_fuzzy:
            found[parts["msgid"]] = parts["msgstr"]
            if "msgid_plural" in parts:
                found[parts["msgid_plural"]] = parts["msgstr"]
    return found


@cache
def domain(language: str, name: str) -> Mapping[str, str]:
    """The translations in one .po file; none for English."""
    if language == "en":
        return {}
    place = resources.files(__package__) / "locale" / language / f"{name}.po"
    return read_po(place.read_text(encoding="utf-8"))


@cache
def messages(language: str) -> Mapping[str, str]:
    """All translations into `language`; none for English."""
    return {message: text for name in DOMAINS for message, text in domain(language, name).items()}


def checked_language(name: str) -> str:
    """`name`, if pages can be had in that language.

    Raises:
        UsageError: they cannot.
    """
    if name not in LANGUAGES:
        known = ", ".join(f"{code} ({own})" for code, own in LANGUAGES.items())
        raise UsageError(f"there is no language {name!r}{suggestion(name, LANGUAGES)}; reports speak {known}")
    return name


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Within it `t` speaks `language`."""
    token = _SPOKEN.set(checked_language(language))
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken() -> str:
    """The language that is spoken now."""
    return _SPOKEN.get()


def translate(language: str, message: str, /, **values: object) -> str:
    """`message` in `language`, with `%(name)s` filled in; in English where it is not translated."""
    text = messages(language).get(message, message)
    return text % values if values else text


def t(message: str, /, **values: object) -> str:
    """`message` in the language that is spoken now, with `%(name)s` filled in."""
    return translate(_SPOKEN.get(), message, **values)


def tm(message: str, /, **values: object) -> Markup:
    """As `t`, of a message that holds markup; what is filled in is escaped, and cannot act."""
    text = Markup(messages(_SPOKEN.get()).get(message, message))
    shown = {name: safe(value) if type(value) is str else value for name, value in values.items()}
    return text % shown if values else text


def in_script(source: str) -> str:
    """A script whose `t("…")` say their messages in the language that is spoken now."""
    known = messages(_SPOKEN.get())
    if not known:
        return source

    def said(call: re.Match[str]) -> str:
        import json

        message = json.loads(call[1])
        return f"t({json.dumps(known.get(message, message), ensure_ascii=False)}"

    return _CALL.sub(said, source)


def retold(text: str) -> str:
    """`text`, a sentence that was recorded in English, in the language that is spoken now.

    It is found by its shape among the messages of `records.po`; what fills their holes may be such a sentence again.
    Lines are told one by one. What has no such shape, as a text of the user's has not, stays as it is.
    """
    language = _SPOKEN.get()
    if language == "en" or len(text) > _LONGEST:
        return text
    if "\n" in text:
        return "\n".join(line[: len(line) - len(line.lstrip())] + retold(line.strip()) for line in text.split("\n"))
    return _retold(language, text, 0).replace("） ", "）") if text else text


def _retold(language: str, text: str, depth: int, *, is_part: bool = False) -> str:
    exact = messages(language).get(text)
    if exact is not None and not _HOLE.search(exact):
        return exact
    if depth == _DEPTH:
        return text
    body = text.removesuffix(".")
    if body != text and (told := _retold(language, body, depth + 1, is_part=is_part)) != body:
        return told if told.endswith("。") else f"{told}。"
    for shape, message, size in _shapes(language):
        if (is_part or size >= _LEAST) and (match := shape.fullmatch(text)):
            return message % {
                name: _retold(language, part, depth + 1, is_part=True) if name in _PARTS else part
                for name, part in match.groupdict().items()
            }
    sentences = _NEXT.split(text)
    each = [_retold(language, one, depth + 1) for one in sentences]
    return "".join(each) if len(each) > 1 and each != sentences else text


@cache
def _shapes(language: str) -> tuple[tuple[re.Pattern[str], str, int], ...]:
    """(pattern, message, number of letters) of the sentences with holes, those that say most first."""
    found = [
        (_shape(message), text, len(_HOLE.sub("", message)))
        for message, text in domain(language, "records").items()
        if _HOLE.search(message)
    ]
    return tuple(sorted(found, key=lambda one: -one[2]))


def _shape(message: str) -> re.Pattern[str]:
    parts = _HOLE.split(message)
    seen: set[str] = set()
    pattern = ""
    for i, part in enumerate(parts):
        if i % 2 == 0:
            pattern += re.escape(part.replace("%%", "%"))
        else:
            any_of = r"\S+?" if part in _FIGURES else ".+?"
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>{any_of})"
            seen.add(part)
    return re.compile(pattern, re.DOTALL)
