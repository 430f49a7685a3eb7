"""Labels against gold labels: accuracy, the correlation coefficient of Matthews, the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import LABELLED_KINDS, NEEDS_TARGET, PROPORTION, MeanMetric, ratio
from .labels import LabelledMetric, class_columns, label_list, label_of

__all__ = ["Accuracy", "ConfusionMatrix", "Mcc"]

_MAX_MATRIX_LABELS = 64
OTHER = "(other)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(MeanMetric):
    """Share of answers that are the gold label.

        accuracy = Σ_i [answer_i = target_i] / n

    The answer is the likeliest choice, the classifier's label, what `extract` read, or else the whole output without
    white space at its ends. An answer that could not be read is wrong. Where both are JSON lists (multi-label), they
    are equal if they hold the same labels.

    Source: scikit-learn `accuracy_score`, equal to 1e-12.
    """

    name = "accuracy"
    kinds = LABELLED_KINDS
    needs = NEEDS_TARGET
    interval = PROPORTION
    total = "correct"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [
            None if sample.target is None else float(_same(label_of(response), sample.target))
            for sample, response in zip(samples, responses, strict=True)
        ]


def _same(answer: str | None, gold: str) -> bool:
    if answer is None or answer == gold:
        return answer == gold
    listed = label_list(gold)
    return listed is not None and label_list(answer) == listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcc(LabelledMetric):
    """Matthews' correlation coefficient between answers and gold labels, for any number of classes.

        MCC = (n·c − Σ_k p_k·t_k) / sqrt((n² − Σ p_k²)(n² − Σ t_k²))

    with c the correct answers, p_k how often class k was answered and t_k how often it is gold. Answers outside the
    label set are one further class, never correct. Where the denominator is 0 (one class only) the value is 0.

    Options:
        labels: the label set (default: the task's).

    Source: Gorodkin 2004; scikit-learn `matthews_corrcoef`, equal to 1e-12.
    """

    name = "mcc"
    bounds = (-1.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return class_columns(self.known_labels())

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        return self.class_counts(samples, responses, range(len(self.known_labels())))

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        k = len(self.known_labels())
        n = totals[..., 0]
        gold, answered, correct = (totals[..., 1 + i * k : 1 + (i + 1) * k] for i in range(3))
        other_gold = n - gold.sum(axis=-1)
        other_answered = n - answered.sum(axis=-1)
        covariance = n * correct.sum(axis=-1) - (gold * answered).sum(axis=-1) - other_gold * other_answered
        spread_gold = n * n - (gold * gold).sum(axis=-1) - other_gold**2
        spread_answered = n * n - (answered * answered).sum(axis=-1) - other_answered**2
        # Products of counts are whole numbers, exact in float64: 0 is exactly 0 here. Averages over repeats are not,
        # and may fall a rounding error below it.
        value = ratio(covariance, np.sqrt(np.maximum(spread_gold * spread_answered, 0.0)), empty=0.0)
        return np.where(n > 0, np.clip(value, -1.0, 1.0), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionMatrix(LabelledMetric):
    """How often each answer was given to each gold label; its figure is the share on the diagonal (the accuracy).

        column "gold→answer" = Σ_i [target_i = gold and answer_i = answer]

    The column and the row "(other)" hold answers, and gold labels, that are none of the labels. `matrix` gives the
    counts as a table. At most 64 labels.

    Options:
        labels: the label set, in the order of rows and columns (default: the task's).

    Source: scikit-learn `confusion_matrix` (rows are gold, columns are answers), equal.
    """

    name = "confusion_matrix"
    interval = PROPORTION

    def known_labels(self) -> tuple[str, ...]:
        # Named, for slots classes have no zero-argument super().
        labels = LabelledMetric.known_labels(self)
        if len(labels) > _MAX_MATRIX_LABELS:
            raise UsageError(
                f"confusion_matrix over {len(labels)} labels would need {(len(labels) + 1) ** 2:,} columns a sample; "
                f"it takes at most {_MAX_MATRIX_LABELS}: use f1_macro or mcc, or give it fewer `labels`"
            )
        return labels

    @property
    def columns(self) -> tuple[str, ...]:
        names = (*self.known_labels(), OTHER)
        return ("n", *(f"{gold}→{answer}" for gold in names for answer in names))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, answer = self.codes(samples, responses)
        side = len(self.known_labels()) + 1
        stats = np.zeros((len(samples), 1 + side * side))
        stats[:, 0] = measured
        rows = np.flatnonzero(measured)
        stats[rows, 1 + gold[rows] * side + answer[rows]] = 1.0
        return stats

    def matrix(self, totals: Array) -> Array:
        """(..., K+1, K+1) counts, gold by answer, "(other)" last."""
        totals = np.asarray(totals, dtype=np.float64)
        side = len(self.known_labels()) + 1
        return totals[..., 1:].reshape(*totals.shape[:-1], side, side)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        side = len(self.known_labels()) + 1
        # Not the last diagonal cell: an unreadable answer to an unknown label is not right.
        diagonal = 1 + np.arange(side - 1) * (side + 1)
        return ratio(totals[..., diagonal].sum(axis=-1), totals[..., 0])
