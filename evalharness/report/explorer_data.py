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
from typing import Any

from ..core.spool import Spool
from .samples import SampleBundle

__all__ = ["EXPLORER_SCRIPTS", "explorer_blocks"]

# One script of the page, in this order.
EXPLORER_SCRIPTS = ("explorer_store.js", "explorer_diff.js", "explorer_sample.js", "explorer_list.js", "explorer.js")

_END_OF_ROW, _END_OF_TEXT, _END_OF_TEXTS = "\x1e", "\x1f", "\x1d"
_BLOCK_CHARS = 1_000_000
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


class _Columns:
    """What is listed, filtered and sorted by, of all rows."""

    def __init__(self, bundle: SampleBundle) -> None:
        self._bundle = bundle
        self.plain: dict[str, list[Any]] = {name: [] for name in ("id", "t", "m", "o", "s", "lx")}
        self.numbers: dict[str, list[Any]] = {name: [] for name in _NUMBERS}
        # One column of figures for each place in a row's list of them: what they are called depends on task and model.
        self.scores: list[list[Any]] = []
        self.states = _Names()
        self.groups: dict[str, tuple[_Names, list[int]]] = {}
        self.n = 0

    def add(self, row: Mapping[str, Any]) -> None:
        for name in ("id", "t", "m", "o"):
            self.plain[name].append(row[name])
        self.plain["s"].append(self.states.place(row["s"]))
        self.plain["lx"].append(len(row.get("x", "")))
        for name in _NUMBERS:
            self.numbers[name].append(row.get(name))
        while len(self.scores) < len(row["sc"]):
            self.scores.append([None] * self.n)
        for i, column in enumerate(self.scores):
            column.append(row["sc"][i] if i < len(row["sc"]) else None)
        for name, value in row.get("gr", ()):
            names, places = self.groups.setdefault(name, (_Names(), []))
            places.extend([-1] * (self.n - len(places)))
            places.append(names.place(value))
        self.n += 1

    def to_dict(self) -> dict[str, Any]:
        """Columns in which nothing stands are left out."""
        for _, places in self.groups.values():
            places.extend([-1] * (self.n - len(places)))
        return {
            **self._bundle.to_dict(),
            "n": self.n,
            "states": self.states.names,
            "columns": {
                **self.plain,
                **{name: column for name, column in self.numbers.items() if any(v is not None for v in column)},
            },
            "scores": self.scores,
            "groups": [{"name": name, "values": names.names, "of": of} for name, (names, of) in self.groups.items()],
        }


def explorer_blocks(bundle: SampleBundle, run_id: str) -> tuple[Callable[[], str], Callable[[], Iterator[str]]]:
    """What gives the block of columns and, in pieces, the blocks of texts, as elements of the page."""
    columns = _Columns(bundle)
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
        body = {**columns.to_dict(), "run": run_id, "shared": list(bundle.shared), "blocks": sizes}
        return _element("samples-columns", _deflated(_json(body)))

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


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _deflated(text: str) -> str:
    # Texts were made safe; of what else stands in a row nothing may be lost for a lone surrogate.
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), _LEVEL)).decode("ascii")


def _element(name: str, body: str) -> str:
    # A type that no browser runs; of base64 no character means anything to the page.
    return f'<script type="application/x-deflate" id="{name}">{body}</script>'
