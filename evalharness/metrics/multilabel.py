"""Sets of labels against sets of gold labels: each sample may have several labels, or none.

A set is written as a JSON list, `["anger","joy"]`, in the task's `target` and in the answer, as multi-label classifiers
give it; `{{ labels }}` of a row whose column holds a list is written so. Everything else is a set of one label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .averages import PerClass
from .base import LABELLED_KINDS, NEEDS_TARGET, PROPORTION, MeanMetric, ratio
from .labels import LabelledMetric, label_list, label_of, single_labels

__all__ = ["F1Samples", "HammingLoss", "JaccardMacro", "JaccardMicro", "JaccardSamples", "SubsetAccuracy"]


def _sets(sample: Sample, response: Response) -> tuple[frozenset[str], frozenset[str] | None] | None:
    """The gold set and the answered one (None where it could not be read); None for a sample without a target."""
    if sample.target is None:
        return None
    gold, said = label_list(sample.target), label_of(response)
    if gold is None:
        return frozenset({sample.target}), None if said is None else frozenset({said})
    answer = None if said is None else label_list(said)
    return frozenset(gold), None if answer is None else frozenset(answer)


class _OfSets(MeanMetric):
    """A mean over samples of a figure of two sets; an answer that is no set is wrong as a whole."""

    __slots__ = ()

    kinds = LABELLED_KINDS
    needs = NEEDS_TARGET

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found = [_sets(sample, response) for sample, response in zip(samples, responses, strict=True)]
        return [None if pair is None else 0.0 if pair[1] is None else self.of(pair[0], pair[1]) for pair in found]

    def of(self, gold: frozenset[str], answer: frozenset[str]) -> float:
        """The figure of one sample."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetAccuracy(_OfSets):
    """Share of samples whose set of labels is answered exactly, every label of it and no other.

        Σ_i [A_i = G_i] / n

    The strictest figure of several labels; for sets of one label it is the accuracy. A set is a JSON list of labels:
    `["anger","joy"]`, in any order.

    Source: scikit-learn `accuracy_score` of indicator matrices, equal to 1e-12.
    """

    name = "subset_accuracy"
    interval = PROPORTION
    total = "correct"

    def of(self, gold: frozenset[str], answer: frozenset[str]) -> float:
        return float(gold == answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class F1Samples(_OfSets):
    """Mean over samples of the F1 of each one's own labels.

        Σ_i 2·|A_i ∩ G_i| / (|A_i| + |G_i|) / n

    A set is a JSON list of labels: `["anger","joy"]`. `f1_micro`, `f1_macro` and `f1_weighted` average over labels.

    Options:
        both_empty: what a sample is worth that has no labels and is given none. scikit-learn's default is 0, which
            calls the right answer wrong.

    Source: scikit-learn `f1_score(average="samples", zero_division=both_empty)`, equal to 1e-12.
    """

    both_empty: Literal[0, 1] = 1

    name = "f1_samples"

    def of(self, gold: frozenset[str], answer: frozenset[str]) -> float:
        return 2 * len(gold & answer) / (len(gold) + len(answer)) if gold or answer else float(self.both_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class JaccardSamples(_OfSets):
    """Mean over samples of the labels that both sets share, as a share of those in either.

        Σ_i |A_i ∩ G_i| / |A_i ∪ G_i| / n

    A set is a JSON list of labels: `["anger","joy"]`.

    Options:
        both_empty: what a sample is worth that has no labels and is given none. scikit-learn's default is 0, which
            calls the right answer wrong.

    Source: scikit-learn `jaccard_score(average="samples", zero_division=both_empty)`, equal to 1e-12.
    """

    both_empty: Literal[0, 1] = 1

    name = "jaccard_samples"

    def of(self, gold: frozenset[str], answer: frozenset[str]) -> float:
        return len(gold & answer) / len(gold | answer) if gold or answer else float(self.both_empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class JaccardMicro(PerClass):
    """Share of correct labels among all that are gold or answered, over all samples and labels together.

        Σ_k TP_k / Σ_k (TP_k + FP_k + FN_k)

    It is 0 where the denominator is 0. A set is a JSON list of labels: `["anger","joy"]`.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `jaccard_score(labels=labels, average="micro", zero_division=0)`, equal to 1e-12.
    """

    name = "jaccard_micro"

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        shared = correct.sum(axis=-1)
        return ratio(shared, gold.sum(axis=-1) + answered.sum(axis=-1) - shared, empty=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class JaccardMacro(PerClass):
    """Mean over the labels of each one's Jaccard index, every label counting the same.

        value = Σ_k J_k / K,  J_k = TP_k / (TP_k + FP_k + FN_k)

    A label with denominator 0 counts as 0. A set is a JSON list of labels: `["anger","joy"]`.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `jaccard_score(labels=labels, average="macro", zero_division=0)`, equal to 1e-12.
    """

    name = "jaccard_macro"

    def average(self, gold: Array, answered: Array, correct: Array) -> Array:
        result: Array = ratio(correct, gold + answered - correct, empty=0.0).mean(axis=-1)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class HammingLoss(LabelledMetric):
    """Share of the decisions on single labels, given or not, that are wrong.

        Σ_i |A_i △ G_i ∩ L| / (n·K)

    over the K labels of the set L. With many labels and few of them gold it is small for any answer: an empty one too.
    An answer that could not be read misses all gold labels. A set is a JSON list of labels: `["anger","joy"]`.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `hamming_loss` of indicator matrices, equal to 1e-12.
    """

    name = "hamming_loss"
    higher_is_better = False
    interval = MeanMetric.interval
    scores_blank = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "share_wrong")

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        # Named, for slots classes have no zero-argument super().
        return LabelledMetric.for_task(self, single_labels(labels))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        k = len(self.known_labels())
        counts = self.class_counts(samples, responses, range(k))
        wrong = (counts[:, 1 : 1 + k] != counts[:, 1 + k : 1 + 2 * k]).sum(axis=1) / max(k, 1)
        return np.stack([counts[:, 0], wrong], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])
