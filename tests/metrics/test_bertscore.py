"""BERTScore against bert-score itself, on tiny checkpoints."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics import bertscore
from evalharness.metrics.bertscore import BertScore
from evalharness.metrics.functional import score

pytestmark = pytest.mark.model

ANSWERS = [
    "the cat sat on the mat .",
    "Paris is the capital of France.",
    "a film that nobody knows",
    "naïve café 12345 " * 30,
    "Berlin",
    " spaces around it ",
]
GOLDS = [
    ["a cat sat there", "the cat sat on the mat"],
    ["The capital of France is Paris."],
    ["wonderful actors", "a film"],
    ["numbers 12345"],
    ["the capital of Germany is Berlin", "the capital of France is Paris", "Berlin!"],
    ["spaces around it"],
]
CORPUS = ["the cat sat", "the capital of France", "the film is good", "Berlin is the capital of Germany"]


def theirs(folder, layer, corpus=None):
    oracle = pytest.importorskip("bert_score")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = oracle.BERTScorer(
            model_type=str(folder), num_layers=layer, idf=corpus is not None, idf_sents=corpus, nthreads=0, device="cpu"
        )
        return np.stack([part.numpy() for part in scorer.score(ANSWERS, GOLDS)])


@pytest.mark.parametrize("style", ["bert", "roberta"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_equals_bert_score(networks, style, layer):
    expected = theirs(networks(style), layer)
    for part, row in zip(("precision", "recall", "f1"), expected, strict=True):
        metric = BertScore(checkpoint=str(networks(style)), part=part, layer=layer)
        np.testing.assert_allclose(score(metric, ANSWERS, references=GOLDS).values, row, atol=1e-5)


def test_equals_bert_score_with_idf(networks, tmp_path):
    (tmp_path / "corpus.txt").write_text("\n".join(CORPUS) + "\n\n", encoding="utf-8")
    expected = theirs(networks(), 2, CORPUS)
    plain = theirs(networks(), 2)
    assert np.abs(expected - plain).max() > 1e-3, "the weights matter"
    for part, row in zip(("precision", "recall", "f1"), expected, strict=True):
        metric = BertScore(checkpoint=str(networks()), part=part, idf="corpus.txt")
        np.testing.assert_allclose(score(metric, ANSWERS, references=GOLDS, base=tmp_path).values, row, atol=1e-5)


def test_the_last_layer_is_the_default_and_others_are_others(networks):
    values = [
        score(BertScore(checkpoint=str(networks()), layer=layer), ANSWERS, references=GOLDS).value
        for layer in (None, 2, 1)
    ]
    assert values[0] == values[1] != values[2]
    with pytest.raises(UsageError, match=r"layer 3 of the checkpoint .* which has 2"):
        score(BertScore(checkpoint=str(networks()), layer=3), ANSWERS, references=GOLDS)


def test_a_baseline_stretches_the_range(networks):
    raw, scaled = (
        score(BertScore(checkpoint=str(networks()), baseline=b), ANSWERS, references=GOLDS).values for b in (None, 0.4)
    )
    np.testing.assert_allclose(scaled, (raw - 0.4) / 0.6)
    assert BertScore(checkpoint="x", baseline=0.5).bounds == (-3.0, 1.0)


def test_parts_are_computed_once(networks, monkeypatch):
    texts = [text + " again" for text in ANSWERS]
    count = []
    found = bertscore._states
    monkeypatch.setattr(bertscore, "_states", lambda *args: count.append(1) or found(*args))
    for part in ("f1", "precision", "recall"):
        score(BertScore(checkpoint=str(networks()), part=part), texts, references=GOLDS)
    assert len(count) == 1


def test_blank_and_failed_answers(networks):
    metric = BertScore(checkpoint=str(networks())).for_run(base=networks())
    samples = [Sample(id=str(i), digest="", prompt="", references=("gold",)) for i in range(3)]
    responses = [Response("0", text="  "), Response("1", status="error"), Response("2", text="gold")]
    assert metric.sample_stats(samples, responses)[:, 1] == pytest.approx([0, 0, 1])


def test_the_texts_of_idf_are_part_of_the_signature(networks, tmp_path):
    path = tmp_path / "corpus.txt"
    signatures = set()
    for content in ("one text", "another"):
        path.write_text(content)
        signatures.add(BertScore(checkpoint=str(networks()), idf="corpus.txt").for_run(base=tmp_path).signature)
    signatures.add(BertScore(checkpoint=str(networks())).for_run(base=tmp_path).signature)
    assert len(signatures) == 3
    for signature in signatures:
        assert BertScore(checkpoint="x", idf="y").as_recorded(signature).signature == signature
    path.write_text("\n \n")
    assert ("idf", "idf: the file 'corpus.txt' holds no text; give one text a line") in list(
        BertScore(checkpoint=str(networks()), idf="corpus.txt").faults(tmp_path)
    )
    ((option, message),) = BertScore(checkpoint=str(networks()), idf="none.txt").faults(tmp_path)
    assert (option, "cannot be read" in message) == ("idf", True)


@pytest.mark.parametrize(
    ("options", "says"), [({"layer": -1}, "layer must be 0 or more"), ({"baseline": 1.0}, "baseline must be below 1")]
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        BertScore(checkpoint="x", **options)
