"""The figures of lm-eval's tasks as metrics: their statistics are handed over, since only lm-eval can make the items.

`LmEvalFigure` is a function of totals like any other metric. `OpaqueFigure` is what remains: an aggregation that is a
task's own function over the items, and the median.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from evalharness.core.protocols import Array, IntervalKind, Metric, Need
from evalharness.core.types import KINDS, Kind, MetricResult, Response, Sample
from evalharness.stats.arrays import np

from .aggregations import Aggregation, Mean, aggregation_named
from .base import BOOTSTRAP, NEEDS_NOTHING, check_batch

__all__ = ["PREFIX", "LmEvalFigure", "OpaqueFigure", "figure_from_record", "recorded_figure"]

PREFIX = "lm_eval|"
"""What the signature of each figure of lm-eval's begins with."""
_VERSION = "1"
_AGGREGATION = "aggregation:"
# lm-eval's own metrics that are shares; of others nothing is known.
_SHARES = frozenset(
    {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "acc_all", "likelihood", "pct_stereotype"}
)
# An opaque aggregation is called as a whole for each resample; lm-eval draws no more for its slow ones either.
_OPAQUE_RESAMPLES = 100


class _Figure:
    """What both kinds of figure share."""

    __slots__ = ()

    version = _VERSION
    kinds: frozenset[Kind] = frozenset(KINDS)
    needs: frozenset[Need] = NEEDS_NOTHING

    def for_task(self, labels: tuple[str, ...]) -> Any:
        return self

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """The rows that were handed over, by the samples' ids; zeros for samples without one."""
        check_batch(samples, responses)
        stats = np.zeros((len(samples), len(self.columns)))  # type: ignore[attr-defined]
        for row, sample in enumerate(samples):
            found = self.table.get(sample.id)  # type: ignore[attr-defined]
            if found is not None:
                stats[row] = found
        return stats


@dataclass(frozen=True, slots=True, kw_only=True)
class LmEvalFigure(_Figure):
    """A metric of an lm-eval task under one filter, or of a group. `subject` says all that defines its items."""

    name: str
    subject: str
    aggregation: Aggregation
    higher_is_better: bool
    table: Mapping[str, Array] = field(default_factory=dict, repr=False)
    scores_blank: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        if type(self.aggregation) is Mean and self.name.partition("@")[0] in _SHARES:
            return 0.0, 1.0
        return self.aggregation.bounds

    @property
    def probe_finding(self) -> str | None:
        """Of CrowS-Pairs' figure, which lm-eval says is better the lower: half is what a model without bias has."""
        return "half" if self.bounds == (0.0, 1.0) and self.name.partition("@")[0] == "pct_stereotype" else None

    @property
    def interval(self) -> IntervalKind:
        return self.aggregation.interval

    @property
    def columns(self) -> tuple[str, ...]:
        return self.aggregation.columns

    @property
    def signature(self) -> str:
        return f"{PREFIX}{self.subject}|{_AGGREGATION}{self.aggregation.name}|version:{_VERSION}"

    @property
    def is_known_by_answers(self) -> bool:
        """Whether its columns are known only once there are items."""
        return self.aggregation.depends_on_items

    def finalize(self, totals: Array) -> Array:
        return self.aggregation.finalize(np.asarray(totals, dtype=np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueFigure(_Figure):
    """A metric whose aggregation is a function over all items together; its rows point into `items`.

    The figure of a single sample is its item where that is a number, else NaN.
    """

    name: str
    subject: str
    function: Callable[[list[Any]], Any] = field(repr=False)
    function_name: str
    items: Sequence[Any] = field(repr=False)
    higher_is_better: bool
    table: Mapping[str, Array] = field(default_factory=dict, repr=False)
    scores_blank: bool = False

    @property
    def is_known_by_answers(self) -> bool:
        """Its rows mean something together with its items only."""
        return True

    @property
    def n_resamples(self) -> int:
        """How many resamples its interval is made of."""
        return _OPAQUE_RESAMPLES

    @property
    def bounds(self) -> tuple[float, float]:
        return -math.inf, math.inf

    @property
    def interval(self) -> IntervalKind:
        return BOOTSTRAP

    @property
    def columns(self) -> tuple[str, ...]:
        return "n", "item"

    @property
    def signature(self) -> str:
        return f"{PREFIX}{self.subject}|{_AGGREGATION}{self.function_name}|version:{_VERSION}"

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        values = [
            self._number(self.items[int(index)]) if n == 1 and int(index) < len(self.items) else math.nan
            for n, index in totals.reshape(-1, 2)
        ]
        return np.array(values, dtype=np.float64).reshape(totals.shape[:-1])

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The aggregation of the rows' items, each as often as its weight says."""
        known = np.flatnonzero(stats[:, 0] > 0)
        chosen = [self.items[int(index)] for index in stats[known, 1]]
        if weights is None:
            return np.float64(self._value(chosen))  # type: ignore[return-value]
        counts = np.asarray(weights)[..., known].astype(np.int64).reshape(-1, known.size)
        values = [self._value([item for item, c in zip(chosen, row, strict=True) for _ in range(c)]) for row in counts]
        return np.array(values, dtype=np.float64).reshape(np.shape(weights)[:-1])

    def _value(self, items: list[Any]) -> float:
        if not items:
            return math.nan
        try:
            return self._number(self.function(items))
        except Exception:  # noqa: BLE001 - the task's own code: what it cannot compute is not a number
            return math.nan

    @staticmethod
    def _number(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan


def figure_from_record(result: MetricResult) -> Metric | None:
    """The metric behind a recorded figure of lm-eval's, without lm-eval; None where only lm-eval can compute it."""
    subject, _, rest = result.signature.removeprefix(PREFIX).rpartition(f"|{_AGGREGATION}")
    aggregation = aggregation_named(rest.rpartition("|")[0])
    if aggregation is None or aggregation.columns != result.columns:
        return None
    found = LmEvalFigure(
        name=result.metric, subject=subject, aggregation=aggregation, higher_is_better=result.higher_is_better
    )
    return cast(Metric, found)  # frozen, where the protocol would let its names be set


def recorded_figure(result: MetricResult) -> Metric:
    """The metric behind a recorded figure, or what stands for one that only lm-eval can compute."""
    found = figure_from_record(result)
    if found is not None:
        return found
    opaque = OpaqueFigure(
        name=result.metric,
        subject="",
        function=len,
        function_name="",
        items=(),
        higher_is_better=result.higher_is_better,
    )
    return cast(Metric, opaque)
