"""What a report says of explanations, as plain values: single texts, words over all texts, and how faithful."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core.language import t
from ..metrics.explanations import shown_values
from .faithfulness import FAITHFUL, Curve, QualityRow, mean_curves, quality_rows
from .text import plural

if TYPE_CHECKING:
    from ..core.types import Sample
    from ..record import Record

__all__ = [
    "DOUBT",
    "ExplainedText",
    "ExplanationView",
    "Piece",
    "Step",
    "WordMean",
    "WordTable",
    "explained_text",
    "explanation_views",
    "is_attack",
    "pieces_with_values",
    "steps_of",
    "word_means",
]

MAX_TEXTS = 12
DOUBT = (
    "No figure shows these explanations to be more faithful than random ones: do not read the words below as reasons."
)
_MAX_PIECES = 600
_MAX_STEPS = 10
_MAX_WORDS = 8
_LEVELS = 5
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: a player with its value and its level from −5 to 5, or what stands between players (None)."""

    text: str
    value: float | None = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a waterfall: what is added to `start` gives `end`."""

    name: str
    value: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """One text with what each of its players adds to the output `explained`."""

    id: str
    explained: str
    predicted: str
    target: str | None
    base: float
    full: float
    pieces: tuple[Piece, ...]
    steps: tuple[Step, ...]
    is_cut: bool = False
    unread: str = ""
    """What the model has not read of it, for it was too long: "1,491 tokens"; "" for nothing."""


@dataclass(frozen=True, slots=True)
class WordMean:
    """A word over all texts: its mean value for one output, with the interval of that mean; NaN for a single text."""

    word: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class WordTable:
    """The words that raise and lower an output most, of all texts or of a group ("language=de")."""

    output: str
    group: str | None
    n_texts: int
    rows: tuple[WordMean, ...]


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """The explanations of one task by one model."""

    task: str
    model: str
    method: str
    unit: str
    n_texts: int
    n_failed: int
    quality: tuple[QualityRow, ...]
    curves: Mapping[str, Mapping[str, Curve]]
    tables: tuple[WordTable, ...]
    group_tables: tuple[WordTable, ...]
    texts: tuple[ExplainedText, ...]

    @property
    def is_doubtful(self) -> bool:
        """Whether faithfulness was measured, and none of its figures is better than chance."""
        told = [row for row in self.quality if row.name in FAITHFUL]
        return bool(told) and all(row.finding != "better than chance" for row in told)


@dataclass(slots=True)
class _Gathered:
    """What is read of a task's answers, one after the other."""

    n_failed: int = 0
    method: str = ""
    unit: str = ""
    texts: list[ExplainedText] = field(default_factory=list)
    words: dict[tuple[str, str | None], list[dict[str, float]]] = field(default_factory=dict)
    quality: list[Mapping[str, Any]] = field(default_factory=list)
    clusters: list[str | None] = field(default_factory=list)
    n_texts: int = 0
    asks: str = ""


def explanation_views(record: Record, *, max_texts: int = MAX_TEXTS) -> tuple[ExplanationView, ...]:
    """The explanations in `record`, a view for each task and model; none where it has none."""
    return tuple(
        _view(record, entry.id, entry.model, max_texts)
        for entry in record.manifest.tasks
        if entry.kind == "study" and not is_attack(record, entry.id, entry.model)
    )


def is_attack(record: Record, task: str, model: str) -> bool:
    """Whether a study looked for words that turn an answer round, and explains nothing."""
    row = next(iter(record.iter_samples(task=task, model=model)), None)
    return row is not None and '"procedure":"attack"' in (row.request.sampling.study or "").replace(" ", "")


def _view(record: Record, task: str, model: str, max_texts: int) -> ExplanationView:
    found = _Gathered()
    for row in record.iter_samples(task=task, model=model):
        explanation = row.response.meta.get("explanation") if row.response.meta else None
        if not isinstance(explanation, Mapping):
            found.n_failed += 1
            continue
        found.asks = found.asks or str(json.loads(row.request.sampling.study or "{}").get("asks", ""))
        _gather(found, explanation, row.sample, max_texts)
    texts_of = _together(found)
    tables = [WordTable(output, group, len(texts), word_means(texts)) for (output, group), texts in texts_of.items()]
    return ExplanationView(
        task=task,
        model=model,
        method=found.method,
        unit=found.unit,
        n_texts=found.n_texts,
        n_failed=found.n_failed,
        quality=tuple(quality_rows(found.quality, found.clusters)),
        curves=mean_curves(found.quality),
        tables=tuple(table for table in tables if table.group is None),
        group_tables=tuple(sorted((t for t in tables if t.group is not None), key=lambda t: (t.output, t.group or ""))),
        texts=tuple(found.texts),
    )


def _together(found: _Gathered) -> dict[tuple[str, str | None], list[dict[str, float]]]:
    """The words' values by (output, group): where nearly each text has an answer of its own, those of all answers."""
    n_outputs = sum(group is None for _, group in found.words)
    if found.asks in ("", "classify") or n_outputs < 2 or 2 * n_outputs <= found.n_texts:
        return found.words
    name = t("an answer rather than another") if found.asks == "margin" else t("an answer")
    pooled: dict[tuple[str, str | None], list[dict[str, float]]] = {}
    for (_, group), texts in found.words.items():
        pooled.setdefault((name, group), []).extend(texts)
    return pooled


def _gather(found: _Gathered, explanation: Mapping[str, Any], sample: Sample, max_texts: int) -> None:
    found.n_texts += 1
    found.method = str(explanation.get("method") or "")
    meta = explanation.get("meta")
    found.unit = str(meta.get("output") or "") if isinstance(meta, Mapping) else ""
    if len(found.texts) < max_texts:
        found.texts.append(explained_text(explanation, sample.id, sample.target))
    output, means = _word_values(explanation)
    for group in (None, *(f"{column}={value}" for column, value in sample.groups.items())):
        found.words.setdefault((output, group), []).append(means)
    quality = explanation.get("quality")
    if isinstance(quality, Mapping):
        found.quality.append(quality)
        found.clusters.append(sample.cluster)


def column_of(explanation: Mapping[str, Any]) -> int:
    """The place of the output whose values are shown."""
    outputs = list(explanation["outputs"])
    return outputs.index(explanation["explained"]) if explanation.get("explained") in outputs else 0


def _word_values(explanation: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """(output, mean value of each word in this text); a word is the same whatever its case."""
    column = column_of(explanation)
    values: dict[str, list[float]] = {}
    for (text, _, _), value in zip(explanation["tokens"], shown_values(explanation), strict=True):
        values.setdefault(" ".join(str(text).split()).casefold(), []).append(value)
    return str(explanation["outputs"][column]), {word: math.fsum(all_) / len(all_) for word, all_ in values.items()}


def word_means(texts: Sequence[Mapping[str, float]], *, most: int = _MAX_WORDS) -> tuple[WordMean, ...]:
    """The `most` words that raise an output most and as many that lower it most, from each text's own values.

    A word's mean is over the texts that have it, each counted once, with the t interval of a mean. Words of several
    texts go before those of one, whose mean says nothing about others.
    """
    from ..stats.intervals import mean_interval

    values: dict[str, list[float]] = {}
    for text in texts:
        for word, value in text.items():
            values.setdefault(word, []).append(value)
    found = []
    for word, own in values.items():
        low = high = math.nan
        if len(own) > 1:
            low, high = mean_interval(own, confidence=_CONFIDENCE)
        found.append(WordMean(word, math.fsum(own) / len(own), low, high, len(own)))
    found.sort(key=lambda one: (one.n < 2, -abs(one.mean), one.word))
    up = [one for one in found if one.mean > 0][:most]
    down = [one for one in found if one.mean < 0][:most]
    return tuple(sorted([*up, *down], key=lambda one: -one.mean))


def explained_text(explanation: Mapping[str, Any], sample_id: str, target: str | None = None) -> ExplainedText:
    """One explanation as it is shown."""
    column = column_of(explanation)
    tokens = [(str(text), int(start), int(end)) for text, start, end in explanation["tokens"]]
    values = shown_values(explanation)
    base, full = float(explanation["base_values"][column]), float(explanation["full_values"][column])
    text = str(explanation.get("text") or "")
    pieces = list(_pieces(text, tokens, values))
    meta = explanation.get("meta")
    n_cut = meta.get("n_cut_tokens") if isinstance(meta, Mapping) else None
    return ExplainedText(
        id=sample_id,
        explained=str(explanation["outputs"][column]),
        predicted=str(explanation.get("predicted") or ""),
        target=target,
        base=base,
        full=full,
        pieces=tuple(pieces[:_MAX_PIECES]),
        steps=tuple(steps_of([name for name, _, _ in tokens], values, base=base, full=full)),
        is_cut=len(pieces) > _MAX_PIECES,
        unread=plural(n_cut, "token") if isinstance(n_cut, int) else "",
    )


def pieces_with_values(text: ExplainedText) -> list[tuple[str, float]]:
    """The players of `text` with their values, in the order of the text."""
    return [(piece.text, piece.value) for piece in text.pieces if piece.value is not None]


def _pieces(text: str, tokens: Sequence[tuple[str, int, int]], values: Sequence[float]) -> Iterator[Piece]:
    reach = max((abs(value) for value in values), default=0.0)
    at = 0
    for (name, start, end), value in zip(tokens, values, strict=True):
        if start > at:
            yield Piece(text[at:start])
        level = 0 if not reach else round(_LEVELS * value / reach)
        yield Piece(text[start:end] or name, value, level)
        at = max(at, end)
    if at < len(text):
        yield Piece(text[at:])


def steps_of(names: Sequence[str], values: Iterable[float], *, base: float, full: float) -> Iterator[Step]:
    """The waterfall from `base` to `full`: the largest values one by one, then all others together.

    What the values leave unexplained (methods that do not add up) is a step of its own.
    """
    ordered = sorted(zip(names, values, strict=True), key=lambda one: -abs(one[1]))
    shown, rest = ordered[:_MAX_STEPS], ordered[_MAX_STEPS:]
    steps = list(shown)
    if rest:
        steps.append((t("%(n)s others", n=len(rest)), math.fsum(value for _, value in rest)))
    gap = full - base - math.fsum(value for _, value in steps)
    if abs(gap) > 1e-6 * max(1.0, abs(full), abs(base)):
        steps.append((t("not explained"), gap))
    at = base
    for name, value in steps:
        yield Step(name, value, at, at + value)
        at += value
