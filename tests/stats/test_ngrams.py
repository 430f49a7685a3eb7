from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats import ngrams
from evalharness.stats.ngrams import matched_ngrams

TEXT = st.lists(st.integers(0, 3), max_size=12)
PAIRS = st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=3)), max_size=6)


def counts(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def plain(hypothesis, references, n):
    """Clipped matches with Counters, as the paper words it."""
    highest = Counter()
    for reference in references:
        highest |= counts(reference, n)
    return sum((counts(hypothesis, n) & highest).values())


@given(PAIRS, st.integers(1, 5))
def test_equals_counters(pairs, max_order):
    hypotheses, references = [h for h, _ in pairs], [r for _, r in pairs]
    found = matched_ngrams(hypotheses, references, max_order=max_order)
    assert found.tolist() == [[plain(h, r, n) for n in range(1, max_order + 1)] for h, r in pairs]


@given(PAIRS)
def test_chunks_and_repacking_change_nothing(pairs):
    hypotheses, references = [h for h, _ in pairs], [r for _, r in pairs]
    whole = matched_ngrams(hypotheses, references, max_order=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "_CHUNK_TOKENS", 8)
        patch.setattr(ngrams, "_KEY_BITS", 12)
        assert (matched_ngrams(hypotheses, references, max_order=5) == whole).all()


def test_large_and_sparse_ids():
    far = [10**15, 7, 10**15, 3]
    assert matched_ngrams([far], [[far[:3]]], max_order=3).tolist() == [[3, 2, 1]]


def test_long_ngrams_over_a_large_vocabulary():
    rng = np.random.default_rng(0)
    hypotheses = [rng.integers(0, 50_000, size=200) for _ in range(30)]
    references = [[np.concatenate([h[:150], rng.integers(0, 50_000, size=50)])] for h in hypotheses]
    found = matched_ngrams(hypotheses, references, max_order=9)
    for row, h, r in zip(found.tolist(), hypotheses, references, strict=True):
        assert row == [plain(h.tolist(), [r[0].tolist()], n) for n in range(1, 10)]


def test_single_order():
    assert matched_ngrams([[1, 2, 3]], [[[1, 2, 9, 2, 3]]], min_order=2, max_order=2).tolist() == [[2]]


def test_nothing():
    assert matched_ngrams([], [], max_order=4).shape == (0, 4)
    assert matched_ngrams([[], [1]], [[[1]], []], max_order=2).tolist() == [[0, 0], [0, 0]]


def test_refuses():
    with pytest.raises(ValueError, match="references for 2"):
        matched_ngrams([[1]], [[[1]], [[1]]], max_order=1)
    with pytest.raises(ValueError, match="orders"):
        matched_ngrams([[1]], [[[1]]], min_order=3, max_order=2)
