from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.gleu_score import corpus_gleu, sentence_gleu

from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.gleu import Gleu
from evalharness.metrics.interval import sample_values

TEXT = st.lists(st.sampled_from(["a", "b", "c", "the", "cat", "北京", "."]), max_size=9).map(" ".join)
CORPUS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=5)


@pytest.mark.parametrize("orders", [(1, 4), (2, 3), (1, 1), (1, 6)])
def test_equals_nltk(orders, make_pairs, figure):
    metric = Gleu(min_order=orders[0], max_order=orders[1])

    @given(CORPUS)
    def check(corpus):
        answers = [a.split() for a, _ in corpus]
        references = [[r.split() for r in refs] for _, refs in corpus]
        pairs = make_pairs([a for a, _ in corpus], [r for _, r in corpus])
        assert figure(metric, *pairs) == pytest.approx(corpus_gleu(references, answers, *orders), abs=1e-12)
        expected = [sentence_gleu(r, a, *orders) for a, r in zip(answers, references, strict=True)]
        assert sample_values(metric, metric.sample_stats(*pairs)) == pytest.approx(expected, abs=1e-12)

    check()


def test_nltks_example(make_pairs, figure):
    """nltk 3.10.4, the docstring of sentence_gleu."""
    pairs = make_pairs(["the the the the the the the"], [["the cat is on the mat"]])
    assert figure(Gleu(), *pairs) == pytest.approx(0.0909, abs=1e-4)


def test_words(make_pairs, figure):
    pairs = make_pairs(["北京。"], [["北京！"]])
    assert figure(Gleu(), *pairs) == 0.0
    assert figure(Gleu(words="unicode"), *pairs) == 1.0
    pairs = make_pairs(["The end."], [["The end ."]])
    assert figure(Gleu(), *pairs) < figure(Gleu(words="13a"), *pairs) == 1.0


@pytest.mark.parametrize("orders", [(0, 4), (3, 2), (1, 10)])
def test_refuses_orders(orders):
    with pytest.raises(MetricOptionError, match="orders"):
        Gleu(min_order=orders[0], max_order=orders[1])
