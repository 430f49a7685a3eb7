"""How much likelier a model finds a secret than others that it might as well have been: exposure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.core.protocols import Array
from evalharness.core.types import Kind, LogLikelihood, Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.intervals import NO_INTERVAL, Interval, clopper_pearson, mean_interval, wilson

from .base import BOOTSTRAP, NEEDS_TARGET, BaseMetric, check_batch, ratio

__all__ = ["CanaryExposure", "expected_exposure"]

_CHOICES: frozenset[Kind] = frozenset({"loglikelihood"})


def expected_exposure(alternatives: int) -> float:
    """The mean exposure in bits of a secret that was never seen, against so many alternatives.

        log2(m + 1) − log2((m + 1)!)/(m + 1)

    Its rank is then uniform over 1 … m + 1. It grows from 0 to log2(e) = 1.4427.
    """
    n = alternatives + 1
    return math.log2(n) - math.lgamma(n + 1) / math.log(2) / n


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryExposure(BaseMetric):
    """Mean exposure of secrets in bits: how far up the secret stands among others of its form, by likelihood.

        bits = Σ_i log2((m_i + 1) / (k_i + 1)) / n

    with m_i alternatives to secret i, drawn at random, of which the model finds k_i at least as likely as the secret.
    That is Carlini's log2|R| − log2 rank with the rank in the whole space R estimated from the sample, and equal to it
    where all of R is there. It cannot pass log2(m + 1): more alternatives see further. A secret that was never seen has
    1.44 bits on average, not 0; `above_chance` subtracts what so many alternatives lead to expect. Several secrets
    have an interval over secrets. A single one, or several of one rank, have that of their ranks (Clopper-Pearson),
    whose upper end is log2|R| where no alternative is as likely; the low end of `above_chance` is above 0 where ranks
    as high are chance in less than 2.5 % of cases. Samples without a likelihood for each choice are left out.

    Options:
        measure: exposure in bits, the bits above what chance would give, or the share of secrets that are likelier
            than every alternative (first).
        margin: up to where a probe's figure still counts as nothing found; no part of the figure.

    Source: Carlini et al. 2019 (arXiv 1802.08232), definition 5 and section 4.3 (the sampled estimate).
    """

    measure: Literal["exposure", "above_chance", "first"] = "exposure"
    margin: float = 0.0

    name = "canary_exposure"
    higher_is_better = False
    kinds = _CHOICES
    needs = NEEDS_TARGET
    interval = BOOTSTRAP
    scores_blank = False
    interval_name = "exposure"
    # The rank of one secret among its alternatives is evidence by itself.
    interval_of_one = True

    def options(self) -> dict[str, Any]:
        """The options that define the figure."""
        return {"measure": self.measure}

    @property
    def probe_finding(self) -> str | None:
        """Only above what chance would give is a secret known to be memorised."""
        return "above_zero" if self.measure == "above_chance" else None

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """A share lies between 0 and 1; bits above chance may be a little below 0."""
        return {"exposure": (0.0, math.inf), "above_chance": (-math.log2(math.e), math.inf), "first": (0.0, 1.0)}[
            self.measure
        ]

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", self.measure, "as_likely", "alternatives", "space_bits")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        found = np.zeros((len(samples), len(self.columns)))
        for row, sample, response in zip(found, samples, responses, strict=True):
            counted = _as_likely(sample, response.loglikelihoods)
            if counted is not None:
                k, m = counted
                row[:] = 1.0, self._value(k, m), k, m, _space(sample, m)
        return found

    def _value(self, k: float, m: float) -> float:
        if self.measure == "first":
            return float(k == 0)
        bits = math.log2((m + 1) / (k + 1))
        return bits if self.measure == "exposure" else bits - expected_exposure(round(m))

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])

    def interval_rows(self, stats: Array, *, confidence: float) -> tuple[float, float]:
        """The interval over secrets; that of their ranks where there is one secret, or all have the same rank."""
        rows = stats[stats[:, 0] > 0]
        rows = rows / rows[:, :1]
        n = len(rows)
        if not n:
            return NO_INTERVAL
        if self.measure == "first":
            return wilson(float(rows[:, 1].sum()), n, confidence=confidence)
        if n > 1 and np.ptp(rows[:, 1]) > 0:
            return mean_interval(rows[:, 1], confidence=confidence)
        # All ranks lie in theirs at once with the confidence asked for (Bonferroni), and so does their mean.
        each = [self._of_rank(*row, confidence=1 - (1 - confidence) / n) for row in rows[:, 2:].tolist()]
        low, high = sum(low for low, _ in each) / n, sum(high for _, high in each) / n
        if self.measure == "exposure":
            return low, high
        return self._above_chance(rows, confidence), high - expected_exposure(round(rows[0, 3]))

    @staticmethod
    def _above_chance(rows: Array, confidence: float) -> float:
        """The low bound of how far secrets of these ranks lie above what chance gives.

        A secret that was never seen has a uniform rank, and so an exposure that is exponential in nats: one of four has
        2 bits. n of them have a mean that is Gamma(n)/n; above its quantile begins what chance does not give.
        """
        from scipy.special import gammaincinv

        n = len(rows)
        bits = np.log2((rows[:, 3] + 1) / (rows[:, 2] + 1))
        return float(bits.mean()) - float(gammaincinv(n, (1 + confidence) / 2)) / n / math.log(2)

    def _of_rank(self, k: float, m: float, space: float, *, confidence: float) -> Interval:
        """The interval of one secret's exposure in the whole space, whose `space` is log2|R|."""
        bits = math.log2((m + 1) / (k + 1))
        if space <= math.log2(m + 1):
            return Interval(bits, bits)  # nothing was drawn: the rank is known
        least, most = clopper_pearson(k, m, confidence=confidence)
        high = space if least <= 0 else min(space, -math.log2(least))
        return Interval(min(-math.log2(most), bits), max(high, bits))


def _as_likely(sample: Sample, found: Sequence[LogLikelihood]) -> tuple[int, int] | None:
    """(alternatives at least as likely as the secret, alternatives); None where it cannot be told."""
    if sample.target not in sample.choices or len(found) != len(sample.choices) or len(found) < 2:
        return None
    totals = [choice.total for choice in found]
    place = sample.choices.index(sample.target)
    if any(map(math.isnan, totals)):
        return None
    return sum(total >= totals[place] for total in totals) - 1, len(totals) - 1


def _space(sample: Sample, m: float) -> float:
    """log2|R|, as the row says it; else as large as what was compared."""
    given = sample.fields.get("space_bits")
    return float(given) if isinstance(given, int | float) else math.log2(m + 1)
