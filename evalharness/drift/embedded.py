"""Columns of texts as columns of vectors beside them, and the texts that are typical of each window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..core.errors import UsageError
from ..stats.arrays import Floats
from .show import Example, Pair
from .table import Column, Table

__all__ = ["EMBEDDED", "Encoder", "embedded", "typical_texts"]

EMBEDDED = ".embedding"
"""What the name of a text column gets for its vectors."""
_SHOWN = 2
# Rows of a window whose texts may be shown: the nearest of these are typical enough.
_LOOKED_AT = 20_000


class Encoder(Protocol):
    """What makes vectors of texts (`metrics.text_encoder.TextEncoder`)."""

    @property
    def identity(self) -> str: ...

    def vectors(self, texts: tuple[str | None, ...]) -> Floats: ...


def embedded(table: Table, encoders: Mapping[str, Encoder]) -> Table:
    """The table with a column NAME.embedding beside each text column that has an encoder.

    Raises:
        UsageError: for a column that is there already, or that is no text.
    """
    columns, reasons = dict(table.columns), dict(table.reasons)
    for name, encoder in encoders.items():
        made = name + EMBEDDED
        if made in columns:
            raise UsageError(f"there is a column {made!r} already; rename it, or do not embed {name!r}")
        texts = columns[name].texts
        columns[made] = Column("embedding", encoder.vectors(texts), texts=texts, encoder=encoder.identity)
        reasons[made] = f"the texts of {name!r} as vectors"
    return replace(table, columns=columns, reasons=reasons)


def typical_texts(name: str, pair: Pair) -> list[Example]:
    """Of each window two texts nearest to its mean vector, and two that lie farthest towards it from the other's mean.

    The first say what a window is about as a whole, the others what it has more of: where one row in ten is of another
    topic, both means are still near the old ones. Nothing without texts.
    """
    if not all(column.texts for column in pair):
        return []
    sides = []
    for column in pair:
        rows = np.flatnonzero(column.present)
        rows = rows[:: max(1, -(-rows.size // _LOOKED_AT))]
        sides.append((rows, np.asarray(column.values, dtype=np.float64)[rows]))
    if not all(rows.size for rows, _ in sides):
        return []
    means = [values.mean(axis=0) for _, values in sides]
    found: list[Example] = []
    for i, side in enumerate(("reference", "current")):
        rows, values = sides[i]
        near = ((values - means[i]) ** 2).sum(axis=1)
        towards = -(values @ (means[i] - means[1 - i]))
        orders = [np.argsort(one, kind="stable").tolist() for one in (near, towards)]
        seen: set[str] = set()
        # One of each in turn: where little is shown, both are.
        for _ in range(_SHOWN):
            for order, why in zip(orders, ("nearest to the mean", "farthest from the other side"), strict=True):
                texts = (pair[i].texts[int(rows[place])] or "" for place in order)
                text = next((one for one in texts if one not in seen), None)
                if text is not None:
                    seen.add(text)
                    found.append((name, side, text, why))
    return found
