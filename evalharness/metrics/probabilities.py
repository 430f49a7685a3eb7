"""How good the probabilities of labels are: log loss, Brier score, top-k accuracy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Kind, Response, Sample
from evalharness.stats.arrays import Bools, Ints, NDArray, np

from .base import PROPORTION, BaseMetric, check_batch, ratio, require
from .labels import LabelledMetric, choose_positive

__all__ = ["BrierBinary", "BrierMulticlass", "LogLoss", "ProbabilityMetric", "TopKAccuracy", "label_probabilities"]

_SCORED: frozenset[Kind] = frozenset({"classify", "loglikelihood"})
# scikit-learn's: the smallest step of float64 at 1.
_SMALLEST = float.fromhex("0x1p-52")


def label_probabilities(sample: Sample, response: Response) -> dict[str, float]:
    """The probability of each label: a classifier's own, else of the choices by their log-likelihoods; {} if neither.

    The probabilities of choices are the softmax of their log-likelihoods: how likely each is if one of them it must be.
    """
    if response.label_probabilities:
        return dict(response.label_probabilities)
    totals = [found.total for found in response.loglikelihoods]
    if not totals or len(totals) != len(sample.choices) or not max(totals) > -math.inf or any(map(math.isnan, totals)):
        return {}
    shares = [math.exp(total - max(totals)) for total in totals]
    found: dict[str, float] = {}
    for choice, share in zip(sample.choices, shares, strict=True):
        found[choice] = found.get(choice, 0.0) + share / math.fsum(shares)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityMetric(LabelledMetric):
    """A metric over the probabilities of a label set: its option `labels`, or else the task's.

    Measured are samples with a gold label of the set whose answer carries a probability for at least one label of it;
    a label that the model does not name has probability 0.
    """

    kinds = _SCORED
    interval = BaseMetric.interval
    scores_blank = False

    def read(self, samples: Sequence[Sample], responses: Sequence[Response]) -> tuple[Bools, Ints, NDArray[np.float64]]:
        """(measured (n,), gold (n,) label numbers, probabilities (n, K)); 0 where nothing is measured."""
        check_batch(samples, responses)
        labels = self.known_labels()
        number = {label: i for i, label in enumerate(labels)}
        measured = np.zeros(len(samples), dtype=np.bool_)
        gold = np.zeros(len(samples), dtype=np.int64)
        found = np.zeros((len(samples), len(labels)))
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            if sample.target is None or sample.target not in number:
                continue
            given = label_probabilities(sample, response)
            known = {number[label]: p for label, p in given.items() if label in number and not math.isnan(p)}
            if known:
                measured[row], gold[row] = True, number[sample.target]
                found[row, list(known)] = list(known.values())
        return measured, gold, np.minimum(found, 1.0)

    def mean_rows(self, measured: Bools, values: Array) -> Array:
        """(n, 2) rows of a mean: measured, and the value where that is so."""
        known = np.asarray(measured, dtype=np.float64)
        return np.stack([known, np.where(measured, values, 0.0)], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLoss(ProbabilityMetric):
    """Mean negative log-probability of the gold label (NLL, cross-entropy), in nats.

        Σ_i −ln p_i(gold_i) / n

    Probabilities are kept within [2⁻⁵², 1 − 2⁻⁵²], so that one certain mistake costs 36 nats and not all. Guessing
    evenly among K labels costs ln K. Of multiple choice, the probabilities are the softmax over the choices.

    Options:
        labels: the label set (default: the task's).

    Source: scikit-learn `log_loss`, equal to 1e-12 for probabilities that sum to 1.
    """

    name = "log_loss"
    higher_is_better = False
    bounds = (0.0, math.inf)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "nats")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, found = self.read(samples, responses)
        chosen = np.clip(found[np.arange(len(gold)), gold], _SMALLEST, 1 - _SMALLEST)
        return self.mean_rows(measured, -np.log(chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierMulticlass(ProbabilityMetric):
    """Mean squared distance between the probabilities of all labels and the gold label (Brier's own form).

        Σ_i Σ_k (p_ik − [k = gold_i])² / n

    from 0 to 2. With two labels it is twice `brier_binary`, which is scikit-learn's; lm-eval's `brier_score` is this.

    Options:
        labels: the label set (default: the task's).

    Source: Brier 1950; lm-evaluation-harness `brier_score` and scikit-learn `brier_score_loss(scale_by_half=False)`,
    equal to 1e-12.
    """

    name = "brier_multiclass"
    higher_is_better = False
    bounds = (0.0, 2.0)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "squares")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, found = self.read(samples, responses)
        found[np.arange(len(gold)), gold] -= 1.0
        # Independent probabilities (of a multi-label classifier) can lie further off than the bound.
        return self.mean_rows(measured, np.minimum((found**2).sum(axis=1), 2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierBinary(ProbabilityMetric):
    """Mean squared distance between the positive label's probability and what came true, as scikit-learn has it.

        Σ_i (p_i(positive) − [gold_i = positive])² / n

    from 0 to 1; a fair coin gets 0.25. lm-eval's `brier_score` is twice this for two labels: `brier_multiclass`.

    Options:
        labels: the label set (default: the task's).
        positive: the positive label. It may be left out where one of two labels is called positive, pos, true, yes
            or 1; with more labels it stands against all others.

    Source: scikit-learn `brier_score_loss(pos_label=positive)`, equal to 1e-12.
    """

    positive: str | None = None

    name = "brier_binary"
    higher_is_better = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "squares")

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        chosen = self.labels or tuple(labels)
        positive = choose_positive(chosen, self.positive, metric=self.name)
        return dataclasses.replace(self, labels=chosen, positive=positive)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        labels = self.known_labels()
        positive = labels.index(choose_positive(labels, self.positive, metric=self.name))
        measured, gold, found = self.read(samples, responses)
        return self.mean_rows(measured, (found[:, positive] - (gold == positive)) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopKAccuracy(ProbabilityMetric):
    """Share of samples whose gold label is among the k most probable ones.

        Σ_i [|{j : p_ij > p_i(gold_i)}| < k] / n

    Of equal probabilities the label that stands first in the label set comes first; `accuracy` takes the label that the
    classifier says, so that with k = 1 the two may differ where the highest probabilities are equal.

    Options:
        labels: the label set (default: the task's).
        k: how many of the most probable labels count.

    Source: scikit-learn `top_k_accuracy_score`, equal where no probabilities are equal (it puts the last one first).
    """

    k: int = 2

    name = "top_k_accuracy"
    interval = PROPORTION

    def __post_init__(self) -> None:
        # Named, for slots classes have no zero-argument super().
        LabelledMetric.__post_init__(self)
        require(self.k >= 1, f"k must be at least 1; got {self.k}")

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "correct")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        measured, gold, found = self.read(samples, responses)
        own = found[np.arange(len(gold)), gold][:, None]
        earlier = np.arange(found.shape[1])[None, :] < gold[:, None]
        before = ((found > own) | ((found == own) & earlier)).sum(axis=1)
        return self.mean_rows(measured, (before < self.k).astype(np.float64))
