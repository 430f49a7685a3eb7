"""What answers cost: time, tokens, length. Answers that carry no such number are not measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalharness.core.protocols import Array
from evalharness.core.types import KINDS, Response, Sample
from evalharness.stats.arrays import Ints, np
from evalharness.stats.quantiles import quantile_interval, weighted_quantile

from .base import BOOTSTRAP, NEEDS_NOTHING, TEXT_KINDS, MeanMetric, ratio

__all__ = [
    "CostMean",
    "CostTotal",
    "InputTokens",
    "LatencyMean",
    "LatencyP50",
    "LatencyP95",
    "OutputChars",
    "OutputTokens",
    "TtftP50",
    "TtftP95",
]


class _Cost(MeanMetric):
    """A mean of what responses carry; less is better."""

    __slots__ = ()

    higher_is_better = False
    bounds = (0.0, math.inf)
    kinds = frozenset(KINDS)
    needs = NEEDS_NOTHING
    scores_blank = False

    def measure(self, response: Response) -> float | None:
        """The number that a response carries."""
        raise NotImplementedError

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found = [self.measure(response) for response in responses]
        return [None if value is None or math.isnan(value) else float(value) for value in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMean(_Cost):
    """Mean time from asking to the whole answer, in seconds.

        Σ_i latency_i / n

    over the responses whose time is known. An answer from the response store keeps the time of the call that made it.

    Source: the arithmetic mean.
    """

    name = "latency_mean_s"
    total = "seconds"

    def measure(self, response: Response) -> float | None:
        return response.latency_s


class _LatencyQuantile(_Cost):
    """A quantile does not follow from totals: the rows themselves are read (`finalize_rows`)."""

    __slots__ = ()

    total = "seconds"
    interval = BOOTSTRAP
    q: ClassVar[float] = 0.5

    def measure(self, response: Response) -> float | None:
        return response.latency_s

    def finalize(self, totals: Array) -> Array:
        """The latency of a single sample; NaN for totals of more than one."""
        totals = np.asarray(totals, dtype=np.float64)
        return np.where(totals[..., 0] <= 1, ratio(totals[..., 1], totals[..., 0]), np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The quantile of the rows (n, 2) for each row of frequency weights (..., n)."""
        return weighted_quantile(ratio(stats[:, 1], stats[:, 0]), self.q, weights)

    def interval_rows(self, stats: Array, *, confidence: float) -> tuple[float, float]:
        """The distribution-free interval of the rows."""
        return quantile_interval(ratio(stats[:, 1], stats[:, 0]), self.q, confidence=confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyP50(_LatencyQuantile):
    """Median time from asking to the whole answer, in seconds.

        the 0.5-quantile of latency_i, linear between order statistics

    over the responses whose time is known. Its interval lies between two order statistics and assumes no
    distribution; with few samples a side is open (0 or inf).

    Source: numpy `quantile` (its default method), equal; interval by Hahn and Meeker 1991, section 5.2.
    """

    name = "latency_p50_s"
    q: ClassVar[float] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyP95(_LatencyQuantile):
    """The time within which 95 of 100 answers were there, in seconds.

        the 0.95-quantile of latency_i, linear between order statistics

    over the responses whose time is known. Its interval lies between two order statistics and assumes no
    distribution; below 72 samples the upper side of the 95 % interval is open (inf),
    and where too few clusters tell.

    Source: numpy `quantile` (its default method), equal; interval by Hahn and Meeker 1991, section 5.2.
    """

    name = "latency_p95_s"
    q: ClassVar[float] = 0.95


class _TtftQuantile(_LatencyQuantile):
    __slots__ = ()

    kinds = TEXT_KINDS

    def measure(self, response: Response) -> float | None:
        # Only streamed answers have it; backends write it where they write all that not every response has.
        value = response.meta.get("ttft_s")
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TtftP50(_TtftQuantile):
    """Median time from asking to the first piece of the answer, in seconds.

        the 0.5-quantile of ttft_i, linear between order statistics

    over the responses that were streamed (`stream: true` of the model); thoughts are pieces of the answer, too. Its
    interval lies between two order statistics and assumes no distribution. An answer from the response store keeps the
    time of the call that made it.

    Source: numpy `quantile` (its default method), equal; interval by Hahn and Meeker 1991, section 5.2.
    """

    name = "ttft_p50_s"
    q: ClassVar[float] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TtftP95(_TtftQuantile):
    """The time within which 95 of 100 answers had begun, in seconds.

        the 0.95-quantile of ttft_i, linear between order statistics

    over the responses that were streamed (`stream: true` of the model); thoughts are pieces of the answer, too. Below
    72 samples the upper side of the 95 % interval is open (inf).

    Source: numpy `quantile` (its default method), equal; interval by Hahn and Meeker 1991, section 5.2.
    """

    name = "ttft_p95_s"
    q: ClassVar[float] = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTokens(_Cost):
    """Mean number of tokens of the prompt, as the model's own tokenizer counts them.

        Σ_i input_tokens_i / n

    over the responses that say it. Multiply by n for the tokens of the task.

    Source: the arithmetic mean of what the backend reports.
    """

    name = "input_tokens"
    total = "tokens"

    def measure(self, response: Response) -> float | None:
        return response.input_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTokens(_Cost):
    """Mean number of tokens of the answer, as the model's own tokenizer counts them.

        Σ_i output_tokens_i / n

    over the responses that say it.

    Source: the arithmetic mean of what the backend reports.
    """

    name = "output_tokens"
    total = "tokens"

    def measure(self, response: Response) -> float | None:
        return response.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChars(_Cost):
    """Mean length of the answer in Unicode characters, as it came.

        Σ_i |text_i| / n

    Shorter counts as better, for it is a cost; no judgement on the answer is meant.

    Source: Python's `len` of the text (code points).
    """

    name = "output_chars"
    kinds = TEXT_KINDS
    total = "characters"

    def measure(self, response: Response) -> float | None:
        return None if response.text is None else len(response.text)


class _Price(_Cost):
    """What responses cost, as the run that asked for them reckoned it."""

    __slots__ = ()

    total = "usd"

    def measure(self, response: Response) -> float | None:
        cost = response.meta.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostMean(_Price):
    """Mean cost of an answer, in US dollars.

        Σ_i cost_i / n

    over the responses whose cost is known: those of models with a price that say their tokens. An answer from the
    response store keeps what it cost when it was asked.

    Source: the arithmetic mean.
    """

    name = "cost_usd"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTotal(_Price):
    """Cost of all answers of the task, in US dollars, those to all repeats of a sample together.

        Σ_i cost_i

    over the responses whose cost is known; NaN where none is. The interval says how much it would vary with other
    samples of the same kind.

    Source: the sum.
    """

    name = "cost_total_usd"
    interval = BOOTSTRAP

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return np.where(totals[..., 0] > 0, totals[..., 1], np.nan)

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """One row a sample: what its repeats cost together, where a mean would be taken else."""
        merged = np.zeros((int(owner.max()) + 1, rows.shape[1]))
        np.add.at(merged, owner, rows)
        merged[:, 0] = merged[:, 0] > 0
        return merged
