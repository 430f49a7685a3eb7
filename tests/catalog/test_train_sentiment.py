from __future__ import annotations

import random
from typing import Any

import pytest

from evalharness.catalog.progress import SilentProgress
from evalharness.catalog.train_sentiment import Example, Recipe, accuracy, batches, logits, train

pytestmark = [pytest.mark.model, pytest.mark.slow]
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

RECIPE = Recipe(n_rows=200, n_epochs=6, batch_size=8, learning_rate=5e-3)


def _model() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertForSequenceClassification(config)


def _rows(n: int, seed: int) -> list[Example]:
    """Texts that are positive where they hold token 7, negative where they hold token 8."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        label = draw.randrange(2)
        tokens = [draw.randrange(10, 40) for _ in range(draw.randrange(2, 9))]
        tokens[draw.randrange(len(tokens))] = 8 - label
        rows.append(Example((1, *tokens), label))
    return rows


def test_training_learns_what_decides_the_label() -> None:
    model = _model()
    before = accuracy(model, _rows(200, 1), RECIPE, progress=SilentProgress())
    train(model, _rows(200, 0), RECIPE, progress=SilentProgress())
    after = accuracy(model, _rows(200, 1), RECIPE, progress=SilentProgress())
    assert before < 0.7
    assert after > 0.95


def test_training_is_deterministic_and_leaves_the_word_embeddings_alone() -> None:
    first, second = _model(), _model()
    words = first.base_model.embeddings.word_embeddings.weight.clone()
    for model in (first, second):
        train(model, _rows(40, 0), Recipe(n_epochs=1, batch_size=8), progress=SilentProgress())
    assert torch.equal(first.base_model.embeddings.word_embeddings.weight, words)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.requires_grad
    assert not first.training


def test_padding_does_not_change_the_logits() -> None:
    model = _model()
    train(model, _rows(200, 0), RECIPE, progress=SilentProgress())
    short, long = Example((1, 7, 12), 1), Example((1, 8, 13, 14, 15, 16), 0)
    with torch.inference_mode():
        together = logits(model, [short, long])
        assert torch.allclose(together[0], logits(model, [short])[0], atol=1e-6)
        assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_batches_hold_every_row_once_in_batches_of_like_length() -> None:
    rows = _rows(50, 3)
    found = list(batches(rows, 8, order=random.Random(0)))
    assert sorted((r.tokens, r.label) for b in found for r in b) == sorted((r.tokens, r.label) for r in rows)
    lengths = sorted((min(len(r.tokens) for r in b), max(len(r.tokens) for r in b)) for b in found)
    assert all(lengths[i][1] <= lengths[i + 1][0] for i in range(len(lengths) - 1))
    assert [len(b) for b in batches(rows, 8, order=None)] == [8] * 6 + [2]
    assert found != list(batches(rows, 8, order=None))
