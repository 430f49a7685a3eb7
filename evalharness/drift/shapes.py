"""The columns of two tables in the shapes that drift tests take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..stats.arrays import Bools, Floats, Ints
from .base import Counts, Rows, Window
from .groups import group_of
from .table import YES_OR_NO, Column
from .terms_of_text import document_terms

__all__ = ["missing_counts", "sides_of"]

_GROUPS = 64
_TERMS = 500
_TEXTS = 20_000

Pair = tuple[Column, Column]
Masks = tuple[Bools, Bools]
Clusters = tuple[Ints | None, Ints | None]


def sides_of(pair: Pair, masks: Masks, clusters: Clusters, *, rate: bool = False) -> tuple[Window, Window]:
    """Both windows of a column over the rows of `masks` that have a value.

    Numbers and embeddings stay rows. Levels are counted over those of both windows, and terms over the 500 that the
    most texts of both windows hold: a choice that does not know which window a row is in.
    """
    kind = pair[0].kind
    kept = [mask & column.present for column, mask in zip(pair, masks, strict=True)]
    if kind in ("numeric", "embedding") and not rate:
        made = [
            Rows(np.asarray(column.values[keep], dtype=np.float64), None if codes is None else codes[keep])
            for column, keep, codes in zip(pair, kept, clusters, strict=True)
        ]
        return made[0], made[1]
    if kind == "text":
        return _terms(pair, kept, clusters)
    if kind == "numeric":
        coded = [np.where(column.values > 0, 1, 0) for column in pair]  # yes is above 0, as for states
        return _counted(coded, kept, clusters, 2)
    names = dict.fromkeys((*(YES_OR_NO if rate else ()), *pair[0].levels, *pair[1].levels))
    union = {level: i for i, level in enumerate(names)}
    coded = []
    for column in pair:
        places = np.array([*(union[level] for level in column.levels), -1], dtype=np.int64)
        coded.append(places[np.asarray(column.values, dtype=np.int64)])
    return _counted(coded, kept, clusters, len(union))


def missing_counts(pair: Pair, masks: Masks, clusters: Clusters) -> tuple[Counts, Counts] | None:
    """Rows with a value and without one; None where no value is missing on either side."""
    absent = [~column.present for column in pair]
    if not any((gone & mask).any() for gone, mask in zip(absent, masks, strict=True)):
        return None
    return _counted([gone.astype(np.int64) for gone in absent], list(masks), clusters, 2)


def _counted(codes: Sequence[Ints], masks: Sequence[Bools], clusters: Clusters, k: int) -> tuple[Counts, Counts]:
    made = []
    for given, mask, groups in zip(codes, masks, clusters, strict=True):
        kept = given[mask]
        counts = np.bincount(kept, minlength=k).astype(np.float64)
        by_group = None
        if groups is not None:
            places = group_of(groups[mask], _GROUPS) * k + kept
            by_group = np.bincount(places, minlength=_GROUPS * k).reshape(_GROUPS, k).astype(np.float64)
        made.append(Counts(counts, by_group))
    return made[0], made[1]


def _terms(pair: Pair, kept: Sequence[Bools], clusters: Clusters) -> tuple[Counts, Counts]:
    """Texts that hold each term, by random group of texts (or of the clusters that they belong to)."""
    read: list[list[tuple[int, frozenset[str]]]] = []
    for column, keep, codes in zip(pair, kept, clusters, strict=True):
        places = np.flatnonzero(keep)
        places = places[:: max(1, -(-places.size // _TEXTS))]
        groups = group_of(places if codes is None else codes[places], _GROUPS)
        read.append([(int(g), document_terms(column.texts[int(i)] or "")) for g, i in zip(groups, places, strict=True)])
    held = Counter(term for side in read for _, terms in side for term in terms)
    terms = {term: i for i, (term, _) in enumerate(sorted(held.items(), key=lambda one: (-one[1], one[0]))[:_TERMS])}
    made = []
    for side in read:
        groups_of: Floats = np.zeros((_GROUPS, len(terms) + 1))
        for group, of_text in side:
            for term in of_text:
                groups_of[group, terms.get(term, len(terms))] += 1
        made.append(Counts(groups_of.sum(axis=0), groups_of))
    return made[0], made[1]
