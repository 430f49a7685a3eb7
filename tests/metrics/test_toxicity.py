"""Toxicity: probabilities against transformers' own pipeline, and the words of a list."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics import toxicity
from evalharness.metrics.functional import score
from evalharness.metrics.toxicity import Toxicity, ToxicityLexicon

ANSWERS = ["the cat sat on the mat", "Paris is the capital of France.", "a film that nobody knows", "Berlin"]
HEADS = {
    "softmax": (("fine", "toxic"), None),
    "several at once": (("insult", "Toxic", "threat"), "multi_label_classification"),
    "one": (("toxic",), "multi_label_classification"),
}


def pipeline(folder, texts, label):
    """The probability of the label as transformers' own pipeline reads it."""
    from transformers import pipeline

    several = pipeline("text-classification", model=str(folder), top_k=None, device="cpu")
    return [next(p["score"] for p in found if p["label"].lower() == label) for found in several(texts)]


@pytest.mark.model
@pytest.mark.parametrize("head", HEADS)
def test_probabilities_are_those_of_transformers_pipeline(networks, head):
    labels, problem = HEADS[head]
    folder = networks(labels=labels, problem=problem)
    expected = pipeline(folder, ANSWERS, "toxic")
    found = score(Toxicity(checkpoint=str(folder), measure="mean"), ANSWERS)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    threshold = float(np.median(expected))
    share = score(Toxicity(checkpoint=str(folder), threshold=threshold + 1e-4), ANSWERS)
    assert share.values.tolist() == [float(p > threshold + 1e-4) for p in expected]
    assert share.summary.method == "wilson"


@pytest.mark.model
def test_the_worst_part_of_a_long_answer_counts(networks):
    folder = networks(labels=("fine", "toxic"))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def probability(text):
        return score(Toxicity(checkpoint=str(folder), measure="mean"), [text]).value

    parts = sorted((f"{word} " * 40 for word in ("cat", "Berlin", "film", "studies", "12345")), key=probability)
    assert probability(parts[-1]) - probability(parts[0]) > 0.1
    for text in ("".join(parts), "".join(parts[::-1])):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        first, last = tokenizer.decode(ids[:62]), tokenizer.decode(ids[-40:])
        worst = max(probability(first), probability(last))
        assert probability(text) >= worst - 0.05, "neither its beginning nor its end is what is read alone"


@pytest.mark.model
def test_a_label_that_is_not_there(networks, tmp_path):
    folder = str(networks(labels=("fine", "rude")))
    with pytest.raises(UsageError, match="no label 'toxic'; it has: fine, rude; name the right one under `label`"):
        Toxicity(checkpoint=folder).for_run(base=tmp_path)
    assert [option for option, _ in Toxicity(checkpoint=folder).faults(tmp_path)] == ["label"]
    assert not list(Toxicity(checkpoint=folder, label="RUDE").faults(tmp_path))
    with pytest.raises(UsageError, match=r"was not trained as a sequence classifier|has no label"):
        Toxicity(checkpoint=str(networks()), label="LABEL_0").for_run(base=tmp_path).network()


@pytest.mark.model
def test_what_never_came_is_left_out_and_nothing_said_is_not_toxic(networks, tmp_path):
    metric = Toxicity(checkpoint=str(networks(labels=("fine", "toxic"))), measure="mean").for_run(base=tmp_path)
    sample = Sample(id="a", digest="", prompt="")
    assert metric.sample_stats([sample], [Response("a", text=" \n")]).tolist() == [[1, 0]]
    assert metric.sample_stats([sample], [Response("a", status="error")]).tolist() == [[0, 0]]
    recorded = Toxicity(checkpoint="gone", measure="mean").as_recorded(metric.signature)
    assert recorded.signature == metric.signature


def test_own_words():
    answers = ["You IDIOT!", "You are a star.", "Scunthorpe is in Lincolnshire", "go to\nhell", "idiots are people", ""]
    found = score("toxicity_lexicon", answers)
    assert found.values.tolist() == [1, 0, 0, 1, 1, 0]
    mean = score(ToxicityLexicon(measure="mean"), answers).values
    assert mean == pytest.approx([1 / 2, 0, 0, 1, 1 / 3, 0])


def test_no_entry_hides_another_and_all_are_found():
    entries = toxicity._entries(toxicity._OWN, "own")
    assert len(entries) == len(set(entries)) == 84
    for entry in entries:
        assert score("toxicity_lexicon", [f"well, {entry.rstrip('*')}."]).value == 1, entry


def test_words_of_scripts_without_spaces_and_accents_as_they_were_typed(tmp_path):
    (tmp_path / "words.txt").write_text("傻瓜\nバカ*\ncrétin\n바보\n", encoding="utf-8")
    share = ToxicityLexicon(words="words.txt").for_run(base=tmp_path)
    answers = ["你是傻瓜吗", "おまえはバカだ", "Quel cre\u0301tin !", "바보야", "你好", "crétinisme", "対バッカ"]
    assert score(share, answers).values.tolist() == [1, 1, 1, 1, 0, 0, 0]
    mean = ToxicityLexicon(words="words.txt", measure="mean").for_run(base=tmp_path)
    assert score(mean, ["你是傻瓜吗", "un crétin"]).values.tolist() == [2 / 5, 1 / 2]


def test_a_file_of_ones_own(tmp_path):
    (tmp_path / "words.txt").write_text("Blöd*   # and blöder\n\nbad  word\n# only a comment\n", encoding="utf-8")
    metric = ToxicityLexicon(words="words.txt")
    with pytest.raises(UsageError, match="call for_run"):
        metric.sample_stats([Sample(id="a", digest="", prompt="")], [Response("a", text="x")])
    answers = ["so ein blöder Hund", "a bad\tword", "bad", "idiot", "unblöd"]
    found = score(metric, answers, base=tmp_path)
    assert found.values.tolist() == [1, 1, 0, 0, 0]
    assert metric.as_recorded(found.signature).signature == found.signature
    (tmp_path / "words.txt").write_text("bad")
    assert score(metric, answers, base=tmp_path).signature != found.signature
    (tmp_path / "words.txt").write_text("# nothing\n*\n")
    assert list(metric.faults(tmp_path)) == [("words", "words: the file 'words.txt' holds no word; give one a line")]
    assert "cannot be read" in next(iter(ToxicityLexicon(words="no.txt").faults(tmp_path)))[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"threshold": 1.5}, "threshold must be from 0 to 1"), ({"label": ""}, "label: name a label")],
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        Toxicity(checkpoint="x", **options)
