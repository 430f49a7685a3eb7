from __future__ import annotations

import re

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.types import Response, Sample
from evalharness.metrics.interval import sample_values
from evalharness.metrics.ter import Ter

WORDS = ["the", "Cat", "sat", "on", "a", "mat.", "dog-house,", "don't", "3.5", "北京的", "“quote”", "&amp;", "?", ""]
TEXT = st.one_of(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), st.text(max_size=12))
CORPUS = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=n, max_size=n)), min_size=1, max_size=5)
)
OPTIONS = [
    {},
    {"normalized": True},
    {"no_punct": True},
    {"normalized": True, "asian_support": True},
    {"normalized": True, "no_punct": True, "asian_support": True},
    {"case_sensitive": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_sacrebleu(options, make_pairs, figure):
    theirs, metric = sacrebleu.TER(**options), Ter(**options)

    @given(CORPUS)
    def check(corpus):
        answers, references = [a for a, _ in corpus], [r for _, r in corpus]
        streams = [list(stream) for stream in zip(*references, strict=True)]
        pairs = make_pairs(answers, references)
        assert figure(metric, *pairs) == pytest.approx(theirs.corpus_score(answers, streams).score, abs=1e-9)
        per_sample = sample_values(metric, metric.sample_stats(*pairs))
        assert per_sample == pytest.approx([theirs.sentence_score(a, r).score for a, r in corpus], abs=1e-9)

    check()


def test_signature_is_sacrebleus():
    theirs = sacrebleu.TER(normalized=True, case_sensitive=True)
    theirs.corpus_score(["a b"], [["a b"]])
    expected = re.sub("nrefs:1", "nrefs:var", str(theirs.get_signature()))
    assert Ter(normalized=True, case_sensitive=True).signature == f"ter|{expected}"


def test_a_moved_block_is_one_edit(make_pairs, figure):
    assert figure(Ter(), *make_pairs(["c d a b"], [["a b c d"]])) == 25.0


def test_a_failed_call_lacks_all_words(figure):
    sample = Sample(id="x", digest="", prompt="", references=("a b c d", ""))
    failed = Response(key="x", text="", status="error")
    assert Ter().sample_stats([sample], [failed]).tolist() == [[1.0, 4.0, 2.0]]
    sample = Sample(id="x", digest="", prompt="", references=("",))
    assert figure(Ter(), [sample], [failed]) == 100.0
    assert figure(Ter(), [sample], [Response(key="x", text="")]) == 0.0
