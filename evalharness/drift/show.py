"""What a reader sees of a column: its figures on both sides, its picture, its words and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..stats.arrays import Floats, Ints
from .pictures import category_picture, numeric_picture
from .table import YES_OR_NO, Column
from .terms import diagnose_texts

__all__ = ["Example", "Pair", "examples_of", "picture_of", "summary_of", "terms_of"]

Pair: TypeAlias = tuple[Column, Column]
Example: TypeAlias = tuple[str, str, str, str]
_FINE = 400
_SHORTEST_GAIN = 1.5


def summary_of(pair: Pair) -> list[tuple[str, float, float]]:
    """(name, reference, current) figures: mean, median, p95 and missing of numbers, missing of the others."""
    found: list[tuple[str, float, float]] = []
    kept = [np.asarray(column.values, np.float64)[column.present] for column in pair if column.kind == "numeric"]
    if len(kept) == 2 and all(values.size for values in kept):
        sides = [
            (float(v.mean()), *map(float, np.quantile(v, (0.5, 0.95))), float(v.std())) for v in kept if v is not None
        ]
        names = ("mean", "median", "p95", "standard deviation")
        found += [(name, float(sides[0][i]), float(sides[1][i])) for i, name in enumerate(names)]
    if pair[0].kind == "category" and (levels := _level_shares(pair)):
        # Of yes and no, how often yes; else the level that moved most.
        plain = all(column.is_yes_or_no for column in pair)
        level, before, now = max(levels, key=lambda one: (plain and one[0] == YES_OR_NO[1], abs(one[2] - one[1])))
        found.append((f"share of {level}", before, now))
        if not plain:
            held = (sum(was > 0 for _, was, _ in levels), sum(now > 0 for _, _, now in levels))
            found.append(("distinct values", float(held[0]), float(held[1])))
            fresh = max((one for one in levels if one[1] == 0), key=lambda one: one[2], default=None)
            if fresh is not None and fresh[0] != level:
                found.append((f"share of {fresh[0]} (new)", 0.0, fresh[2]))
    missing = [1.0 - float(column.present.mean()) if column.present.size else 0.0 for column in pair]
    if any(missing):
        found.append(("share missing", missing[0], missing[1]))
    return found


def picture_of(pair: Pair) -> dict[str, Sequence[object] | str]:
    """The picture of a numeric or category column; empty for others, and where a side has no values."""
    kind = pair[0].kind
    if kind == "numeric":
        first, second = (np.asarray(column.values, dtype=np.float64)[column.present] for column in pair)
        if not (first.size and second.size):
            return {}
        edges = _edges(np.concatenate([first, second]))
        return numeric_picture(edges, _histogram(first, edges), _histogram(second, edges))
    if kind == "category" and (levels := _level_shares(pair)):
        return category_picture([one[0] for one in levels], *(np.array([one[i] for one in levels]) for i in (1, 2)))
    return {}


def _level_shares(pair: Pair) -> list[tuple[str, float, float]]:
    """(level, share in the reference, share now); empty where a side has no values."""
    sides = []
    for column in pair:
        own = np.bincount(np.asarray(column.values, np.int64)[column.present], minlength=len(column.levels))
        sides.append(dict(zip(column.levels, own / max(int(own.sum()), 1), strict=True)))
    if not all(sum(side.values()) > 0 for side in sides):
        return []
    levels = dict.fromkeys((*pair[0].levels, *pair[1].levels))
    return [(level, float(sides[0].get(level, 0.0)), float(sides[1].get(level, 0.0))) for level in levels]


def _edges(values: Floats) -> Floats:
    low, high = np.quantile(values, (0.001, 0.999))
    ends = float(values.min()), float(values.max())
    inner = np.linspace(low, high, _FINE)
    edges: Floats = np.unique(np.concatenate([[ends[0]], inner, [ends[1]]]))
    return edges if edges.size > 1 else np.array([ends[0] - 0.5, ends[0] + 0.5])


def _histogram(values: Floats, edges: Floats) -> Floats:
    return np.histogram(values, edges)[0].astype(np.float64)


def terms_of(name: str, pair: Pair) -> tuple[list[tuple[str, str, float, float, float]], list[Example]]:
    """The words that moved most in a text column, and texts that are typical of each side."""
    found = diagnose_texts(pair[0].texts, pair[1].texts)
    terms = [(name, t.term, t.z, t.share_reference, t.share_current) for t in found.terms]
    sides = (("reference", found.reference_examples), ("current", found.current_examples))
    return terms, [(name, side, text, why) for side, texts in sides for text, why in texts]


def examples_of(name: str, pair: Pair, texts: Pair, of: str) -> list[Example]:
    """Texts of the rows that stand where a column has become more usual than it was, two a side.

    Numbers are divided at deciles of the reference; a level, or a tenth, counts where its share has grown by half.
    """
    if pair[0].kind not in ("numeric", "category"):
        return []
    coded = _binned(pair)
    counts = [
        np.bincount(codes[codes >= 0], minlength=int(max(c.max(initial=0) for c in coded)) + 1) for codes in coded
    ]
    if not all(c.sum() for c in counts):
        return []
    shares = [c / c.sum() for c in counts]
    found: list[Example] = []
    for side, (now, before) in enumerate(((0, 1), (1, 0))):
        gain = shares[now] - shares[before]
        best = int(np.argmax(gain))
        if shares[now][best] < _SHORTEST_GAIN * shares[before][best] or gain[best] <= 0:
            continue
        rows = np.flatnonzero(coded[side] == best)
        told = [texts[side].texts[int(i)] for i in rows[:50]]
        chosen = list(dict.fromkeys(text for text in told if text))[:2]
        value = pair[side].values
        for text in chosen:
            place = next(int(i) for i in rows if texts[side].texts[int(i)] == text)
            shown = pair[side].levels[int(value[place])] if pair[side].kind == "category" else f"{value[place]:.4g}"
            found.append((name, ("reference", "current")[side], text, f"{of}; {name} {shown}"))
    return found


def _binned(pair: Pair) -> tuple[Ints, Ints]:
    if pair[0].kind == "category":
        union = {level: i for i, level in enumerate(dict.fromkeys((*pair[0].levels, *pair[1].levels)))}
        made = []
        for column in pair:
            places = np.array([*(union[level] for level in column.levels), -1], dtype=np.int64)
            made.append(places[np.asarray(column.values, dtype=np.int64)])
        return made[0], made[1]
    first = np.asarray(pair[0].values, dtype=np.float64)[pair[0].present]
    cuts = np.unique(np.quantile(first, np.linspace(0.1, 0.9, 9))) if first.size else np.zeros(0)
    coded = []
    for column in pair:
        places = np.searchsorted(cuts, np.nan_to_num(column.values), side="left").astype(np.int64)
        places[~column.present] = -1
        coded.append(places)
    return coded[0], coded[1]
