"""The blocks of data that the explorer's script reads: columns of all rows in one, and the texts in many, deflated.

The columns are what is listed, filtered and sorted by; they are read first. A block of texts holds some hundred rows,
and is inflated when one of them is seen, or all are searched. Within it rows end with U+001E and texts of a row with
U+001F, which no text can hold (`safe` shows them), so that the block as it stands can be searched and nothing of it
needs to be parsed. Behind U+001D stands, for each row, the JSON of what is not searched; its `F` says which text is
what:

    i id · G group · P prompt · T chat turn · x output · a answer · g target · f reference · c choice · e error
    h reasoning · K tool call · J why a judge said it
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ..core.spool import Spool
from .samples import SampleBundle

__all__ = ["EXPLORER_SCRIPTS", "explorer_blocks"]

# One script of the page, in this order.
EXPLORER_SCRIPTS = (
    *("explorer_store.js", "explorer_diff.js", "explorer_sample.js", "explorer_list.js", "explorer_save.js"),
    "explorer.js",
)

_END_OF_ROW, _END_OF_TEXT, _END_OF_TEXTS = "\x1e", "\x1f", "\x1d"
_BLOCK_CHARS = 1_000_000
_COLUMN_VALUES = 4_096
# The one that costs least time for most of the gain.
_LEVEL = 5
_NUMBERS = ("r", "la", "ti", "to", "co", "re", "d")


class _Names:
    """Numbers for names as they come."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, name: str) -> int:
        if name not in self._places:
            self._places[name] = len(self.names)
            self.names.append(name)
        return self._places[name]


class _Column:
    """A value of each row, as JSON: of many rows few values are Python objects at a time."""

    def __init__(self, empty: object = None) -> None:
        self._empty = empty
        self._n = 0
        self._live: list[object] = []
        self._written: list[str] = []
        self.has_any = False

    def put(self, row: int, value: object) -> None:
        """The value of the row number `row`; rows that were left out are empty."""
        self._fill(row)
        self._live.append(value)
        self._n += 1
        self.has_any |= value is not None
        if len(self._live) >= _COLUMN_VALUES:
            self._write()

    def json(self, n: int) -> str:
        """The values of all `n` rows."""
        self._fill(n)
        self._write()
        return f"[{','.join(self._written)}]"

    def _fill(self, n: int) -> None:
        self._live.extend([self._empty] * (n - self._n))
        self._n = n

    def _write(self) -> None:
        if self._live:
            self._written.append(_json(self._live)[1:-1])
            self._live.clear()


class _Columns:
    """What is listed, filtered and sorted by, of all rows."""

    def __init__(self) -> None:
        self._plain = {name: _Column() for name in ("id", "t", "m", "o", "s", "lx")}
        self._numbers = {name: _Column() for name in _NUMBERS}
        # One column of figures for each place in a row's list of them: what they are called depends on task and model.
        self._scores: list[_Column] = []
        self._states = _Names()
        self._groups: dict[str, tuple[_Names, _Column]] = {}
        self._n = 0

    def add(self, row: Mapping[str, Any]) -> None:
        n = self._n
        for name in ("id", "t", "m", "o"):
            self._plain[name].put(n, row[name])
        self._plain["s"].put(n, self._states.place(row["s"]))
        self._plain["lx"].put(n, len(row.get("x", "")))
        for name, column in self._numbers.items():
            column.put(n, row.get(name))
        while len(self._scores) < len(row["sc"]):
            self._scores.append(_Column())
        for column, score in zip(self._scores, row["sc"], strict=False):
            column.put(n, score)
        for name, value in row.get("gr", ()):
            names, places = self._groups.setdefault(name, (_Names(), _Column(-1)))
            places.put(n, names.place(value))
        self._n += 1

    def json(self, beside: Mapping[str, Any]) -> str:
        """All of it, and what stands `beside` it; columns in which nothing stands are left out."""
        n = self._n
        known = {**self._plain, **{name: column for name, column in self._numbers.items() if column.has_any}}
        columns = ",".join(f"{_json(name)}:{column.json(n)}" for name, column in known.items())
        groups = ",".join(
            f'{{"name":{_json(name)},"values":{_json(names.names)},"of":{places.json(n)}}}'
            for name, (names, places) in self._groups.items()
        )
        scores = ",".join(column.json(n) for column in self._scores)
        rest = _json({**beside, "n": n, "states": self._states.names})
        return f'{rest[:-1]},"columns":{{{columns}}},"scores":[{scores}],"groups":[{groups}]}}'


def explorer_blocks(bundle: SampleBundle, run_id: str) -> tuple[Callable[[], str], Callable[[], Iterator[str]]]:
    """What gives the block of columns and, in pieces, the blocks of texts, as elements of the page."""
    columns = _Columns()
    sizes: list[int] = []
    blocks: Spool[str] = Spool(live_bytes=0)
    texts: list[str] = []
    rest: list[str] = []
    chars = 0

    def close() -> None:
        nonlocal chars
        blocks.append(_deflated(f"{_END_OF_ROW.join(texts)}{_END_OF_TEXTS}{_END_OF_ROW.join(rest)}"))
        sizes.append(len(texts))
        texts.clear()
        rest.clear()
        chars = 0

    for row in bundle.rows:
        columns.add(row)
        text, more = _packed(row)
        texts.append(text)
        rest.append(more)
        chars += len(text) + len(more)
        if chars >= _BLOCK_CHARS:
            close()
    if texts:
        close()

    def head() -> str:
        beside = {**bundle.to_dict(), "run": run_id, "shared": list(bundle.shared), "blocks": sizes}
        return _element("samples-columns", _deflated(columns.json(beside)))

    return head, lambda: (_element(f"samples-{i}", block) + "\n" for i, block in enumerate(blocks))


def _packed(row: Mapping[str, Any]) -> tuple[str, str]:
    """The texts of a row that are searched, and the JSON of what else is shown of it."""
    codes, texts = ["i"], [row["id"]]

    def add(code: str, *found: str) -> None:
        codes.extend(code * len(found))
        texts.extend(found)

    add("G", *(f"{name}={value}" for name, value in row.get("gr", ())))
    rest = {key: row[key] for key in ("ll", "lp", "fr", "tr", "tk", "st", "cl", "at", "k", "b") if key in row}
    if row["c"]:
        rest["p"] = [[role, text if isinstance(text, int) else None] for role, text in row["p"]]
        add("T", *(text for _, text in row["p"] if isinstance(text, str)))
    else:
        if len(row["p"]) > 1:
            rest["p"] = row["p"][0]
        add("P", row["p"][-1])
    for code, key in (("x", "x"), ("a", "a"), ("g", "g"), ("e", "e"), ("h", "h")):
        if key in row:
            add(code, row[key])
    for code, key in (("f", "f"), ("c", "ch"), ("K", "tc")):
        add(code, *row.get(key, ()))
    if "j" in row:
        rest["j"] = [verdict[:3] for verdict in row["j"]]
        add("J", *(verdict[3] or "" for verdict in row["j"]))
    return _END_OF_TEXT.join(texts), _json({"F": "".join(codes), **rest})


# `json.dumps` with arguments would make one of these for each value.
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _deflated(text: str) -> str:
    # Texts were made safe; of what else stands in a row nothing may be lost for a lone surrogate.
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), _LEVEL)).decode("ascii")


def _element(name: str, body: str) -> str:
    # A type that no browser runs; of base64 no character means anything to the page.
    return f'<script type="application/x-deflate" id="{name}">{body}</script>'
