"""Precision, recall and F1 over classes; the average is always part of the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import ratio, require
from .labels import LabelledMetric, choose_positive, class_columns, single_labels

__all__ = [
    "F1Binary",
    "F1Macro",
    "F1Micro",
    "F1Weighted",
    "PerClass",
    "PrecisionBinary",
    "PrecisionMacro",
    "PrecisionMicro",
    "PrecisionWeighted",
    "RecallBinary",
    "RecallMacro",
    "RecallMicro",
    "RecallWeighted",
]

Figure = Literal["precision", "recall", "f1"]


def _figure(figure: Figure, gold: Array, answered: Array, correct: Array) -> Array:
    """Precision, recall or F1 from counts; 0 where the denominator is 0, as scikit-learn's zero_division=0."""
    if figure == "precision":
        return ratio(correct, answered, empty=0.0)
    if figure == "recall":
        return ratio(correct, gold, empty=0.0)
    return ratio(2.0 * correct, gold + answered, empty=0.0)


class PerClass(LabelledMetric):
    """A figure from the counts of each class (gold, answered, correct): 3K columns, not the K² matrix."""

    __slots__ = ()

    figure: ClassVar[Figure] = "f1"

    @property
    def columns(self) -> tuple[str, ...]:
        return class_columns(self.counted())

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        # Named, for slots classes have no zero-argument super().
        return LabelledMetric.for_task(self, single_labels(labels))

    def counted(self) -> tuple[str, ...]:
        """The labels that are counted."""
        return self.known_labels()

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        labels = self.known_labels()
        return self.class_counts(samples, responses, [labels.index(label) for label in self.counted()])

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        k = len(self.counted())
        gold, answered, correct = (totals[..., 1 + i * k : 1 + (i + 1) * k] for i in range(3))
        return np.where(totals[..., 0] > 0, self.average(gold, answered, correct), np.nan)

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        """The figure (...) from the counts (..., K)."""
        raise NotImplementedError


class _Micro(PerClass):
    __slots__ = ()

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        return _figure(self.figure, gold.sum(axis=-1), answered.sum(axis=-1), correct.sum(axis=-1))


class _Macro(PerClass):
    __slots__ = ()

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        result: Array = _figure(self.figure, gold, answered, correct).mean(axis=-1)
        return result


class _Weighted(PerClass):
    __slots__ = ()

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        figures = _figure(self.figure, gold, answered, correct)
        return ratio((figures * gold).sum(axis=-1), gold.sum(axis=-1), empty=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Binary(PerClass):
    positive: str | None = None

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        chosen = self.labels or single_labels(labels)
        require(bool(chosen), f"{self.name} needs the label set: give the task `labels: [...]`")
        return type(self)(labels=chosen, positive=choose_positive(chosen, self.positive, metric=self.name))

    def counted(self) -> tuple[str, ...]:
        return (choose_positive(self.known_labels(), self.positive, metric=self.name),)

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        return _figure(self.figure, gold[..., 0], answered[..., 0], correct[..., 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionBinary(_Binary):
    """Precision of the positive class.

        P = TP / (TP + FP)

    It is 0 where the denominator is 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label. It may be left out where one of two labels is called positive, pos, true, yes
            or 1; other label sets are refused without it.

    Source: scikit-learn `precision_score(pos_label=positive, average="binary", zero_division=0)`, equal to 1e-12.
    """

    name = "precision_binary"
    figure: ClassVar[Figure] = "precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionMicro(_Micro):
    """Precision over the counts of all classes together.

        P = Σ_k TP_k / Σ_k (TP_k + FP_k)

    It is 0 where the denominator is 0. Without answers outside the label set it equals the accuracy.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `precision_score(labels=labels, average="micro", zero_division=0)`, equal to 1e-12.
    """

    name = "precision_micro"
    figure: ClassVar[Figure] = "precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionMacro(_Macro):
    """Mean over the classes of each one's precision, every class counting the same.

        value = Σ_k P_k / K,  P_k = TP_k / (TP_k + FP_k)

    A class with denominator 0 counts as 0, also one that never occurs.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `precision_score(labels=labels, average="macro", zero_division=0)`, equal to 1e-12.
    """

    name = "precision_macro"
    figure: ClassVar[Figure] = "precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionWeighted(_Weighted):
    """Mean over the classes of each one's precision, weighted by how often it is gold.

        value = Σ_k t_k·P_k / Σ_k t_k,  P_k = TP_k / (TP_k + FP_k),  t_k = TP_k + FN_k

    A class with denominator 0 counts as 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `precision_score(labels=labels, average="weighted", zero_division=0)`, equal to 1e-12.
    """

    name = "precision_weighted"
    figure: ClassVar[Figure] = "precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallBinary(_Binary):
    """Recall of the positive class.

        R = TP / (TP + FN)

    It is 0 where the denominator is 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label. It may be left out where one of two labels is called positive, pos, true, yes
            or 1; other label sets are refused without it.

    Source: scikit-learn `recall_score(pos_label=positive, average="binary", zero_division=0)`, equal to 1e-12.
    """

    name = "recall_binary"
    figure: ClassVar[Figure] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallMicro(_Micro):
    """Recall over the counts of all classes together.

        R = Σ_k TP_k / Σ_k (TP_k + FN_k)

    It is 0 where the denominator is 0. Without answers outside the label set it equals the accuracy.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `recall_score(labels=labels, average="micro", zero_division=0)`, equal to 1e-12.
    """

    name = "recall_micro"
    figure: ClassVar[Figure] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallMacro(_Macro):
    """Mean over the classes of each one's recall, every class counting the same.

        value = Σ_k R_k / K,  R_k = TP_k / (TP_k + FN_k)

    A class with denominator 0 counts as 0, also one that never occurs.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `recall_score(labels=labels, average="macro", zero_division=0)`, equal to 1e-12.
    """

    name = "recall_macro"
    figure: ClassVar[Figure] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallWeighted(_Weighted):
    """Mean over the classes of each one's recall, weighted by how often it is gold.

        value = Σ_k t_k·R_k / Σ_k t_k,  R_k = TP_k / (TP_k + FN_k),  t_k = TP_k + FN_k

    A class with denominator 0 counts as 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `recall_score(labels=labels, average="weighted", zero_division=0)`, equal to 1e-12.
    """

    name = "recall_weighted"
    figure: ClassVar[Figure] = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Binary(_Binary):
    """F1 of the positive class.

        F1 = 2·TP / (2·TP + FP + FN)

    It is 0 where the denominator is 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label. It may be left out where one of two labels is called positive, pos, true, yes
            or 1; other label sets are refused without it.

    Source: scikit-learn `f1_score(pos_label=positive, average="binary", zero_division=0)`, equal to 1e-12.
    """

    name = "f1_binary"
    figure: ClassVar[Figure] = "f1"


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Micro(_Micro):
    """F1 over the counts of all classes together.

        F1 = 2·Σ_k TP_k / Σ_k (2·TP_k + FP_k + FN_k)

    It is 0 where the denominator is 0. Without answers outside the label set it equals the accuracy.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `f1_score(labels=labels, average="micro", zero_division=0)`, equal to 1e-12.
    """

    name = "f1_micro"
    figure: ClassVar[Figure] = "f1"


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Macro(_Macro):
    """Mean over the classes of each one's F1, every class counting the same.

        value = Σ_k F1_k / K,  F1_k = 2·TP_k / (2·TP_k + FP_k + FN_k)

    A class with denominator 0 counts as 0, also one that never occurs.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `f1_score(labels=labels, average="macro", zero_division=0)`, equal to 1e-12.
    """

    name = "f1_macro"
    figure: ClassVar[Figure] = "f1"


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Weighted(_Weighted):
    """Mean over the classes of each one's F1, weighted by how often it is gold.

        value = Σ_k t_k·F1_k / Σ_k t_k,  F1_k = 2·TP_k / (2·TP_k + FP_k + FN_k),  t_k = TP_k + FN_k

    A class with denominator 0 counts as 0.
    An answer outside the label set, or one that could not be read, is a miss of its gold class and no class of its own.
    A gold label that is a JSON list of labels makes the task multi-label: the answer is then read as a list too.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `f1_score(labels=labels, average="weighted", zero_division=0)`, equal to 1e-12.
    """

    name = "f1_weighted"
    figure: ClassVar[Figure] = "f1"
