"""How lm-eval makes a figure of its documents' items, in our one shape: rows of statistics and a function of totals.

lm-eval keeps whatever a task's `process_results` returns for a document (a number, a pair, two texts) and hands the
list of all to an aggregation. Most of those are functions of sums; they are written so here, so that intervals, paired
comparison and groups follow. What is not is in `opaque`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.protocols import Array, IntervalKind
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import BOOTSTRAP, PROPORTION, ratio

__all__ = ["Aggregation", "Members", "UnfitItems", "aggregation_named", "aggregation_of"]


class UnfitItems(ValueError):
    """The items are not what the aggregation is made for."""


class Aggregation:
    """One way of making a figure; `name` tells it apart, its parameters included."""

    __slots__ = ()

    name: str = ""
    columns: tuple[str, ...] = ("n", "sum")
    bounds: tuple[float, float] = (-math.inf, math.inf)
    interval: IntervalKind = BOOTSTRAP

    @property
    def depends_on_items(self) -> bool:
        """Whether other items would make another aggregation of it, with other columns."""
        return False

    def rows(self, items: Sequence[Any]) -> Array:
        """(n, k) statistics of the items, one row each.

        Raises:
            UnfitItems: they are of another kind.
        """
        raise NotImplementedError

    def finalize(self, totals: Array) -> Array:
        """(..., k) totals -> (...)."""
        raise NotImplementedError


def _numbers(items: Sequence[Any]) -> Array:
    if any(isinstance(item, str | bytes) for item in items):
        raise UnfitItems("texts")
    try:
        found = np.array([float(item) for item in items], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UnfitItems(str(error)) from error
    return found


def _pairs(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    if any(isinstance(item, str | bytes) for item in items):
        raise UnfitItems("texts")
    try:
        return [(first, second) for first, second in items]
    except (TypeError, ValueError) as error:
        raise UnfitItems(str(error)) from error


def _classes(items: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Gold and answered classes, as whole numbers."""
    both = _numbers([value for pair in _pairs(items) for value in pair])
    if both.size and not (np.isfinite(both).all() and (both == np.floor(both)).all()):
        raise UnfitItems("classes that are not whole numbers")
    whole = [int(value) for value in both]
    return whole[::2], whole[1::2]


class Mean(Aggregation):
    """Σ item / n."""

    __slots__ = ()
    name = "mean"
    # Items that are all 0 or 1 are a proportion, the rest is a mean: the interval tells them apart itself.
    interval = PROPORTION

    def rows(self, items: Sequence[Any]) -> Array:
        values = _numbers(items)
        return np.stack([np.ones_like(values), values], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])


class NanMean(Mean):
    """The mean of the items that are numbers."""

    __slots__ = ()
    name = "nanmean"

    def rows(self, items: Sequence[Any]) -> Array:
        values = _numbers(items)
        known = ~np.isnan(values)
        return np.stack([known.astype(np.float64), np.where(known, values, 0.0)], axis=1)


class Brier(Mean):
    """The mean over documents of Σ_classes (p − [class is gold])²: twice scikit-learn's for two classes."""

    __slots__ = ()
    name = "brier_score"
    bounds = (0.0, 2.0)

    def rows(self, items: Sequence[Any]) -> Array:
        values = []
        for gold, probabilities in _pairs(items):
            p = _numbers(probabilities)
            if not isinstance(gold, int | np.integer) or not -p.size <= gold < p.size:
                raise UnfitItems(f"gold {gold!r}")
            p[gold] -= 1.0
            values.append(float(p @ p))
        return super().rows(values)


class Perplexity(Mean):
    """exp(−Σ log-likelihood / n)."""

    __slots__ = ()
    name = "perplexity"
    bounds = (0.0, math.inf)
    interval = BOOTSTRAP

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        with np.errstate(over="ignore"):
            result: Array = np.exp(-ratio(totals[..., 1], totals[..., 0]))
        return result


class WeightedPerplexity(Aggregation):
    """exp(−Σ log-likelihood / Σ units)."""

    __slots__ = ()
    name = "weighted_perplexity"
    columns = ("n", "log_likelihood", "units")
    bounds = (0.0, math.inf)

    def rows(self, items: Sequence[Any]) -> Array:
        pairs = _pairs(items)
        sums, units = _numbers([a for a, _ in pairs]), _numbers([b for _, b in pairs])
        return np.stack([np.ones_like(sums), sums, units], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        with np.errstate(over="ignore"):
            result: Array = np.exp(-ratio(totals[..., 1], totals[..., 2]))
        return result


class BitsPerByte(WeightedPerplexity):
    """−Σ log-likelihood / (Σ units · ln 2)."""

    __slots__ = ()
    name = "bits_per_byte"

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(-totals[..., 1], totals[..., 2]) / math.log(2)


class F1(Aggregation):
    """F1 of class 1, of two classes 0 and 1: 2·tp / (answered + gold), and 0 where there is neither."""

    __slots__ = ()
    name = "f1"
    columns = ("n", "true_positives", "answered", "gold")
    bounds = (0.0, 1.0)

    def rows(self, items: Sequence[Any]) -> Array:
        gold, answered = _classes(items)
        if not {*gold, *answered} <= {0, 1}:
            raise UnfitItems("other classes than 0 and 1")
        g, a = np.array(gold, dtype=np.float64), np.array(answered, dtype=np.float64)
        return np.stack([np.ones_like(g), g * a, a, g], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        value = ratio(2 * totals[..., 1], totals[..., 2] + totals[..., 3], empty=0.0)
        return np.where(totals[..., 0] > 0, value, np.nan)


@dataclass(frozen=True, slots=True)
class Mcc(Aggregation):
    """Matthews' correlation over the classes 0 to `classes` − 1; see `classification.Mcc` for the formula."""

    classes: int

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        return -1.0, 1.0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"matthews_corrcoef[{self.classes}]"

    @property
    def depends_on_items(self) -> bool:
        return True

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        parts = ("gold", "answered", "correct")
        return ("n", *(f"{part}_{k}" for part in parts for k in range(self.classes)))

    def rows(self, items: Sequence[Any]) -> Array:
        gold, answered = (np.array(found, dtype=np.intp) for found in _classes(items))
        k, index = self.classes, np.arange(len(gold))
        stats = np.zeros((len(gold), 1 + 3 * k))
        stats[:, 0] = 1.0
        stats[index, 1 + gold] = 1.0
        stats[index, 1 + k + answered] = 1.0
        right = gold == answered
        stats[index[right], 1 + 2 * k + gold[right]] = 1.0
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n = totals[..., 0]
        gold, answered, correct = (totals[..., 1 + i * self.classes : 1 + (i + 1) * self.classes] for i in range(3))
        covariance = n * correct.sum(axis=-1) - (gold * answered).sum(axis=-1)
        spread = (n * n - (gold * gold).sum(axis=-1)) * (n * n - (answered * answered).sum(axis=-1))
        value = ratio(covariance, np.sqrt(np.maximum(spread, 0.0)), empty=0.0)
        return np.where(n > 0, np.clip(value, -1.0, 1.0), np.nan)


class _Overlap(Aggregation):
    """A corpus figure of sacrebleu's over (references, answer), from the built-in metric that equals it."""

    __slots__ = ()
    bounds = (0.0, 100.0)

    def _metric(self) -> Any:
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        found: tuple[str, ...] = self._metric().columns
        return found

    def rows(self, items: Sequence[Any]) -> Array:
        samples, responses = [], []
        for references, answer in _texts(items):
            samples.append(Sample("", "", "", references=references))
            responses.append(Response("", text=answer))
        found: Array = self._metric().sample_stats(samples, responses)
        return found

    def finalize(self, totals: Array) -> Array:
        found: Array = self._metric().finalize(totals)
        return found


def _texts(items: Sequence[Any]) -> list[tuple[tuple[str, ...], str]]:
    """(references, answer) as lm-eval hands them to sacrebleu: with as many references as the document with fewest."""
    found = [(_several(references), _several(answer)) for references, answer in _pairs(items)]
    if any(len(answer) != 1 for _, answer in found):
        raise UnfitItems("several answers")
    fewest = min((len(references) for references, _ in found), default=0)
    return [(references[:fewest], answer[0]) for references, answer in found]


def _several(value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise UnfitItems("items that are no texts")
    return tuple(found)


class Bleu(_Overlap):
    """Corpus BLEU with sacrebleu's defaults."""

    __slots__ = ()
    name = "bleu"

    def _metric(self) -> Any:
        from .bleu import Bleu as Metric

        return Metric(tokenize="13a")


class Chrf(_Overlap):
    """Corpus chrF2 with sacrebleu's defaults."""

    __slots__ = ()
    name = "chrf"

    def _metric(self) -> Any:
        from .chrf import Chrf as Metric

        return Metric()


class ChrfPlusPlus(_Overlap):
    """Corpus chrF++."""

    __slots__ = ()
    name = "chrf++"

    def _metric(self) -> Any:
        from .chrf import Chrf as Metric

        return Metric(word_order=2)


class Ter(Aggregation):
    """Translation edit rate with sacrebleu's defaults: 100 · Σ edits / Σ average length of the references."""

    __slots__ = ()
    name = "ter"
    columns = ("n", "edits", "reference_length")
    bounds = (0.0, math.inf)

    def rows(self, items: Sequence[Any]) -> Array:
        from sacrebleu.metrics import TER

        metric = TER()
        stats = np.ones((len(items), 3))
        for row, (references, answer) in zip(stats, _texts(items), strict=True):
            found = metric.sentence_score(answer, references)
            row[1:] = found.num_edits, found.ref_length
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        edits, length = totals[..., 1], totals[..., 2]
        # Sacrebleu: edits without any reference word are 100 %.
        value = np.where(length > 0, 100 * ratio(edits, length, empty=0.0), np.where(edits > 0, 100.0, 0.0))
        return np.where(totals[..., 0] > 0, value, np.nan)


@dataclass(frozen=True, slots=True)
class Members(Aggregation):
    """The mean of a group's members' figures: their columns stand side by side, a document fills those of its own.

    Σ_m w_m · figure_m / Σ_m w_m      w_m = n_m where `by_size`, else 1
    """

    members: tuple[Aggregation, ...]
    by_size: bool

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{'sized' if self.by_size else 'equal'}({','.join(member.name for member in self.members)})"

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{index}.{name}" for index, member in enumerate(self.members) for name in member.columns)

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        return min(m.bounds[0] for m in self.members), max(m.bounds[1] for m in self.members)

    @property
    def depends_on_items(self) -> bool:
        return any(member.depends_on_items for member in self.members)

    def joined(self, rows: Sequence[Array]) -> Array:
        """(Σ n_m, k) rows of all members' documents."""
        widths = [len(member.columns) for member in self.members]
        stats = np.zeros((sum(map(len, rows)), sum(widths)))
        top = left = 0
        for part, width in zip(rows, widths, strict=True):
            stats[top : top + len(part), left : left + width] = part
            top, left = top + len(part), left + width
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        top: Any = 0.0
        bottom: Any = 0.0
        left = 0
        for member in self.members:
            part = totals[..., left : left + len(member.columns)]
            left += len(member.columns)
            value, n = member.finalize(part), part[..., 0]
            weight = n if self.by_size else (n > 0).astype(np.float64)
            top = top + np.where(weight > 0, weight * value, 0.0)
            bottom = bottom + weight
        return ratio(np.asarray(top), np.asarray(bottom))


_PLAIN: dict[str, type[Aggregation]] = {
    found.name: found
    for found in (
        *(Mean, NanMean, Brier, Perplexity, WeightedPerplexity, BitsPerByte),
        *(F1, Bleu, Chrf, ChrfPlusPlus, Ter),
    )
}


def aggregation_of(name: str, items: Sequence[Any]) -> Aggregation | None:
    """The aggregation that lm-eval registers as `name`, for these items; None where none is known here."""
    if name == "matthews_corrcoef":
        try:
            gold, answered = _classes(items)
        except UnfitItems:
            return None
        classes = {*gold, *answered}
        # A label outside the choices is −100 in lm-eval.
        return Mcc(max(classes, default=0) + 1) if all(0 <= label < 1000 for label in classes) else None
    found = _PLAIN.get(name)
    return None if found is None else found()


def aggregation_named(name: str) -> Aggregation | None:
    """The aggregation whose `name` that is; None where it cannot be made from its name."""
    if name.startswith("matthews_corrcoef[") and name.endswith("]"):
        return Mcc(int(name[len("matthews_corrcoef[") : -1]))
    if name.startswith(("sized(", "equal(")) and name.endswith(")"):
        members = [aggregation_named(part) for part in name[6:-1].split(",")]
        known = tuple(member for member in members if member is not None)
        return Members(known, name.startswith("sized(")) if len(known) == len(members) else None
    found = _PLAIN.get(name)
    return None if found is None else found()
