"""hf-classifier: probabilities of every kind of head equal those of a plain forward pass of each text alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.models.huggingface.classification import head_of

TEXTS = ["wonderful film", "A film that is as good as it is long; the actors are wonderful.", "no", "北京 🙂 maybe"]


@pytest.fixture
def logits_of(plain_model: Any) -> Callable[[Any, list[str]], list[list[float]]]:
    """The oracle: one unpadded forward pass a text."""

    def run(folder: Any, texts: list[str]) -> list[list[float]]:
        import torch
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = plain_model(folder, "classifier")
        with torch.inference_mode():
            return [model(**tokenizer(text, return_tensors="pt")).logits[0].double().tolist() for text in texts]

    return run


@pytest.mark.model
@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_several_labels(
    architecture: str, batch_size: Any, logits_of: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    names = {0: "negative", 1: "neutral", 2: "positive"}
    style = "bos" if architecture in ("gpt2", "llama") else "bert"
    folder = checkpoints(architecture, "classifier", style=style, num_labels=3, id2label=names)
    found = ask(build("hf-classifier", folder, batch_size=batch_size), [request_of("classify", t) for t in TEXTS])
    for response, logits in zip(found, logits_of(folder, TEXTS), strict=True):
        weights = [math.exp(x) for x in logits]
        expected = dict(zip(names.values(), (w / sum(weights) for w in weights), strict=True))
        assert response.label_probabilities == pytest.approx(expected, abs=1e-5)
        assert response.answer == response.text == max(expected, key=expected.__getitem__)
        assert response.status == "ok"
        assert sum(response.label_probabilities.values()) == pytest.approx(1)


@pytest.mark.model
def test_two_labels_under_other_names(logits_of: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("bert", "classifier", style="bert", num_labels=2)
    found = ask(build("hf-classifier", folder, labels=("bad", "good")), [request_of("classify", t) for t in TEXTS])
    for response, (no, yes) in zip(found, logits_of(folder, TEXTS), strict=True):
        p = 1 / (1 + math.exp(no - yes))
        assert response.label_probabilities == pytest.approx({"bad": 1 - p, "good": p}, abs=1e-5)
        assert response.answer == ("good" if yes > no else "bad")


@pytest.mark.model
def test_one_logit_is_a_sigmoid_for_the_second_label(
    logits_of: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints("bert", "classifier", style="bert", num_labels=1)
    logits = [row[0] for row in logits_of(folder, TEXTS)]
    requests = [request_of("classify", t) for t in TEXTS]
    for response, x in zip(ask(build("hf-classifier", folder), requests), logits, strict=True):
        p = 1 / (1 + math.exp(-x))
        assert response.label_probabilities == pytest.approx({"0": 1 - p, "1": p}, abs=1e-5)
        assert response.answer == ("1" if p > 0.5 else "0")
    cut = sorted(1 / (1 + math.exp(-x)) for x in logits)[1] + 1e-4
    model = build("hf-classifier", folder, labels=("ham", "spam"), threshold=cut)
    answers = [response.answer for response in ask(model, requests)]
    assert answers == ["spam" if 1 / (1 + math.exp(-x)) > cut else "ham" for x in logits]
    assert set(answers) == {"spam", "ham"}


@pytest.mark.model
def test_several_labels_at_once(logits_of: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    names = {0: "joy", 1: "anger", 2: "fear"}
    folder = checkpoints(
        "bert", "classifier", style="bert", seed=5, num_labels=3, id2label=names,
        problem_type="multi_label_classification",
    )  # fmt: skip
    requests = [request_of("classify", t) for t in TEXTS]
    seen = set()
    for threshold in (0.3, 0.5, 0.7):
        found = ask(build("hf-classifier", folder, threshold=threshold), requests)
        for response, logits in zip(found, logits_of(folder, TEXTS), strict=True):
            p = {names[i]: 1 / (1 + math.exp(-x)) for i, x in enumerate(logits)}
            assert response.label_probabilities == pytest.approx(p, abs=1e-5)
            assert json.loads(response.answer) == sorted(name for name in p if p[name] > threshold)
            assert " " not in response.answer
            seen.add(response.answer)
    assert len(seen) > 1


@pytest.mark.model
def test_too_long_text_loses_its_end_and_says_so(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("bert", "classifier", style="bert", num_labels=2)
    text = TEXTS[1] * 3
    (response,) = ask(build("hf-classifier", folder, max_length=16), [request_of("classify", text)])
    assert response.input_tokens == 16
    assert response.meta["truncated_tokens"] > 0
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    kept = tokenizer.decode(tokenizer(text, truncation=True, max_length=16)["input_ids"], skip_special_tokens=True)
    (same,) = ask(build("hf-classifier", folder), [request_of("classify", kept)])
    assert response.meta["logits"] == pytest.approx(same.meta["logits"], abs=1e-5)


def config(n: int, problem_type: str | None = None, **names: str) -> Any:
    id2label = names or {i: f"LABEL_{i}" for i in range(n)}
    return SimpleNamespace(num_labels=n, problem_type=problem_type, id2label={int(k): v for k, v in id2label.items()})


def test_regression_head_reads_the_number_itself() -> None:
    labels = head_of(config(1, "regression"), labels=None, threshold=0.5, shown="m")
    assert labels.read([0.4]).answer == "0"
    assert labels.read([0.6]).probabilities == pytest.approx({"0": 0.4, "1": 0.6})
    assert labels.read([7.0]).probabilities == {"0": 0.0, "1": 1.0}
    assert labels.read([-7.0]).answer == "0"


def test_sigmoid_and_softmax_do_not_overflow() -> None:
    one = head_of(config(1), labels=("a", "b"), threshold=0.5, shown="m")
    assert one.read([-2000.0]).probabilities == {"a": 1.0, "b": 0.0}
    assert one.read([2000.0]).answer == "b"
    three = head_of(config(3), labels=None, threshold=0.5, shown="m")
    assert three.read([-2000.0, 2000.0, 0.0]).probabilities == {"LABEL_0": 0.0, "LABEL_1": 1.0, "LABEL_2": 0.0}


def test_named_single_logit() -> None:
    named = SimpleNamespace(num_labels=1, problem_type=None, id2label={0: "toxic"})
    assert head_of(named, labels=None, threshold=0.5, shown="m").names == ("not toxic", "toxic")


@pytest.mark.parametrize(
    ("made", "labels", "message"),
    [
        (config(3), ("a", "b"), "has 3 labels"),
        (config(1), ("a",), "has 2 labels"),
        (config(2), ("a", "a"), "differ"),
        (config(4, "regression"), None, "predicts 4 numbers"),
    ],
)
def test_labels_that_do_not_fit(made: Any, labels: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        head_of(made, labels=labels, threshold=0.5, shown="m")


def test_no_room_beside_the_special_tokens(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert", num_labels=3), max_length=2)
    (found,) = ask(model, [request_of("classify", "A film")])
    assert found.error == "max_length 2 leaves no room for a text beside 2 special tokens; raise it"
