"""KL over the likeliest tokens and the rest, against scipy's over the whole vocabulary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr

from evalharness.stats.divergence import divergence


def tops(logs, k):
    ids = np.argsort(-logs, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(logs, ids, axis=1)


def found(p, q, k, ids):
    at = np.arange(len(ids))
    return divergence(ids, p[at, ids], q[at, ids], *tops(p, k), *tops(q, k))


def drawn(seed, n=7, vocabulary=13, near=0.3):
    random = np.random.default_rng(seed)
    base = random.normal(size=(n, vocabulary)) * 2
    other = base + near * random.normal(size=base.shape)
    return log_softmax(base, axis=1), log_softmax(other, axis=1), random.integers(0, vocabulary, n)


@pytest.mark.parametrize("seed", range(5))
def test_whole_vocabulary_is_the_divergence(seed):
    p, q, ids = drawn(seed)
    wanted = rel_entr(np.exp(p), np.exp(q)).sum(axis=1)
    got = found(p, q, p.shape[1], ids)
    assert got.nats == pytest.approx(wanted, abs=1e-6)
    assert got.shared == pytest.approx(np.ones(len(ids)))
    assert got.same_top.tolist() == (p.argmax(axis=1) == q.argmax(axis=1)).astype(float).tolist()


@given(seed=st.integers(0, 500), k=st.integers(1, 13))
def test_never_more_than_over_the_whole_vocabulary(seed, k):
    p, q, ids = drawn(seed, near=1.0)
    wanted = rel_entr(np.exp(p), np.exp(q)).sum(axis=1)
    got = found(p, q, k, ids)
    assert (got.nats <= wanted + 1e-6).all()
    assert (got.nats >= 0).all()


def test_by_hand():
    # Two likeliest of four tokens; token 0 is in both lists, token 3 stands there; the rest is 0.3 against 0.2.
    p, q = np.log([[0.6, 0.25, 0.05, 0.1]]), np.log([[0.5, 0.1, 0.1, 0.3]])
    got = divergence(np.array([3]), p[:, 3], q[:, 3], *tops(p, 2), *tops(q, 2))
    wanted = 0.6 * np.log(0.6 / 0.5) + 0.1 * np.log(0.1 / 0.3) + 0.3 * np.log(0.3 / 0.2)
    assert got.nats == pytest.approx([wanted])
    assert got.shared == pytest.approx([0.7])
    assert got.same_top == [1.0]


def test_equal_models_and_no_places():
    p, _, ids = drawn(3)
    assert found(p, p, 4, ids).nats == pytest.approx(np.zeros(len(ids)), abs=1e-12)
    empty = np.zeros((0, 3))
    got = divergence(np.zeros(0, int), np.zeros(0), np.zeros(0), empty.astype(int), empty, empty.astype(int), empty)
    assert got.nats.shape == (0,)


def test_chunks_change_nothing(monkeypatch):
    p, q, ids = drawn(1, n=40)
    whole = found(p, q, 5, ids)
    monkeypatch.setattr("evalharness.stats.divergence._CHUNK_CELLS", 60)
    parts = found(p, q, 5, ids)
    assert parts.nats.tolist() == whole.nats.tolist()
    assert parts.shared.tolist() == whole.shared.tolist()
