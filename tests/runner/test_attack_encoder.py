"""Attacks with an encoder beside them: what it forbids, the words it gives, its identity, and the report's section."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import evalharness
from evalharness.cli.main import main
from evalharness.core.errors import UsageError
from evalharness.core.types import Response
from evalharness.metrics.semantic import SemanticSimilarity
from evalharness.report.attacks import attack_views
from evalharness.report.html import render_html
from evalharness.report.markdown import render_markdown
from evalharness.runner.attack_encoder import AttackEncoder, encoders_of, words_of_vocabulary
from evalharness.runner.attacking import attack_sample
from evalharness.suite.load import load_suite

OPTIONS = {"target": "pos", "row": "r", "seed": 0, "max_queries": 50, "max_candidates": 9, "max_changed": 0.5}
CODE = """
def label(prompt):
    p = 0.9 if "great" in prompt.lower() else 0.2
    return {"neg": 1 - p, "pos": p}
"""


class Said(AttackEncoder):
    """An encoder that says how alike texts are by their last word."""

    def __init__(self, alike, near=()):
        self.alike, self.near = alike, near

    def similarity(self, text, others):
        return np.array([self.alike[other.split()[-1]] for other in others])

    def neighbours(self, n):
        return lambda word: [word for word in self.near if word != "great"][:n] if word == "great" else ()


def by_great(texts):
    return [Response(key=text, answer="pos" if "great" in text else "neg") for text in texts]


@pytest.mark.parametrize(("least", "outcome"), [(0.5, "fooled"), (0.7, "fooled"), (0.95, "held")])
def test_only_texts_near_in_meaning_count_and_the_nearest_is_taken(least, outcome):
    encoder = Said({"good": 0.6, "fine": 0.9, "awful": 0.1})
    options = {**OPTIONS, "synonyms": {"great": ["awful", "good", "fine"]}, "min_similarity": least}
    found = attack_sample(by_great, options, "a great", encoder)
    assert found["outcome"] == outcome
    if outcome == "fooled":
        assert (found["text"], found["similarity"]) == ("a fine", 0.9)
    # Without an encoder nothing forbids the opposite.
    assert attack_sample(by_great, options, "a great")["text"] == "a awful"


def test_nearest_words_come_after_the_synonyms():
    encoder = Said({"fine": 0.9, "superb": 0.9, "grand": 0.95})
    options = {**OPTIONS, "synonyms": {}, "min_similarity": 0.5}
    assert attack_sample(by_great, options, "a great", encoder)["outcome"] == "held"
    encoder.near = ("great", "superb", "grand")
    assert attack_sample(by_great, {**options, "neighbours": 1}, "a great", encoder)["text"] == "a superb"
    assert attack_sample(by_great, {**options, "neighbours": 2}, "a great", encoder)["text"] == "a grand"
    # Of equals the first one is taken: that of the file.
    both = {**options, "neighbours": 1, "synonyms": {"great": ["fine"]}}
    assert attack_sample(by_great, both, "a great", encoder)["text"] == "a fine"


def test_the_words_of_vocabularies():
    assert words_of_vocabulary(["[CLS]", "film", "##ing", "a", "Movie", "film9", "cafe", "été"]) == [
        "cafe",
        "film",
        "été",
    ]
    assert words_of_vocabulary(["Ġfilm", "ing", "Ġthe", "ĠThe", "Ġin"]) == ["film", "the"]
    assert words_of_vocabulary(["▁film", "ing", "▁"]) == ["film"]
    assert words_of_vocabulary(["a", "b", "##c"]) == []


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "words.py").write_text(CODE)
    (tmp_path / "synonyms.txt").write_text("great, superb, fine\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, attack, name="suite.yaml"):
    rows = [{"id": "a", "text": "A great film.", "label": "pos"}, {"id": "b", "text": "A film.", "label": "pos"}]
    suite = {
        "version": 1,
        "name": "attacked",
        "models": {"clf": {"backend": "python", "function": "words:label", "kind": "classify"}},
        "datasets": {"d": {"rows": rows}},
        "tasks": [
            {"id": "triage", "dataset": "d", "classify": "{{ text }}", "target": "{{ label }}"},
            {"id": "attack", "attack": "words", "of": "triage", **attack},
        ],
    }
    (folder / name).write_text(yaml.safe_dump(suite, sort_keys=False))
    return name


def found_in(record):
    return {row.sample.id: row.response.meta["attack"] for row in record.iter_samples(task="attack")}


@pytest.mark.model
def test_a_suite_with_an_encoder(here, networks):
    encoder = str(networks())
    free = evalharness.run(write(here, {"synonyms": "synonyms.txt"}), allow_code=True)
    assert found_in(free)["a"]["similarity"] is None
    with_encoder = {"synonyms": "synonyms.txt", "encoder": encoder, "min_similarity": -1.0}
    record = evalharness.run(write(here, with_encoder), allow_code=True)
    one = found_in(record)["a"]
    assert one["outcome"] == "fooled"
    metric = SemanticSimilarity(checkpoint=encoder).for_run(base=Path())
    first, second = metric.vectors([one["original"], one["text"]])
    assert one["similarity"] == pytest.approx(first @ second, abs=1e-5)
    # The encoder and the bound are part of what two runs must agree on; where the encoder lies is not.
    identities = {r.manifest.tasks[1].identity["kind"] for r in (free, record)}
    assert len(identities) == 2
    (row, _) = record.iter_samples(task="attack")
    said = json.loads(row.request.sampling.study)
    assert said["encoder"]["checkpoint"] == metric.bound.identity["checkpoint"]
    assert encoder not in row.request.sampling.study
    again = evalharness.run(write(here, with_encoder), allow_code=True)
    assert again.manifest.execution["n_asked"] == 0
    strict = evalharness.run(write(here, {**with_encoder, "min_similarity": 1.0}), allow_code=True)
    assert found_in(strict)["a"]["outcome"] == "held"


@pytest.mark.model
def test_an_encoder_whose_vocabulary_has_no_words_is_said(here, networks):
    suite = write(here, {"encoder": str(networks()), "neighbours": 3})
    (encoder,) = encoders_of(load_suite(suite).suite, here).values()
    words = words_of_vocabulary(encoder._metric.network().tokenizer.get_vocab())
    near = encoder.neighbours(3)(words[0])
    assert len(near) <= 3
    assert set(near) <= set(words[1:])
    encoder._metric.network().tokenizer.get_vocab = lambda: {"a": 1, "##b": 2}
    encoder._neighbours.clear()
    try:
        with pytest.raises(UsageError, match=r"no whole words in its vocabulary.*leave `neighbours` out"):
            encoder.neighbours(3)
    finally:
        del encoder._metric.network().tokenizer.get_vocab


def test_the_report_shows_which_words_were_changed(here):
    record = evalharness.run(write(here, {"synonyms": "synonyms.txt"}), allow_code=True)
    (view,) = attack_views(record)
    new = found_in(record)["a"]["changes"][0][1]
    assert view.outcomes == (("turned round", 1), ("wrong as it was", 1))
    assert [(c.old, c.new, c.n_texts) for c in view.changes] == [("great", new, 1)]
    fooled, wrong = view.texts
    assert [(p.kind, p.text) for p in fooled.old] == [("same", "A "), ("gone", "great"), ("same", " film.")]
    assert [(p.kind, p.text) for p in fooled.new] == [("same", "A "), ("new", new), ("same", " film.")]
    assert wrong.changes == ()
    assert f"| a | turned round | pos → neg | great → {new} |" in render_markdown(record)
    page = render_html(record)
    assert 'id="attacks"' in page
    assert f"<ins>{new}</ins>" in page
    assert "<del>great</del>" in page
    assert attack_views(record, max_texts=1)[0].texts == (fooled,)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.real_cache
def test_the_real_encoder_forbids_what_changes_the_meaning(here, capsys):
    """minilm-l6 beside the real sentiment classifier: what it lets through is as near as was asked."""
    for name in ("movie-sentiment-minilm", "minilm-l6"):
        assert main(["fetch-model", name]) == 0
    rows = [
        {"id": "a", "text": "A good film with brilliant performances.", "label": "positive"},
        {"id": "b", "text": "A dull picture, and a bad one.", "label": "negative"},
        {"id": "c", "text": "Funny and moving, with a fine cast and a clever script.", "label": "positive"},
    ]
    base = {
        "version": 1,
        "name": "real",
        "models": {"clf": {"backend": "hf-classifier", "path": "catalog:movie-sentiment-minilm"}},
        "datasets": {"d": {"rows": rows}},
    }
    attacks = {
        "free": {"synonyms": "synonyms.txt"},
        "near": {"encoder": "catalog:minilm-l6", "neighbours": 15, "min_similarity": 0.6},
        "strict": {"encoder": "catalog:minilm-l6", "neighbours": 15, "min_similarity": 0.97},
    }
    triage = {"id": "triage", "dataset": "d", "classify": "{{ text }}", "target": "{{ label }}"}
    own = [{"id": k, "attack": "words", "of": "triage", "max_changed": 1.0, **v} for k, v in attacks.items()]
    Path("real.yaml").write_text(yaml.safe_dump({**base, "tasks": [triage, *own]}))
    assert main(["validate", "real.yaml"]) == 0
    record = evalharness.run("real.yaml")
    assert record.manifest.complete
    found = {name: [row.response.meta["attack"] for row in record.iter_samples(task=name)] for name in attacks}
    changed = [one for one in found["near"] if one["changes"]]
    assert changed, "the encoder's nearest words turn something round, or nearly"
    vectors = SemanticSimilarity(checkpoint="catalog:minilm-l6").for_run(base=Path())
    for one in changed:
        first, second = vectors.vectors([one["original"], one["text"]])
        assert one["similarity"] == pytest.approx(first @ second, abs=1e-4)
        assert one["similarity"] >= 0.6
    assert all(one["similarity"] is None or one["similarity"] >= 0.97 for one in found["strict"])
    assert sum(one["succeeded"] for one in found["strict"]) < sum(one["succeeded"] for one in found["near"])
    (encoder,) = encoders_of(load_suite("real.yaml").suite, Path()).values()
    assert {"movie", "films"} <= set(encoder.neighbours(15)("film"))
