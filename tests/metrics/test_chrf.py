from __future__ import annotations

import re

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.chrf import Chrf, ChrfPlusPlus
from evalharness.metrics.interval import sample_values

WORDS = ["the", "cat", "a", ".", "(hi)", "naïve", "北京", "don't", "x\ty", "👍🏽", "é", "end."]
TEXT = st.one_of(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), st.text(max_size=15), st.just(" "))
CORPUS = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=n, max_size=n)), min_size=1, max_size=5)
)
OPTIONS = [
    {},
    {"word_order": 2},
    {"word_order": 1, "lowercase": True},
    {"beta": 1},
    {"beta": 3, "char_order": 3},
    {"whitespace": True},
    {"eps_smoothing": True, "word_order": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_sacrebleu(options, make_pairs, figure):
    theirs, metric = sacrebleu.CHRF(**options), Chrf(**options)

    @given(CORPUS)
    def check(corpus):
        answers, references = [a for a, _ in corpus], [r for _, r in corpus]
        streams = [list(stream) for stream in zip(*references, strict=True)]
        pairs = make_pairs(answers, references)
        assert figure(metric, *pairs) == pytest.approx(theirs.corpus_score(answers, streams).score, abs=1e-8)
        per_sample = sample_values(metric, metric.sample_stats(*pairs))
        assert per_sample == pytest.approx([theirs.sentence_score(a, r).score for a, r in corpus], abs=1e-8)

    check()


def test_signature_is_sacrebleus():
    theirs = sacrebleu.CHRF(word_order=2)
    theirs.corpus_score(["a b"], [["a b"]])
    expected = re.sub("nrefs:1", "nrefs:var", str(theirs.get_signature()))
    assert Chrf(word_order=2).signature == f"chrF2++|{expected}"


@pytest.mark.parametrize("options", [{"char_order": 0}, {"word_order": -1}, {"beta": 0}])
def test_refuses_options(options):
    with pytest.raises(MetricOptionError, match=next(iter(options))):
        Chrf(**options)


def test_chrf_plus_plus_has_a_name_of_its_own(make_pairs, figure):
    from evalharness.metrics.functional import score

    answers, references = ["the cat sat", "北京 city"], ["a cat sat there", "北京 is a city"]
    expected = sacrebleu.corpus_chrf(answers, [references], word_order=2).score
    assert score("chrf++", answers, references=[[r] for r in references]).value == pytest.approx(expected, abs=1e-8)
    assert expected != pytest.approx(sacrebleu.corpus_chrf(answers, [references]).score, abs=0.1)
    assert ChrfPlusPlus().signature == Chrf(word_order=2).signature


def test_white_space_at_the_ends_counts_with_whitespace():
    sample = Sample(id="0", digest="", prompt="", references=("\na cat",))
    for text in ("\na cat", "a cat"):
        response = Response(key="0", text=text, answer="a cat")
        metric = Chrf(whitespace=True)
        ours = float(metric.finalize(metric.sample_stats([sample], [response]).sum(axis=0)))
        assert ours == pytest.approx(
            sacrebleu.CHRF(whitespace=True).corpus_score([text], [["\na cat"]]).score, abs=1e-8
        )
