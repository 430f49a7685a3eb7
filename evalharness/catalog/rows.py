"""Datasets as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalharness.core.types import Json

__all__ = ["write_parts"]


def write_parts(folder: Path, parts: Mapping[str, Sequence[Mapping[str, Json]]]) -> dict[str, Json]:
    """Write each part to `PART.jsonl`; returns the number of rows of each."""
    for name, rows in parts.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
    return {f"n_{name}": len(rows) for name, rows in parts.items()}
