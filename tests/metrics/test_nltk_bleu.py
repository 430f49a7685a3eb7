from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.functional import nltk_bleu
from evalharness.metrics.nltk_bleu import NltkBleu

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "nltk_3.10.4_doctests.json"
TOKENS = st.lists(st.sampled_from(["the", "cat", "a", "mat", ".", "北京", "é"]), max_size=12)
SENTENCE = st.tuples(TOKENS, st.lists(TOKENS, min_size=1, max_size=3))
CORPUS = st.lists(SENTENCE, min_size=1, max_size=5)
METHODS = ["none", *(f"method{i}" for i in range(1, 8))]


def theirs(references, hypotheses, smooth, **options):
    from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu

    function = getattr(SmoothingFunction(), "method0" if smooth == "none" else smooth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # method0 warns of what we document
        try:
            return float(corpus_bleu(references, hypotheses, smoothing_function=function, **options))
        except AssertionError:  # method6 without a matching trigram
            return math.nan


@pytest.mark.parametrize("smooth", METHODS)
@given(sentence=SENTENCE)
def test_sentences_equal_nltk(smooth, sentence):
    hypothesis, references = sentence
    expected = theirs([references], [hypothesis], smooth)
    assert nltk_bleu([references], [hypothesis], smooth=smooth) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("smooth", METHODS[:5])
@given(corpus=CORPUS)
def test_corpora_equal_nltk(smooth, corpus):
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    expected = theirs(references, hypotheses, smooth)
    assert nltk_bleu(references, hypotheses, smooth=smooth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", [(1.0,), (0.5, 0.5), (0.1, 0.3, 0.5, 0.1), (1 / 6,) * 6])
@given(corpus=CORPUS)
def test_weights_equal_nltk(weights, corpus):
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    expected = theirs(references, hypotheses, "method1", weights=weights)
    assert nltk_bleu(references, hypotheses, smooth="method1", weights=weights) == pytest.approx(expected, abs=1e-12)


@given(sentence=SENTENCE)
def test_auto_reweigh_equals_nltk(sentence):
    hypothesis, references = sentence
    if not hypothesis:
        return
    expected = theirs([references], [hypothesis], "method1", auto_reweigh=True)
    found = nltk_bleu([references], [hypothesis], smooth="method1", auto_reweigh=True)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_documented_examples():
    """The doctests of nltk 3.10.4 that call sentence_bleu or corpus_bleu, run with ours in their place."""
    table = json.loads(VECTORS.read_text())
    checked = 0
    for name in ("sentence_bleu", "corpus_bleu", "SmoothingFunction.__init__"):
        scope = {
            "SmoothingFunction": type("Names", (), {f"method{i}": f"method{i}" for i in range(8)}),
            "sentence_bleu": lambda refs, hyp, weights=None, smoothing_function=None: _call(
                [refs], [hyp], weights, smoothing_function
            ),
            "corpus_bleu": lambda refs, hyps, weights=None: _call(refs, hyps, weights, None),
        }
        for example in table[f"nltk.translate.bleu_score.{name}"]:
            source, want = example["source"].partition("#")[0].strip(), example["want"].strip()
            if not want:
                exec(source, scope)
                continue
            found = eval(
                source.removeprefix("print(").removesuffix(")") if source.startswith("print(") else source, scope
            )
            wanted = json.loads(want.replace("...", ""))
            digits = [len(w.partition(".")[2]) for w in want.replace("...", "").strip("[]").split(",")]
            for f, w, d in zip(_listed(found), _listed(wanted), digits, strict=True):
                assert math.floor(f * 10**d + 1e-9) / 10**d == pytest.approx(w, abs=1e-9), source
                checked += 1
    assert checked >= 20


def _listed(value):
    return value if isinstance(value, list) else [value]


def _call(references, hypotheses, weights, smoothing):
    smooth = "none" if smoothing in (None, "method0") else smoothing
    if isinstance(weights, list):
        return [nltk_bleu(references, hypotheses, weights=w, smooth=smooth) for w in weights]
    return nltk_bleu(references, hypotheses, weights=weights or (0.25,) * 4, smooth=smooth)


def test_metric_splits_at_white_space(make_pairs, figure):
    samples, responses = make_pairs(["the  cat sat\ton it ."], [["the cat sat on it ."]])
    assert figure(NltkBleu(), samples, responses) == pytest.approx(1.0)
    assert figure(
        NltkBleu(words="unicode"), *make_pairs(["The cat sat on it!"], [["the cat sat on it"]])
    ) == pytest.approx(1.0)


def test_the_tutorials_mistakes_are_refused():
    with pytest.raises(TypeError, match=r"references\[0\] must be a list of token lists"):
        nltk_bleu([["the cat"]], [["the", "cat"]])
    with pytest.raises(TypeError, match=r"hypotheses\[0\] is a text"):
        nltk_bleu([[["the", "cat"]]], ["the cat"])
    with pytest.raises(TypeError, match="not one text"):
        nltk_bleu("the cat", "the cat")
    with pytest.raises(ValueError, match="2 hypotheses but references for 1"):
        nltk_bleu([[["a"]]], [["a"], ["b"]])
    with pytest.raises(ValueError, match="at least one reference"):
        nltk_bleu([[]], [["a"]])


def test_refuses_options():
    with pytest.raises(MetricOptionError, match="weights"):
        NltkBleu(weights=())
    with pytest.raises(MetricOptionError, match="weights"):
        NltkBleu(weights=(-1.0, 2.0))
    with pytest.raises(MetricOptionError, match="method6"):
        NltkBleu(smooth="method6", weights=(0.5, 0.5))
