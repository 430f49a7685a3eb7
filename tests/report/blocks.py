"""Reads what a page holds for its explorer, as its script does."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

_BLOCK = re.compile(r'<script type="application/x-deflate" id="samples-(\w+)">([A-Za-z0-9+/=]*)</script>')
_NAMES = {
    "x": "output", "a": "answer", "g": "target", "e": "error", "h": "reasoning", "P": "prompt",
    "T": "turns", "f": "references", "c": "choices", "K": "calls", "J": "why", "G": "groups", "i": "id",
}  # fmt: skip
_MANY = "TfcKJG"


def blocks_of(page: str) -> dict[str, str]:
    """The inflated blocks by name: `columns`, and the texts by their number."""
    return {name: zlib.decompress(base64.b64decode(body)).decode() for name, body in _BLOCK.findall(page)}


def columns_of(page: str) -> dict[str, Any]:
    """The block of columns."""
    found: dict[str, Any] = json.loads(blocks_of(page)["columns"])
    return found


def rows_of(page: str) -> list[dict[str, Any]]:
    """All rows in order, with their texts under readable names."""
    blocks, rows = blocks_of(page), []
    for number, size in enumerate(columns_of(page)["blocks"]):
        texts, rest = blocks[str(number)].split("\x1d")
        pairs = list(zip(texts.split("\x1e"), rest.split("\x1e"), strict=True))
        assert len(pairs) == size
        for text, more in pairs:
            row = json.loads(more)
            for code, part in zip(row["F"], text.split("\x1f"), strict=True):
                if code in _MANY:
                    row.setdefault(_NAMES[code], []).append(part)
                else:
                    row[_NAMES[code]] = part
            rows.append(row)
    return rows
