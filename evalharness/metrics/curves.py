"""How well probabilities order the samples: the areas under the ROC and the precision-recall curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.curves import average_precision, roc_area

from .base import BOOTSTRAP
from .labels import choose_positive
from .probabilities import ProbabilityMetric

__all__ = ["Auprc", "Auroc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area(ProbabilityMetric):
    """An area under a curve of each label against the rest; it needs the order of all rows, so totals give none."""

    positive: str | None = None
    average: Literal["macro", "weighted"] = "macro"

    interval = BOOTSTRAP

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
        labels = self.known_labels()
        known = np.flatnonzero(stats[:, 0] > 0)
        weight = np.ones(len(stats)) if weights is None else np.asarray(weights, dtype=np.float64)
        weight = weight[..., known]
        classes = range(len(labels)) if self.positive is None else [labels.index(self.positive)]
        areas, sizes = [], []
        for number in classes:
            # A mean over repeats of one sample has the same gold label in all of them.
            is_gold = stats[known, 1 + number] > 0
            areas.append(self.area(is_gold, stats[known, 1 + len(labels) + number], weight))
            sizes.append((weight * is_gold).sum(axis=-1))
        area, size = np.stack(areas, axis=-1), np.stack(sizes, axis=-1)
        share = np.where(np.isnan(area), 0.0, 1.0 if self.average == "macro" else size)
        total = share.sum(axis=-1)
        value = (np.nan_to_num(area) * share).sum(axis=-1)
        result: Array = np.divide(value, total, out=np.full(total.shape, np.nan), where=total > 0)
        return result

    def area(self, positive: Array, scores: Array, weights: Array) -> Array:
        """The area of one label against the rest."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Auroc(_Area):
    """Area under the ROC curve: how often a positive sample gets a higher probability than a negative one.

        P(p_i > p_j) + P(p_i = p_j)/2 for i positive, j negative

    Half is guessing. With more than two labels each stands against the rest, and the areas are averaged over the labels
    that some samples have and some have not. Of multiple choice, the probabilities are the softmax over the choices. It
    does not see whether probabilities are right, only their order: `log_loss` and `ece` do. There are no totals, so
    the interval is a percentile bootstrap of the rows.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label, against all others. Without it: of two labels the one called positive, pos, true,
            yes or 1; of more, the average over all.
        average: macro counts every label the same, weighted by how often it is gold.

    Source: Hanley and McNeil 1982; scikit-learn `roc_auc_score(multi_class="ovr", average=average)`, equal to 1e-12.
    """

    name = "auroc"

    def area(self, positive: Array, scores: Array, weights: Array) -> Array:
        return roc_area(positive, scores, weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auprc(_Area):
    """Area under the precision-recall curve, as average precision: for rare positives, where AUROC flatters.

        AP = Σ_t (R_t − R_{t−1}) · P_t

    over the distinct probabilities t from the highest down. Guessing gives the share of positives, so figures of data
    with other shares are not comparable. With more than two labels each stands against the rest, and the areas are
    averaged over the labels that occur. There are no totals, so the interval is a percentile bootstrap of the rows.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label, against all others. Without it: of two labels the one called positive, pos, true,
            yes or 1; of more, the average over all.
        average: macro counts every label the same, weighted by how often it is gold.

    Source: scikit-learn `average_precision_score(average=average)`, equal to 1e-12 where every label occurs.
    """

    name = "auprc"

    def area(self, positive: Array, scores: Array, weights: Array) -> Array:
        return average_precision(positive, scores, weights)
