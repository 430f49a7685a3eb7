from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.core.types import LogLikelihood, Message, Response, Sample
from evalharness.metrics.interval import sample_values, summarize
from evalharness.metrics.likelihood import BitsPerByte, BytePerplexity, TokenPerplexity, WordPerplexity

TEXTS = ["It was a dark night.", "naïve 北京", "one two three four five"]
LOGS = [-20.5, -13.25, -9.0]
SAMPLES = [Sample(id=str(i), digest="", prompt=text) for i, text in enumerate(TEXTS)]
RESPONSES = [Response(key=str(i), loglikelihoods=(LogLikelihood(ll, 5),)) for i, ll in enumerate(LOGS)]


def test_formulas(figure):
    n_words = 5 + 2 + 5
    n_bytes = sum(len(t.encode()) for t in TEXTS)
    assert figure(WordPerplexity(), SAMPLES, RESPONSES) == pytest.approx(math.exp(42.75 / n_words), rel=1e-14)
    assert figure(BytePerplexity(), SAMPLES, RESPONSES) == pytest.approx(math.exp(42.75 / n_bytes), rel=1e-14)
    bits = figure(BitsPerByte(), SAMPLES, RESPONSES)
    assert bits == pytest.approx(42.75 / (n_bytes * math.log(2)), rel=1e-14)
    assert 2**bits == pytest.approx(figure(BytePerplexity(), SAMPLES, RESPONSES), rel=1e-12)


def test_equals_lm_eval(figure):
    """lm_eval 0.4.13, lm_eval/api/metrics.py: weighted_perplexity = exp(-sum(ll)/sum(weights)); words of the wikitext
    task are len(re.split(r"\\s+", text)), bytes len(text.encode("utf-8")); bits_per_byte = -sum/sum(weights)/log(2)."""
    import re

    words = [len(re.split(r"\s+", t)) for t in TEXTS]
    assert figure(WordPerplexity(), SAMPLES, RESPONSES) == pytest.approx(math.exp(-sum(LOGS) / sum(words)), rel=1e-14)


def test_it_is_not_the_mean_of_the_texts(figure):
    own = sample_values(WordPerplexity(), WordPerplexity().sample_stats(SAMPLES, RESPONSES))
    assert own == pytest.approx([math.exp(20.5 / 5), math.exp(13.25 / 2), math.exp(9 / 5)])
    assert abs(figure(WordPerplexity(), SAMPLES, RESPONSES) - own.mean()) > 100


def test_windows_add_up(figure):
    one = Response(key="0", loglikelihoods=(LogLikelihood(-12.0, 3), LogLikelihood(-8.5, 2)))
    assert figure(WordPerplexity(), SAMPLES[:1], [one]) == figure(WordPerplexity(), SAMPLES[:1], RESPONSES[:1])


def test_chat_turns_are_read_together(figure):
    chat = Sample(id="0", digest="", prompt=(Message("user", "one two"), Message("assistant", " three")))
    metric = WordPerplexity()
    assert metric.sample_stats([chat], RESPONSES[:1]).tolist() == [[1.0, -20.5, 3.0]]


def test_empty_text_measures_nothing(figure):
    empty = Sample(id="0", digest="", prompt="")
    assert math.isnan(figure(BytePerplexity(), [empty], [Response(key="0", loglikelihoods=(LogLikelihood(0.0, 0),))]))


def test_impossible_text_is_infinite_and_has_no_interval():
    responses = [Response(key="0", loglikelihoods=(LogLikelihood(-math.inf, 5),)), *RESPONSES[1:]]
    found = summarize(WordPerplexity(), WordPerplexity().sample_stats(SAMPLES, responses))
    assert found.value == math.inf
    assert math.isnan(found.low)
    assert found.method == "none"
    huge = [Response(key="0", loglikelihoods=(LogLikelihood(-1e6, 5),))]
    assert WordPerplexity().finalize(WordPerplexity().sample_stats(SAMPLES[:1], huge)).tolist() == [np.inf]


def test_token_perplexity(figure):
    assert figure(TokenPerplexity(), SAMPLES, RESPONSES) == pytest.approx(math.exp(42.75 / 15), rel=1e-14)
    windows = Response(key="0", loglikelihoods=(LogLikelihood(-12.0, 3), LogLikelihood(-8.5, 2)))
    assert figure(TokenPerplexity(), SAMPLES[:1], [windows]) == pytest.approx(math.exp(20.5 / 5), rel=1e-14)
    unknown = Response(key="0", loglikelihoods=(LogLikelihood(-12.0, 0),))
    assert not TokenPerplexity().sample_stats(SAMPLES[:1], [unknown]).any()
