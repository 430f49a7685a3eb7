"""Which rows of two runs are of the same sample: by what the samples hold, with arrays and no Python object a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..record.arrays import codes_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Match", "Matcher", "cluster_codes_of", "match_rows"]

Ints = NDArray[np.int64]

# The whole of a figure and its groups.
_REMEMBERED = 16


class Match(NamedTuple):
    """`ours[i]` and `theirs[i]` are the places of the i-th pair, in the order of ours; the rest is on one side only."""

    ours: Ints
    theirs: Ints
    n_only_ours: int
    n_only_theirs: int


class Matcher:
    """Matches rows, and remembers: most metrics of a task score the same samples."""

    def __init__(self) -> None:
        self._known: list[tuple[pa.ChunkedArray, pa.ChunkedArray, Match]] = []

    def match(self, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> Match:
        """What `match_rows` gives."""
        for first, second, known in self._known:
            if first.equals(ours) and second.equals(theirs):
                return known
        found = match_rows(ours, theirs)
        self._known = [*self._known[-_REMEMBERED:], (ours, theirs, found)]
        return found


def match_rows(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> Match:
    """Pairs rows whose texts (digests, ids) are equal; the k-th of several equal ones with the k-th of theirs."""
    if ours.equals(theirs):
        every = np.arange(len(ours), dtype=np.int64)
        return Match(every, every, 0, 0)
    first, second = codes_of(ours, theirs)
    depth = 1 + max(len(ours), len(theirs))
    keys, others = first * depth + _occurrences(first), second * depth + _occurrences(second)
    order = np.argsort(others, kind="stable")
    places = np.searchsorted(others, keys, sorter=order)
    inside = places < len(others)
    candidates = order[np.minimum(places, len(others) - 1)] if len(others) else np.zeros(len(keys), dtype=np.int64)
    found = inside & (others[candidates] == keys) if len(others) else np.zeros(len(keys), dtype=bool)
    mine, other = np.flatnonzero(found).astype(np.int64), candidates[found].astype(np.int64)
    return Match(mine, other, len(ours) - len(mine), len(theirs) - len(mine))


def _occurrences(codes: Ints) -> Ints:
    """How many equal codes stand before each."""
    order = np.argsort(codes, kind="stable")
    ranked = codes[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(codes) else codes
    lengths = np.diff(np.concatenate([starts, [len(codes)]]))
    within = np.arange(len(codes), dtype=np.int64) - np.repeat(starts, lengths)
    found = np.empty(len(codes), dtype=np.int64)
    found[order] = within
    return found


def cluster_codes_of(clusters: pa.ChunkedArray | None, places: Ints) -> Ints | None:
    """What `stats.cluster_codes` gives for the names of the clusters of the rows at `places`."""
    if clusters is None:
        return None
    codes = codes_of(clusters)[0][places]
    alone = np.flatnonzero(codes < 0)
    codes[alone] = codes.max(initial=0) + 1 + np.arange(len(alone))
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    if len(first) == len(codes):
        return None
    # Numbered as they come, so that the same seed draws the same clusters as with names.
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    found: Ints = rank[inverse]
    return found
