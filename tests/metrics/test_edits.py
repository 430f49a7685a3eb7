from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from evalharness.core.types import Response, Sample
from evalharness.metrics.edits import Cer, EditSimilarity, Wer

WORDS = ["the", "Cat", "sat", "on", "mat.", "naïve", "北京", "don't", "👍🏽"]
SPOKEN = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
CORPUS = st.lists(st.tuples(SPOKEN, SPOKEN), min_size=1, max_size=5)


@pytest.mark.parametrize(("cls", "theirs"), [(Wer, jiwer.wer), (Cer, jiwer.cer)])
@given(corpus=CORPUS)
def test_corpus_rates_equal_jiwer(cls, theirs, corpus, make_pairs, figure):
    answers, references = [a for a, _ in corpus], [r for _, r in corpus]
    found = figure(cls(), *make_pairs(answers, [[r] for r in references]))
    assert found == pytest.approx(theirs(references, answers), abs=1e-12)


@pytest.mark.parametrize(("cls", "theirs"), [(Wer, jiwer.wer), (Cer, jiwer.cer)])
@pytest.mark.parametrize(("answer", "gold"), [("", "a b c"), ("a b", ""), ("", "")])
def test_empty_texts_equal_jiwer(cls, theirs, answer, gold, make_pairs, figure):
    assert figure(cls(), *make_pairs([answer], [[gold]])) == theirs(gold, answer)


def test_long_references_count_more(make_pairs, figure):
    """1 of 2 words wrong and 0 of 8: the corpus has 0.1, the mean of the rates would be 0.25."""
    pairs = make_pairs(["a x", "a b c d e f g h"], [["a b"], ["a b c d e f g h"]])
    assert figure(Wer(), *pairs) == pytest.approx(0.1)


def test_the_reference_with_the_lowest_rate_counts(make_pairs):
    # 1 edit of 2 words against 2 edits of 8: the second has the lower rate.
    rows = Wer().sample_stats(*make_pairs(["a b c d e f x y"], [["a b c d e f", "a b c d e f g h"]]))
    assert rows.tolist() == [[1.0, 2.0, 8.0]]
    # Equally good ones: the first.
    rows = Wer().sample_stats(*make_pairs(["a"], [["b"], ["c d"]][:1]))
    assert rows.tolist() == [[1.0, 1.0, 1.0]]


def test_options(make_pairs, figure):
    pairs = make_pairs(["The cat, sat\n"], [["the CAT sat"]])
    assert figure(Wer(), *pairs) == pytest.approx(2 / 3)
    assert figure(Wer(lowercase=True), *pairs) == pytest.approx(1 / 3)
    assert figure(Wer(words="unicode"), *pairs) == 0.0
    pairs = make_pairs(["北京 市"], [["北京市"]])
    assert figure(Cer(), *pairs) == pytest.approx(1 / 3)
    assert figure(Cer(whitespace=False), *pairs) == 0.0
    assert figure(Wer(words="unicode"), *pairs) == 0.0


@pytest.mark.parametrize("cls", [Wer, Cer])
def test_a_failed_call_lacks_everything(cls, figure):
    failed = Response(key="x", text="", status="error")
    sample = Sample(id="x", digest="", prompt="", references=("abc",))
    assert figure(cls(), [sample], [failed]) == 1.0
    empty = Sample(id="x", digest="", prompt="", references=("",))
    assert figure(cls(), [empty], [failed]) == 1.0
    assert figure(cls(), [empty], [Response(key="x", text="")]) == 0.0


@given(answer=st.text(max_size=12), golds=st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_similarity_equals_rapidfuzz(answer, golds, make_pairs, figure):
    expected = max(Levenshtein.normalized_similarity(answer, gold) for gold in golds)
    found = figure(EditSimilarity(strip=False), *make_pairs([answer], [golds]))
    assert found == pytest.approx(expected, abs=1e-12)


def test_similarity_options(make_pairs, figure):
    pairs = make_pairs([" Kitten "], [["sitting"]])
    assert figure(EditSimilarity(), *pairs) == pytest.approx(4 / 7)
    assert figure(EditSimilarity(strip=False), *pairs) == pytest.approx(1 - 4 / 8)
    assert figure(EditSimilarity(lowercase=True), *make_pairs(["ABC"], [["abd"]])) == pytest.approx(2 / 3)
    assert figure(EditSimilarity(unit="words"), *make_pairs(["a b  c d"], [["a x c d"]])) == 0.75
    assert figure(EditSimilarity(), *make_pairs([""], [[""]])) == 1.0


def test_white_space_at_the_ends_counts_on_request():
    sample = Sample(id="0", digest="", prompt="", references=("ab  ",))
    response = Response(key="0", text="ab  ", answer="ab")
    assert EditSimilarity(strip=False).values([sample], [response]) == [1.0]
    assert EditSimilarity().values([sample], [Response(key="0", text="ab")]) == [1.0]
    assert EditSimilarity(strip=False).values([sample], [Response(key="0", text="ab")]) == [0.5]
