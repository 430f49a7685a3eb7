"""Cosines of embeddings against transformers' own numbers, one text at a time and without padding."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.checkpoint import find_checkpoint
from evalharness.metrics.functional import score
from evalharness.metrics.network import load_network
from evalharness.metrics.semantic import SemanticSimilarity, embed

pytestmark = pytest.mark.model

ANSWERS = ["the cat sat on the mat", "Paris is the capital of France.", "a film", "naïve café 12345 " * 30]
GOLDS = [["a cat sat there", "no"], ["The capital of France is Paris."], ["wonderful actors"], ["numbers 12345"]]


@pytest.fixture
def folder(networks, tmp_path):
    """A checkpoint of the test's own, to be changed."""
    copy = tmp_path / "encoder"
    shutil.copytree(networks(), copy)
    return copy


def states_of(folder, text, most=64):
    """(tokens, d) last hidden states of one text, as transformers gives them in float64."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, dtype=torch.float64)
    tokens = tokenizer([text], truncation=True, max_length=most, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**tokens).last_hidden_state[0].numpy()


POOLED = {
    "mean": lambda states: states.mean(axis=0),
    "cls": lambda states: states[0],
    "max": lambda states: states.max(axis=0),
    "last": lambda states: states[-1],
}


@pytest.mark.parametrize("pooling", POOLED)
def test_embeddings_are_those_of_transformers_whatever_stands_beside_them(networks, pooling):
    network = load_network(networks(), "x", "encoder", "cpu", "float64", shown="x")
    found = embed(network, ANSWERS, pooling=pooling)
    for text, vector in zip(ANSWERS, found, strict=True):
        np.testing.assert_allclose(vector, POOLED[pooling](states_of(networks(), text)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("style", ["bert", "roberta"])
def test_the_best_cosine_counts(networks, style):
    folder = networks(style)
    found = score(SemanticSimilarity(checkpoint=str(folder)), ANSWERS, references=GOLDS)

    def vector(text):
        pooled = states_of(folder, text).mean(axis=0)
        return pooled / np.linalg.norm(pooled)

    expected = [max(vector(a) @ vector(g) for g in gs) for a, gs in zip(ANSWERS, GOLDS, strict=True)]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-5)
    assert len({round(v, 3) for v in found.values}) == len(ANSWERS), "a random encoder tells texts apart"


def test_prefix_and_plain_products(networks):
    folder = str(networks())
    plain = score(SemanticSimilarity(checkpoint=folder, normalize=False, dtype="float64"), ["a"], references=[["b"]])
    first, second = (states_of(folder, t).mean(axis=0) for t in "ab")
    assert plain.value == pytest.approx(first @ second)
    with_prefix = SemanticSimilarity(checkpoint=folder, prefix="query: ", dtype="float64")
    first, second = (states_of(folder, f"query: {t}").mean(axis=0) for t in "ab")
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert score(with_prefix, ["a"], references=[["b"]]).value == pytest.approx(expected)


def test_what_the_checkpoint_says_of_pooling_and_length_holds(folder):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8}))
    metric = SemanticSimilarity(checkpoint=str(folder), dtype="float64").for_run(base=folder)
    assert "pooling:cls" in metric.signature
    assert "max_tokens:8" in metric.signature
    found = score(metric, [ANSWERS[3]], references=[["b"]])
    first, second = (states_of(folder, t, most=8)[0] for t in (ANSWERS[3], "b"))
    assert found.value == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    own = SemanticSimilarity(checkpoint=str(folder), pooling="mean", max_tokens=16).for_run(base=folder)
    assert "pooling:mean" in own.signature
    assert "max_tokens:16" in own.signature


def test_nothing_said_and_nothing_came_are_worth_nothing(networks):
    metric = SemanticSimilarity(checkpoint=str(networks())).for_run(base=networks())
    samples = [Sample(id=str(i), digest="", prompt="", references=("gold",)) for i in range(3)]
    responses = [Response("0", text="  "), Response("1", status="error"), Response("2", text="gold")]
    rows = metric.sample_stats(samples, responses)
    assert rows[:, 0].tolist() == [1, 1, 1]
    assert rows[:, 1] == pytest.approx([0, 0, 1])


def test_the_signature_names_the_weights_and_neither_place_nor_device(networks, folder):
    def signature(path, **options):
        return SemanticSimilarity(checkpoint=str(path), **options).for_run(base=folder).signature

    here = signature(networks())
    assert here == signature(folder) == signature(folder, device="cpu")
    assert str(folder) not in here
    assert here != signature(networks(seed=1))
    assert here != signature(folder, dtype="float64")
    again = SemanticSimilarity(checkpoint="elsewhere").as_recorded(here)
    assert again.signature == here
    assert again.finalize(np.array([4.0, 2.0])) == 0.5


def test_what_is_no_checkpoint_is_told_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "minilm").mkdir()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text("{}")
    for text, says in (
        ("./minlm", r"does not exist.*did you mean 'minilm'"),
        ("minilm", "has no config.json"),
        ("bare", "has no weights"),
        ("someone/encoder", "metrics download nothing; fetch it: hf download someone/encoder"),
        ("catalog:nothing", "evalharness fetch-model nothing"),
    ):
        with pytest.raises(UsageError, match=says):
            find_checkpoint(text, base=tmp_path)
        ((option, message),) = SemanticSimilarity(checkpoint=text).faults(tmp_path)
        assert option == "checkpoint"
        assert message


def test_a_broken_checkpoint_and_a_device_that_is_not_there(folder):
    metric = SemanticSimilarity(checkpoint=str(folder))
    with pytest.raises(UsageError, match="call for_run"):
        metric.network()
    with pytest.raises(UsageError, match="device 'cuda:77': this machine has"):
        SemanticSimilarity(checkpoint=str(folder), device="cuda:77").for_run(base=folder).network()
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be loaded"):
        metric.for_run(base=folder).network()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"checkpoint": " "}, "checkpoint: name the folder"),
        ({"checkpoint": "x", "device": "gpu"}, "device: auto, cpu"),
        ({"checkpoint": "x", "max_tokens": 2}, "max_tokens must be 4 or more"),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        SemanticSimilarity(**options)


def test_a_name_alone_says_which_options_it_needs():
    with pytest.raises(UsageError, match="SemanticSimilarity\\(checkpoint=…\\)"):
        score("semantic_similarity", ["a"], references=[["b"]])
