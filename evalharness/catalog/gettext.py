"""The entries of gettext catalogues (`.po`)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Message", "parse_po"]

_LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s+)?(".*")\s*$')


@dataclass(slots=True)
class Message:
    """One entry: its strings by keyword (msgid, msgstr, …) and its flags (fuzzy, python-format, …)."""

    strings: dict[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @property
    def is_translated(self) -> bool:
        """Whether it is a reviewed translation of a text without plural forms."""
        return bool(
            self.strings.get("msgid")
            and self.strings.get("msgstr")
            and "msgid_plural" not in self.strings
            and "fuzzy" not in self.flags
        )


def parse_po(text: str) -> Iterator[Message]:
    """The entries of a catalogue in file order, the header (an empty msgid) and obsolete ones (`#~`) left out.

    Raises:
        ValueError: for a line that is not of the format.
    """
    message, keyword, flags = Message(), "", frozenset[str]()
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if line.startswith("#,"):
            flags |= {flag.strip() for flag in line[2:].split(",")}
        if not line or line.startswith("#"):
            if "msgstr" in message.strings or "msgstr[0]" in message.strings:
                yield from _finished(message)
                message = Message()
            continue
        match = _LINE.match(line)
        if match is None or not (match[1] or keyword):
            raise ValueError(f"line {number} is not of the gettext format: {line!r}")
        if match[1] in ("msgid", "msgctxt") and ("msgstr" in message.strings or "msgstr[0]" in message.strings):
            yield from _finished(message)
            message = Message()
        if match[1]:
            keyword = match[1]
            message.strings[keyword] = ""
            message.flags |= flags
            flags = frozenset()
        # The escapes of gettext are those of C, of which Python's literals are a superset.
        message.strings[keyword] += ast.literal_eval(match[2])
    yield from _finished(message)


def _finished(message: Message) -> Iterator[Message]:
    if message.strings.get("msgid"):
        yield message
