"""Groundedness and context figures: the arithmetic on scripted verdicts, the verdicts against transformers."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.types import Response, Sample
from evalharness.metrics import rag
from evalharness.metrics.functional import score
from evalharness.metrics.rag import ContextPrecision, ContextRecall, Groundedness

pytestmark = pytest.mark.model

LABELS = ("contradiction", "neutral", "entailment")


@pytest.fixture
def folder(networks):
    return networks(labels=LABELS)


@pytest.fixture
def says(monkeypatch):
    """A classifier that finds a sentence entailed by the passages that hold its text."""

    def probabilities(network, passages, label, *, seconds):
        assert label == 2
        return np.array([0.7 if s.rstrip(".") in p else 0.1 for p, s in zip(passages, seconds, strict=True)])

    monkeypatch.setattr(rag, "label_probabilities", probabilities)


def rows(context):
    return [{"context": context}]


@pytest.mark.parametrize(
    ("answer", "context", "expected"),
    [
        ("It rains. It snows.", ["Today It rains a lot", "other"], 1 / 2),
        ("It rains. It snows.", ["It rains", "It snows"], 1),
        ("It rains. It rains. It snows.", ["It rains"], 1 / 2),
        ("It rains", "It rains", 1),
        ("It rains", [], 0),
        ("…!", ["…!"], 0),
        ("", ["It rains"], 0),
    ],
)
def test_groundedness(folder, says, answer, context, expected):
    assert score(Groundedness(checkpoint=str(folder)), [answer], rows=rows(context)).value == expected


def test_mean_probability(folder, says):
    metric = Groundedness(checkpoint=str(folder), measure="mean")
    assert score(metric, ["It rains. It snows."], rows=rows(["It rains"])).value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("context", "recall", "precision"),
    [
        (["It rains", "noise", "It snows"], 1, (1 + 2 / 3) / 2),
        (["noise", "It rains"], 1 / 2, 1 / 2),
        (["noise"], 0, 0),
        ([], 0, 0),
        (["It rains. It snows"], 1, 1),
    ],
)
def test_context(folder, says, context, recall, precision):
    for cls, expected in ((ContextRecall, recall), (ContextPrecision, precision)):
        metric = cls(checkpoint=str(folder))
        found = score(metric, ["whatever"], references=[["It rains.", "It snows."]], rows=rows(context))
        assert found.value == pytest.approx(expected), cls


def test_failures_are_worth_nothing_and_no_reference_is_not_measured(folder, says):
    sample = Sample(id="s", digest="", prompt="", references=("It rains.",), fields={"context": ["It rains."]})
    failed = Response("s", status="error")
    for cls in (Groundedness, ContextRecall, ContextPrecision):
        metric = cls(checkpoint=str(folder)).for_run(base=folder)
        assert metric.sample_stats([sample], [failed]).tolist() == [[1, 0]]
    assert np.isnan(
        score(ContextRecall(checkpoint=str(folder)), ["x"], references=[["…"]], rows=rows(["It rains"])).value
    )


def test_probabilities_are_those_of_transformers(folder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    premises, sentences = ["the cat sat on the mat", "Paris is in France"], ["a cat sat there.", "Berlin is big."]
    with torch.inference_mode():
        expected = [
            model(**tokenizer(p, s, return_tensors="pt")).logits.softmax(dim=1)[0, 2].item()
            for p, s in zip(premises, sentences, strict=True)
        ]
    metric = Groundedness(checkpoint=str(folder), measure="mean", context="prompt")
    found = score(metric, sentences, prompts=premises)
    assert abs(expected[0] - expected[1]) > 1e-3, "a random classifier tells pairs apart"
    assert found.values == pytest.approx(expected, abs=1e-5)


def test_a_long_passage_is_read_in_windows_and_a_long_sentence_leaves_room(folder):
    long = " ".join(f"word{i}" for i in range(200))
    metric = Groundedness(checkpoint=str(folder), measure="mean", context="prompt")
    windows = score(metric, ["a cat sat there"], prompts=[long]).value
    first = score(metric, ["a cat sat there"], prompts=[long[:40]]).value
    assert 0 <= windows <= 1
    assert windows != pytest.approx(first, abs=1e-6)
    assert 0 <= score(metric, [long], prompts=["a cat"]).value <= 1


@pytest.mark.parametrize(
    ("options", "says"),
    [({"threshold": 1.0}, "threshold must be from 0 to below 1"), ({"context": "here"}, "context: 'here' is no place")],
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        Groundedness(checkpoint="x", **options)
