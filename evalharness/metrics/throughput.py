"""How much was answered in the time in which anything was being answered: requests and tokens a second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from evalharness.core.protocols import Array
from evalharness.core.types import KINDS, Response, Sample
from evalharness.stats.arrays import Ints, np

from .base import BOOTSTRAP, NEEDS_NOTHING, TEXT_KINDS, BaseMetric, check_batch, ratio

__all__ = ["OutputTokensPerSecond", "RequestsPerSecond"]


class _Throughput(BaseMetric):
    """Units in the seconds in which at least one request was under way; totals do not tell how requests overlapped."""

    __slots__ = ()

    unit = "requests"
    bounds = (0.0, math.inf)
    kinds = frozenset(KINDS)
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    scores_blank = False
    # Requests of one run share its server, its pace and its pauses: to draw them anew says nothing of another run.
    n_resamples = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "start_s", "end_s", self.unit)

    def units(self, response: Response) -> float | None:
        """What a response counts."""
        return 1.0

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 4))
        for row, response in enumerate(responses):
            units, end = self.units(response), _seconds(response.created_utc)
            if units is not None and end is not None and response.latency_s is not None:
                stats[row] = 1.0, end - max(response.latency_s, 0.0), end, units
        return stats

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """One row a sample: all that its repeats count, from the first that was asked to the last answered."""
        merged = np.zeros((int(owner.max()) + 1, 4))
        known = rows[:, 0] > 0
        merged[:, 1] = math.inf
        np.minimum.at(merged[:, 1], owner[known], rows[known, 1])
        np.maximum.at(merged[:, 2], owner[known], rows[known, 2])
        np.add.at(merged[:, 3], owner[known], rows[known, 3])
        merged[owner[known], 0] = 1.0
        merged[merged[:, 0] == 0] = 0.0
        return merged

    def finalize(self, totals: Array) -> Array:
        """The figure of a single sample; NaN for totals of more than one."""
        totals = np.asarray(totals, dtype=np.float64)
        alone = ratio(totals[..., 3], totals[..., 2] - totals[..., 1])
        return np.where(totals[..., 0] == 1, alone, np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The figure of the rows (n, 4) for each row of frequency weights (..., n)."""
        stats = np.asarray(stats, dtype=np.float64)
        weight = np.ones(len(stats)) if weights is None else np.asarray(weights, dtype=np.float64)
        if not len(stats):
            return np.full(weight.shape[:-1], np.nan)
        order = np.argsort(stats[:, 1], kind="stable")
        ordered, flat = stats[order], weight[..., order].reshape(-1, len(stats))
        known = ordered[:, 0] > 0
        busy = np.array([_busy(ordered[(row > 0) & known]) for row in flat])
        return ratio(flat @ ordered[:, 3], busy).reshape(weight.shape[:-1])


def _busy(rows: Array) -> float:
    """The seconds that the spans of `rows`, in the order of their starts, cover together."""
    if not len(rows):
        return 0.0
    start, end = rows[:, 1], np.maximum.accumulate(rows[:, 2])
    covered = np.append(-math.inf, end[:-1])
    return float(np.maximum(end - np.maximum(start, covered), 0.0).sum())


def _seconds(utc: str) -> float | None:
    try:
        return datetime.fromisoformat(utc).timestamp() if utc else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsPerSecond(_Throughput):
    """Requests answered in a second, over the time in which at least one was under way.

        n / |∪_i [end_i − latency_i, end_i]|

    Pauses count not: a run that was stopped and continued has the same figure. It depends on how many requests were
    asked at once (`concurrency`), and retries are part of a request's time. An answer from the response store keeps the
    time of the call that made it. There is no interval: the requests of one run are no sample of other runs. Several
    answers to one sample count from the first that was asked to the last answered.

    Source: request throughput as vLLM's serving benchmark gives it, where nothing pauses.
    """

    name = "requests_per_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTokensPerSecond(_Throughput):
    """Tokens of answers in a second, over the time in which at least one request was under way.

        Σ_i output_tokens_i / |∪_i [end_i − latency_i, end_i]|

    It is what the server gives to all requests together, not the speed of one. Pauses count not; the rest is as with
    `requests_per_s`. Responses that do not say their tokens are left out.

    Source: output token throughput as vLLM's serving benchmark gives it, where nothing pauses.
    """

    name = "output_tokens_per_s"
    unit = "tokens"
    kinds = TEXT_KINDS

    def units(self, response: Response) -> float | None:
        return response.output_tokens
