"""How well probabilities order the samples: the areas under the ROC and the precision-recall curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import Bools, np
from evalharness.stats.bootstrap import bounded_jackknife_interval
from evalharness.stats.curves import average_precision, average_precision_left_out, roc_area, roc_area_left_out
from evalharness.stats.intervals import NO_INTERVAL, Interval, wilson

from .base import BOOTSTRAP
from .labels import choose_positive
from .probabilities import ProbabilityMetric

__all__ = ["Auprc", "Auroc"]

_SLACK = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area(ProbabilityMetric):
    """An area under a curve of each label against the rest; it needs the order of all rows, so totals give none."""

    positive: str | None = None
    average: Literal["macro", "weighted"] = "macro"

    interval = BOOTSTRAP
    interval_name: ClassVar[str] = "jackknife-score-t"

    @property
    def columns(self) -> tuple[str, ...]:
        labels = self.known_labels()
        return ("n", *(f"{part}:{label}" for part in ("gold", "probability") for label in labels))

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        chosen = self.labels or tuple(labels)
        positive = self.positive
        if positive is not None or len(chosen) == 2:
            positive = choose_positive(chosen, positive, metric=self.name)
        return dataclasses.replace(self, labels=chosen, positive=positive)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, found = self.read(samples, responses)
        is_gold = np.zeros_like(found)
        is_gold[np.arange(len(gold)), gold] = 1.0
        known = measured.astype(np.float64)[:, None]
        return np.concatenate([known, is_gold * known, found], axis=1)

    def finalize(self, totals: Array) -> Array:
        """NaN: a single sample, or totals, have no order."""
        return np.full(np.shape(totals)[:-1], np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The area of the rows (n, 1 + 2K) for each row of frequency weights (..., n)."""
        stats = np.asarray(stats, dtype=np.float64)
        known = np.flatnonzero(stats[:, 0] > 0)
        weight = np.ones(len(stats)) if weights is None else np.asarray(weights, dtype=np.float64)
        weight = weight[..., known]
        areas, sizes = [], []
        for is_gold, scores in self._against_rest(stats[known]):
            areas.append(self.area(is_gold, scores, weight))
            sizes.append((weight * is_gold).sum(axis=-1))
        return self._averaged(np.stack(areas, axis=-1), np.stack(sizes, axis=-1))

    def interval_rows(self, stats: Array, *, confidence: float = 0.95) -> tuple[float, float]:
        """Score t at the jackknife's standard error, of samples that stand alone.

        A label has the degrees of freedom of its fewer side, positives or negatives, less one; an average those of
        Welch and Satterthwaite. Where no sample makes a difference, only so many samples speak against others.
        """
        rows = np.asarray(stats, dtype=np.float64)
        rows = rows[rows[:, 0] > 0]
        pairs = self._against_rest(rows)
        area = np.array([self.area(*pair, np.ones(len(rows))) for pair in pairs])
        golds = np.stack([is_gold for is_gold, _ in pairs], axis=-1).astype(np.float64)
        fewer = np.minimum(golds.sum(axis=0), len(rows) - golds.sum(axis=0))
        # Of positives alone the average precision is 1.
        fewer = np.where(fewer > 0, fewer, len(rows))
        value = float(self._averaged(area, golds.sum(axis=0)))
        left_out = np.stack([self.area_left_out(*pair) for pair in pairs], axis=-1)
        figures = self._averaged(left_out, golds.sum(axis=0) - golds)
        counted = ~np.isnan(area)
        if len(rows) < 2 or not np.isfinite(figures).all():
            return NO_INTERVAL
        if np.ptp(figures) <= _SLACK:
            others = wilson(0, float(fewer[counted].min()), confidence=confidence).high
            return Interval(value - others * value, value + others * (1 - value))
        weight = golds.sum(axis=0)[counted] if self.average == "weighted" else 1.0
        variance = np.nanvar(left_out[:, counted], axis=0) * weight**2
        freedom = float(variance.sum() ** 2 / (variance**2 / np.maximum(fewer[counted] - 1, 1)).sum())
        return bounded_jackknife_interval(value, figures, self.bounds, confidence=confidence, freedom=freedom)

    def _against_rest(self, stats: Array) -> list[tuple[Bools, Array]]:
        """Of each label that counts: which samples are of it, and its probabilities."""
        labels = self.known_labels()
        classes = range(len(labels)) if self.positive is None else [labels.index(self.positive)]
        # A mean over repeats of one sample has the same gold label in all of them.
        return [(stats[:, 1 + number] > 0, stats[:, 1 + len(labels) + number]) for number in classes]

    def _averaged(self, area: Array, size: Array) -> Array:
        """The average (...) of areas (..., labels), of labels that have one; `size` is how often each is gold."""
        share = np.where(np.isnan(area), 0.0, 1.0 if self.average == "macro" else size)
        total = share.sum(axis=-1)
        value = (np.nan_to_num(area) * share).sum(axis=-1)
        result: Array = np.divide(value, total, out=np.full(total.shape, np.nan), where=total > 0)
        return result

    def area(self, positive: Bools, scores: Array, weights: Array) -> Array:
        """The area of one label against the rest."""
        raise NotImplementedError

    def area_left_out(self, positive: Bools, scores: Array) -> Array:
        """(n,) the area of one label against the rest without each sample."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Auroc(_Area):
    """Area under the ROC curve: how often a positive sample gets a higher probability than a negative one.

        P(p_i > p_j) + P(p_i = p_j)/2 for i positive, j negative

    Half is guessing. With more than two labels each stands against the rest, and the areas are averaged over the labels
    that some samples have and some have not. Of multiple choice, the probabilities are the softmax over the choices. It
    does not see whether probabilities are right, only their order: `log_loss` and `ece` do. There are no totals: in
    clusters the interval is a percentile bootstrap of the rows. Else it is score t, with as many degrees of freedom as
    the fewer of positives and negatives has samples, less one; a single one of either has none.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label, against all others. Without it: of two labels the one called positive, pos, true,
            yes or 1; of more, the average over all.
        average: macro counts every label the same, weighted by how often it is gold.

    Source: Hanley and McNeil 1982; scikit-learn `roc_auc_score(multi_class="ovr", average=average)`, equal to 1e-12.
    """

    name = "auroc"

    def area(self, positive: Bools, scores: Array, weights: Array) -> Array:
        return roc_area(positive, scores, weights)

    def area_left_out(self, positive: Bools, scores: Array) -> Array:
        return roc_area_left_out(positive, scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auprc(_Area):
    """Area under the precision-recall curve, as average precision: for rare positives, where AUROC flatters.

        AP = Σ_t (R_t − R_{t−1}) · P_t

    over the distinct probabilities t from the highest down. Guessing gives the share of positives, so figures of data
    with other shares are not comparable. With more than two labels each stands against the rest, and the areas are
    averaged over the labels that occur. The interval is as with `auroc`; of ten positives or fewer it is too narrow
    where they rank high, for a sample shows too few of those that do not.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label, against all others. Without it: of two labels the one called positive, pos, true,
            yes or 1; of more, the average over all.
        average: macro counts every label the same, weighted by how often it is gold.

    Source: scikit-learn `average_precision_score(average=average)`, equal to 1e-12 where every label occurs.
    """

    name = "auprc"

    def area(self, positive: Bools, scores: Array, weights: Array) -> Array:
        return average_precision(positive, scores, weights)

    def area_left_out(self, positive: Bools, scores: Array) -> Array:
        return average_precision_left_out(positive, scores)
