from __future__ import annotations

import numpy as np

from evalharness.drift.shapes import missing_counts, sides_of
from evalharness.drift.table import Table


def table(language, score, text, conversation=None):
    data = {"language": language, "score": score, "text": text}
    cluster = None
    if conversation is not None:
        data["conversation"] = conversation
        cluster = "conversation"
    kinds = {"language": "category", "score": "numeric", "text": "text"}
    return Table.of(data, kinds=kinds, cluster=cluster)


BEFORE = (["de", "en", None, "de"], [1.0, np.nan, 3.0, 4.0], ["a b", "b c", None, "b"])
NOW = (["fr", "en", "en"], [1.0, 2.0, 3.0], ["c", "c d", "d"])


def of(name, *sides):
    pair = tuple(side.columns[name] for side in sides)
    masks = tuple(np.ones(side.n, dtype=bool) for side in sides)
    return pair, masks, tuple(side.clusters for side in sides)


def test_levels_are_those_of_both_sides():
    first, second = sides_of(*of("language", table(*BEFORE), table(*NOW)))
    assert first.counts.tolist() == [2, 1, 0]
    assert second.counts.tolist() == [0, 2, 1]
    assert first.groups is None


def test_clusters_are_kept_together():
    conversations = [["x", "x", "y", "y"], ["p", "q", "q"]]
    sides = [table(*rows, names) for rows, names in zip((BEFORE, NOW), conversations, strict=True)]
    first, second = sides_of(*of("language", *sides))
    assert first.groups.sum(axis=0).tolist() == first.counts.tolist()
    rows = sorted(map(tuple, first.groups[first.groups.sum(axis=1) > 0].tolist()))
    assert rows in ([(1, 0, 0), (1, 1, 0)], [(2, 1, 0)]), "one group a conversation, or both in one"
    numbers, _ = sides_of(*of("score", *sides))
    assert numbers.values.tolist() == [1.0, 3.0, 4.0]
    assert len(set(numbers.clusters.tolist())) == 2
    assert second.groups is not None


def test_a_term_counts_once_a_text():
    first, second = sides_of(*of("text", table(*BEFORE), table(*NOW)))
    assert sorted(first.counts.tolist(), reverse=True)[:3] == [3, 1, 1]  # b in three texts, a and c in one
    assert first.groups.sum(axis=0).tolist() == first.counts.tolist(), "texts are the clusters of their terms"
    assert second.n == 4


def test_missing_values_are_counted_where_there_are_any():
    first, second = missing_counts(*of("score", table(*BEFORE), table(*NOW)))
    assert first.counts.tolist() == [3, 1]
    assert second.counts.tolist() == [3, 0]
    assert missing_counts(*of("score", table(*NOW), table(*NOW))) is None
