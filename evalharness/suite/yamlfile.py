"""YAML with a place for every value: strict, all problems of a file at once, and safe to open from anywhere.

Only text, numbers, booleans, null, lists and mappings with text keys; one document; no tags. Depth, size and the
number of values after aliases are expanded are limited. The events of the parser are read in a loop, not by
recursion, so that no nesting can overflow the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from evalharness.core.errors import Place, Problem

from .node import MAX_NODES, Entry, Node
from .scalars import AmbiguousError, Scalar, read_scalar
from .yaml_advice import syntax_problem

__all__ = ["MAX_ALIASES", "MAX_BYTES", "MAX_DEPTH", "parse", "read"]

MAX_BYTES = 16_000_000
MAX_DEPTH = 40
MAX_ALIASES = 1_000
_MAX_SHOWN = 20

# Where PyYAML was built without libyaml its own parser does the same work, some ten times slower.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_TEXT_TAGS = ("tag:yaml.org,2002:str", "!!str")


def read(path: Path, *, shown: str) -> tuple[Node | None, list[Problem]]:
    """(document, problems) of a file; `shown` is its name in messages. No document if it cannot be read at all."""
    top = Place(shown, 1, 1)
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None, [Problem(top, "file", f"there is no such file{_near(path)}")]
    except IsADirectoryError:
        return None, [Problem(top, "file", "this is a folder; name a suite file in it")]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return None, [Problem(top, "file", f"it cannot be read: {reason}")]
    if len(data) > MAX_BYTES:
        message = (
            f"it is larger than {MAX_BYTES // 1_000_000} MB; keep data in files of their own, named under datasets"
        )
        return None, [Problem(top, "file", message)]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None, [Problem(top, "syntax", "the file is UTF-16; save it as UTF-8")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        byte = data[error.start]
        message = f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        return None, [Problem(_end_of(before, shown), "syntax", message)]
    return parse(text, shown=shown)


def _near(path: Path) -> str:
    from evalharness.core.registry import suggestion

    try:
        return suggestion(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""


def _end_of(text: str, shown: str) -> Place:
    lines = text.split("\n")
    return Place(shown, len(lines), len(lines[-1]) + 1)


def parse(text: str, *, shown: str) -> tuple[Node | None, list[Problem]]:
    """(document, problems) of YAML text."""
    bad = list(_unprintable(text, shown))
    if bad:
        return None, bad
    builder = _Builder(shown)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not builder.take(event):
                return None, builder.problems
    except yaml.MarkedYAMLError as error:
        problem = syntax_problem(error, text, shown)
        # An unquoted {{ is noticed as a strange key first; the parser then stumbles over what follows it.
        known = any(found.place.line == problem.place.line for found in builder.problems)
        return None, builder.problems if known else [*builder.problems, problem]
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())
        return None, [*builder.problems, Problem(Place(shown, 1, 1), "syntax", f"this is not YAML: {message}")]
    if builder.root is None and not builder.problems:
        builder.problems.append(Problem(Place(shown, 1, 1), "syntax", "the file is empty; a suite begins: version: 1"))
    return builder.root, builder.problems


def _unprintable(text: str, shown: str) -> Iterator[Problem]:
    for match in islice(_UNPRINTABLE.finditer(text), _MAX_SHOWN):
        code = f"U+{ord(match[0]):04X}"
        name = "a NUL byte" if match[0] == "\0" else f"the control character {code}"
        message = f"{name} is not allowed in YAML; remove it (in double quotes, \\x{ord(match[0]):02x} stands for it)"
        yield Problem(_end_of(text[: match.start()], shown), "syntax", message)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read; `size` counts the values in it, aliases expanded."""

    place: Place
    anchor: str | None
    is_map: bool
    flow: bool
    items: list[Node] = field(default_factory=list)
    plain_key: list[bool] = field(default_factory=list)
    size: int = 1


class _Builder:
    """Builds the tree from events, one at a time."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0
        self._aliases = 0

    def take(self, event: Any) -> bool:
        """Take the next event; False if reading on makes no sense."""
        place = Place(self.shown, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    return self._stop(place, "a second document begins here; a suite is one document: remove the ---")
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.AliasEvent():
                return self._alias(event, place)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(self._open) >= MAX_DEPTH:
                    return self._stop(place, f"it is nested more than {MAX_DEPTH} levels deep")
                is_map = isinstance(event, yaml.MappingStartEvent)
                self._refuse_tag(event, place, "map" if is_map else "seq")
                self._open.append(_Open(place, event.anchor, is_map, bool(event.flow_style)))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                return self._close()
        return True

    def _stop(self, place: Place, message: str) -> bool:
        self.problems.append(Problem(place, "syntax", message))
        return False

    def _refuse_tag(self, event: Any, place: Place, kind: str) -> None:
        tag = event.tag
        if tag in (None, f"tag:yaml.org,2002:{kind}"):
            return
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(Problem(place, "syntax", f"the tag {shown} is not allowed; remove it"))

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        unquoted = event.implicit[0] and event.tag is None
        if not unquoted:
            self._refuse_tag(event, place, "str")
        value: Scalar = event.value
        if unquoted and not self._is_key():
            try:
                value = read_scalar(event.value)
            except AmbiguousError as error:
                if not (event.value == "off" and self._under("cache")):
                    self.problems.append(Problem(place, "syntax", str(error)))
        elif unquoted:
            self._check_key(event.value, place)
        node = Node(value, place, event.value)
        if event.anchor:
            self._anchors[event.anchor] = node, 1
        self._add(node, 1, plain_key=unquoted)

    def _under(self, key: str) -> bool:
        """Whether what comes next is the value of `key`; `cache: off` is the one word of ours that is ambiguous."""
        return bool(self._open) and self._open[-1].is_map and self._open[-1].items[-1].value == key

    def _is_key(self) -> bool:
        return bool(self._open) and self._open[-1].is_map and len(self._open[-1].items) % 2 == 0

    def _check_key(self, text: str, place: Place) -> None:
        try:
            value = read_scalar(text)
        except AmbiguousError:
            value = 0
        if not isinstance(value, str):
            what = "empty" if value is None and not text else f"the word {text}, which YAML may read as something else"
            remedy = "write the key" if not text else f'write "{text}" in quotes'
            self.problems.append(Problem(place, "syntax", f"a key must be text; this one is {what}: {remedy}"))

    def _alias(self, event: yaml.AliasEvent, place: Place) -> bool:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            return self._stop(place, f"there are more than {MAX_ALIASES} aliases; use vars or extends instead")
        found = self._anchors.get(event.anchor or "")
        if found is None:
            message = (
                f"the alias *{event.anchor} names no anchor before it; write text that begins with * in quotes, "
                f"or set the anchor first: &{event.anchor}"
            )
            self.problems.append(Problem(place, "syntax", message))
            found = Node(None, place), 1
        node, size = found
        self._add(node, size, plain_key=True)
        if self._open and self._open[-1].size > MAX_NODES:
            return self._stop(place, f"its aliases stand for more than {MAX_NODES:,} values")
        return True

    def _add(self, node: Node, size: int, *, plain_key: bool = False) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        top.items.append(node)
        top.size += size
        top.plain_key.append(plain_key)

    def _close(self) -> bool:
        done = self._open.pop()
        node = Node(self._mapping(done) if done.is_map else done.items, done.place)
        if done.size > MAX_NODES:
            return self._stop(done.place, f"there are more than {MAX_NODES:,} values in it")
        if done.anchor:
            self._anchors[done.anchor] = node, done.size
        self._add(node, done.size)
        return True

    def _mapping(self, done: _Open) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        for index in range(0, len(done.items), 2):
            key, value = done.items[index], done.items[index + 1]
            if isinstance(key.value, dict | list):
                self._collection_key(key, done)
            elif key.value == "<<" and done.plain_key[index]:
                merged.append(value)
            elif not isinstance(key.value, str):
                self.problems.append(Problem(key.place, "syntax", f"a key must be text, not {key.value}"))
            elif key.value in entries:
                first = entries[key.value].key
                message = (
                    f"the key {_short(key.value)!r} stands here for a second time; the first is in line {first.line}"
                )
                self.problems.append(Problem(key.place, "syntax", message))
            else:
                entries[key.value] = Entry(key.place, value)
        for source in merged:
            for mapping in source.items if isinstance(source.value, list) else [source]:
                if not isinstance(mapping.value, dict):
                    message = "<< takes a mapping, or a list of mappings"
                    self.problems.append(Problem(source.place, "syntax", message))
                for name, entry in mapping.mapping.items():
                    entries.setdefault(name, entry)
        return entries

    def _collection_key(self, key: Node, done: _Open) -> None:
        # `prompt: {{ text }}`: YAML reads the braces as a mapping whose key is a mapping.
        if done.flow and isinstance(key.value, dict):
            message = 'a value that begins with {{ must be in quotes: "{{ … }}"'
            self.problems.append(Problem(done.place, "syntax", message))
        else:
            self.problems.append(Problem(key.place, "syntax", "a key must be text, not a list or mapping"))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
