from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from evalharness.core.errors import NotComparableError
from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.diversity import DistinctN, Repetition, SelfBleu
from evalharness.metrics.interval import summarize

TEXT = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "the", "cat"]), min_size=1, max_size=9).map(" ".join)
TEXTS = st.lists(TEXT, min_size=2, max_size=7)


def rows_of(metric, texts):
    samples = [Sample(id=str(i), digest="", prompt="") for i in range(len(texts))]
    return metric.sample_stats(samples, [Response(key=str(i), text=text) for i, text in enumerate(texts)])


def figure(metric, texts):
    return float(metric.finalize_rows(rows_of(metric, texts)))


def ngrams(text, n):
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@pytest.mark.parametrize("n", [1, 2, 3])
@given(texts=TEXTS)
def test_distinct_n(n, texts):
    grams = [gram for text in texts for gram in ngrams(text, n)]
    expected = len(set(grams)) / len(grams) if grams else math.nan
    assert figure(DistinctN(n=n), texts) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("max_order", [2, 4])
@given(texts=TEXTS)
def test_self_bleu_is_nltks(max_order, texts):
    tokens = [text.split() for text in texts]
    weights = tuple([1 / max_order] * max_order)
    expected = [
        sentence_bleu(tokens[:i] + tokens[i + 1 :], answer, weights, SmoothingFunction().method1)
        for i, answer in enumerate(tokens)
    ]
    assert figure(SelfBleu(max_order=max_order), texts) == pytest.approx(np.mean(expected), abs=1e-12)


def test_self_bleu_of_one_answer_is_nothing():
    assert math.isnan(figure(SelfBleu(), ["the cat sat on the mat"]))
    same = ["the cat sat on the mat"] * 3
    assert figure(SelfBleu(), same) == pytest.approx(1.0)
    assert figure(DistinctN(n=1), same) == pytest.approx(5 / 18)


@pytest.mark.parametrize("metric", [DistinctN(), SelfBleu()])
def test_the_interval_leaves_groups_out(metric):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefghijklmnop"), size=12)) for _ in range(100)]
    rows = rows_of(metric, texts)
    found = summarize(metric, rows)
    assert found.method == "jackknife"
    assert found.low < found.value < found.high
    # The groups follow the content: the order of the rows means nothing, also for the interval.
    assert summarize(metric, rows[::-1])[:3] == pytest.approx(found[:3], abs=1e-12)
    clustered = summarize(metric, rows, clusters=[f"c{i // 10}" for i in range(100)])
    assert clustered.method == "cluster-jackknife"
    assert clustered.value == found.value


def test_the_jackknife_of_few_answers_leaves_out_each():
    """distinct-1 by hand: θ_(j) without each answer, and t of 2 degrees of freedom (4.3027)."""
    metric = DistinctN(n=1)
    left_out = np.array([2 / 4, 3 / 4, 2 / 4])
    error = math.sqrt(2 / 3 * ((left_out - left_out.mean()) ** 2).sum())
    low, high = metric.interval_rows(rows_of(metric, ["a b", "b b", "d d"]), confidence=0.95)
    assert high - low == pytest.approx(2 * 4.302652729911275 * error)
    assert (low + high) / 2 == pytest.approx(0.5)


@pytest.mark.parametrize("make", [DistinctN, SelfBleu])
def test_leaving_out_is_what_it_says(make):
    """Against the figures of the rows without each: fewer answers than groups, so each is left out in turn."""
    rng = np.random.default_rng(1)
    metric = make()
    rows = rows_of(metric, [" ".join(rng.choice(list("abcde"), size=rng.integers(1, 9))) for _ in range(15)])
    left_out = [float(metric.finalize_rows(np.delete(rows, i, axis=0))) for i in range(15)]
    error = math.sqrt(14 / 15 * ((left_out - np.mean(left_out)) ** 2).sum())
    low, high = metric.interval_rows(rows, confidence=0.95)
    assert (low + high) / 2 == pytest.approx(float(metric.finalize_rows(rows)))
    assert high - low == pytest.approx(2 * 2.1447866879169273 * error)  # t of 14 degrees of freedom
    clusters = np.arange(15) // 3
    left_out = [float(metric.finalize_rows(rows[clusters != c])) for c in range(5)]
    error = math.sqrt(4 / 5 * ((left_out - np.mean(left_out)) ** 2).sum())
    low, high = metric.interval_rows(rows, confidence=0.95, codes=clusters)
    assert high - low == pytest.approx(2 * 2.7764451051977987 * error)


@pytest.mark.parametrize("make", [DistinctN, SelfBleu])
def test_the_interval_covers_the_expected_figure(make):
    """Of 150 samples of 60 answers, at least 90 % of the 95 % intervals hold the mean of all their figures."""
    rng = np.random.default_rng(2)
    words = np.array([f"w{i}" for i in range(300)])
    shares = 1 / np.arange(1, 301)
    found = []
    for _ in range(150):
        metric = make()
        texts = [" ".join(rng.choice(words, size=15, p=shares / shares.sum())) for _ in range(60)]
        found.append(summarize(metric, rows_of(metric, texts)))
    expected = np.mean([one.value for one in found])
    assert np.mean([one.low <= expected <= one.high for one in found]) >= 0.9


def test_distinct_n_of_answers_that_never_vary_has_no_zero_interval():
    metric = DistinctN(n=1)
    found = summarize(metric, rows_of(metric, [f"w{i} x{i}" for i in range(30)]))
    assert found.value == 1.0
    assert found.method == "no-variation"
    assert found.low < 0.9


def test_rows_of_a_record_need_the_answers():
    rows = rows_of(DistinctN(), ["a b c", "c d e"])
    with pytest.raises(NotComparableError, match="needs the answers themselves"):
        DistinctN().finalize_rows(rows)


def test_repeats_of_a_sample_are_answers_of_their_own():
    metric = DistinctN(n=1)
    rows = rows_of(metric, ["a b", "a c", "d e"])
    merged = metric.merge_repeats(rows, np.array([0, 0, 1]))
    assert merged[:, 0].tolist() == [1.0, 1.0]
    assert float(metric.finalize_rows(merged)) == pytest.approx(5 / 6)


@pytest.mark.parametrize("n", [1, 2, 4])
@given(texts=TEXTS)
def test_repetition(n, texts):
    metric = Repetition(n=n)
    shares = [1 - len(set(g)) / len(g) for g in (ngrams(text, n) for text in texts) if g]
    found = float(metric.finalize(rows_of(metric, texts).sum(axis=0)))
    assert found == pytest.approx(np.mean(shares) if shares else math.nan, nan_ok=True)


def test_a_loop_repeats_and_short_answers_are_not_measured():
    rows = rows_of(Repetition(), ["I do not know . " * 30, "one two three", ""])
    assert rows[:, 0].tolist() == [1.0, 0.0, 0.0]
    assert rows[0, 1] > 0.95
    assert rows_of(Repetition(n=2), ["哈哈哈哈"])[0].tolist() == [1.0, pytest.approx(2 / 3)]


@pytest.mark.parametrize("make", [lambda: Repetition(n=0), lambda: DistinctN(n=10), lambda: SelfBleu(max_order=0)])
def test_refuses_options(make):
    with pytest.raises(MetricOptionError, match="1 to 9"):
        make()
