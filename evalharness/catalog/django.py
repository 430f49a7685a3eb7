"""django-en-de, django-en-fr: an interface and its translations, from the gettext catalogues of Django."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .gettext import Message, parse_po
from .rows import write_parts

__all__ = ["N_TRAIN", "make_de", "make_fr", "pairs"]

N_TRAIN = 32
_LEAST_WORDS = 3
# Placeholders (%s, %(name)s, {name}), markup, entities and addresses: not language, and they inflate overlap metrics.
_NOT_PROSE = re.compile(r"[%{}<>\\|]|&[a-z]+;|://|\n")


def make_de(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the parts test and train, German."""
    return _make(entry, folder, kit, "de")


def make_fr(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the parts test and train, French."""
    return _make(entry, folder, kit, "fr")


def _make(entry: Entry, folder: Path, kit: Kit, code: str) -> Mapping[str, Json]:
    catalogue = re.compile(rf"django/(?:conf|contrib/(\w+))/locale/{code}/LC_MESSAGES/\w+\.po")
    messages: list[tuple[str, Message]] = []
    with kit.open(entry.packages[0]) as archive:
        for name in sorted(archive.names()):
            if found := catalogue.fullmatch(name):
                messages += [(found[1] or "core", message) for message in parse_po(archive.read(name).decode())]
    rows = pairs(messages)
    # The training part serves for worked examples in prompts.
    return write_parts(folder, {"test": rows[N_TRAIN:], "train": rows[:N_TRAIN]})


def pairs(messages: Iterable[tuple[str, Message]]) -> list[dict[str, Json]]:
    """Rows of the translated messages that are prose of three words or more, each English text once.

    Their order is drawn by the digest of the English text, so that both parts mix all applications and both languages
    draw alike.
    """
    rows: dict[str, dict[str, Json]] = {}
    for app, message in messages:
        source, target = message.strings.get("msgid", ""), message.strings.get("msgstr", "")
        if not message.is_translated or source == target or len(source.split()) < _LEAST_WORDS:
            continue
        if _NOT_PROSE.search(source) or _NOT_PROSE.search(target):
            continue
        name = f"{app}-{_digest(source)[:8]}"
        rows.setdefault(source, {"id": name, "source": source, "target": target, "app": app})
    return [rows[source] for source in sorted(rows, key=_digest)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
