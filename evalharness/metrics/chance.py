"""Labels against gold labels, where guessing the commonest class earns nothing: balanced accuracy, Cohen's kappa."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import ratio
from .labels import LabelledMetric, class_columns, single_labels

__all__ = ["BalancedAccuracy", "CohenKappa"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedAccuracy(LabelledMetric):
    """Mean over the classes that are gold somewhere of the share of their samples that was answered rightly.

        value = Σ_k R_k / |{k : t_k > 0}|,  R_k = TP_k / t_k,  t_k = how often class k is gold

    It differs from `recall_macro` in that a class without samples is left out, where that counts it as 0. An answer
    outside the label set is a miss.

    Options:
        labels: the label set (default: the task's).
        adjusted: makes guessing 0 and perfection 1: (value − 1/c) / (1 − 1/c) with c the classes that occur. NaN
            where one class alone occurs.

    Source: scikit-learn `balanced_accuracy_score(adjusted=adjusted)`, equal to 1e-12.
    """

    adjusted: bool = False

    name = "balanced_accuracy"

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        return (-1.0, 1.0) if self.adjusted else (0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return class_columns(self.known_labels())

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        # Named, for slots classes have no zero-argument super().
        return LabelledMetric.for_task(self, single_labels(labels))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        return self.class_counts(samples, responses, range(len(self.known_labels())))

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        k = len(self.known_labels())
        gold, correct = totals[..., 1 : 1 + k], totals[..., 1 + 2 * k : 1 + 3 * k]
        occurring = (gold > 0).sum(axis=-1)
        value = ratio(ratio(correct, gold, empty=0.0).sum(axis=-1), occurring.astype(np.float64))
        if not self.adjusted:
            return value
        chance = ratio(np.ones(()), occurring.astype(np.float64))
        return ratio(value - chance, 1.0 - chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohenKappa(LabelledMetric):
    """Cohen's kappa: agreement of answers and gold labels beyond what their frequencies give by chance.

        κ = 1 − Σ_ij w_ij·O_ij / Σ_ij w_ij·E_ij,  E_ij = t_i·p_j / n

    with O_ij how often gold i was answered j, t_i and p_j how often each occurs, and the weight of a disagreement
    w_ij = [i ≠ j], |i − j| or (i − j)². An answer outside the label set agrees with nothing, and with an order it is
    as far away as can be. Where one label alone occurs on both sides, chance explains everything: NaN.

    Options:
        labels: the label set, for ordered labels in their order (default: the task's).
        weights: none counts every disagreement the same; linear and quadratic are for ordered labels.

    Source: Cohen 1960 and 1968; scikit-learn `cohen_kappa_score(labels=labels, weights=weights)`, equal to 1e-12.
    """

    weights: Literal["none", "linear", "quadratic"] = "none"

    name = "cohen_kappa"
    bounds = (-1.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        names = (*self.known_labels(), "(other)")
        return ("n", *(f"{part}:{name}" for part in ("gold", "answered") for name in names), "disagreement")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, answer = self.codes(samples, responses)
        side = len(self.known_labels()) + 1
        stats = np.zeros((len(samples), 2 + 2 * side))
        rows = np.flatnonzero(measured)
        stats[rows, 0] = 1.0
        stats[rows, 1 + gold[rows]] = 1.0
        stats[rows, 1 + side + answer[rows]] = 1.0
        stats[rows, -1] = self.weight_matrix()[gold[rows], answer[rows]]
        return stats

    def weight_matrix(self) -> Array:
        """(K+1, K+1) how much each disagreement weighs; the last label is "(other)"."""
        k = len(self.known_labels())
        apart = np.abs(np.subtract.outer(np.arange(k + 1.0), np.arange(k + 1.0)))
        apart[k, :] = apart[:, k] = max(k - 1, 1)
        found: Array = apart if self.weights == "linear" else apart**2
        return (apart > 0).astype(np.float64) if self.weights == "none" else found

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        side = len(self.known_labels()) + 1
        gold, answered = totals[..., 1 : 1 + side], totals[..., 1 + side : 1 + 2 * side]
        by_chance = ratio(((gold @ self.weight_matrix()) * answered).sum(axis=-1), totals[..., 0])
        # Sums of fractions (means over repeats) can fall a rounding error below −1.
        return np.maximum(1.0 - ratio(totals[..., -1], by_chance), -1.0)
