"""Demographic parity and equalised odds between the levels of a group column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import Bools, np

from .base import LABELLED_KINDS, NEEDS_TARGET, ratio
from .disparity import LEAST_N, DisparityMetric
from .labels import LabelledMetric, choose_positive, class_columns, single_labels

__all__ = ["DemographicParity", "EqualizedOdds"]


class _OfLabels(DisparityMetric):
    """Disparities in rates of answers: of the positive label, or of each label against the rest."""

    __slots__ = ()

    labels: tuple[str, ...]
    positive: str | None
    what: Literal["difference", "ratio"]

    kinds = LABELLED_KINDS
    needs = NEEDS_TARGET

    def __post_init__(self) -> None:
        self.check_levels()

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        return cast(Metric, self if self.labels else dataclasses.replace(cast(Any, self), labels=tuple(labels)))

    def with_levels(self, levels: tuple[str, ...]) -> Metric:
        return cast(Metric, dataclasses.replace(cast(Any, self), levels=levels))

    def as_recorded(self, signature: str) -> Metric:
        """As the record has it: with its levels."""
        levels = self.recorded_levels(signature)
        return cast(Metric, self) if levels is None else self.with_levels(levels)

    @property
    def counter(self) -> LabelledMetric:
        """What counts the answers."""
        return LabelledMetric(labels=self.labels)

    @property
    def rated(self) -> tuple[str, ...]:
        """The labels whose rates are looked at."""
        known = tuple(single_labels(self.counter.known_labels()))
        if self.positive is not None:
            return (choose_positive(known, self.positive, metric=self.name),)
        return known

    @property
    def signature(self) -> str:
        labels = ",".join(self.labels)
        return self.signed(
            f"what:{self.what}", f"positive:{self.positive}", f"labels:{labels}", f"least_n:{self.least_n}"
        )

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        return self.what == "ratio"

    @property
    def probe_finding(self) -> str:
        """The value without any disparity, for reports."""
        return "one" if self.what == "ratio" else "zero"

    @property
    def block_columns(self) -> tuple[str, ...]:
        return class_columns(self.rated)

    def block_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        known = self.counter.known_labels()
        single = single_labels(known)
        counter = self.counter if tuple(single) == tuple(known) else LabelledMetric(labels=tuple(single))
        return counter.class_counts(samples, responses, [list(single).index(label) for label in self.rated])

    def counts(self, totals: Array) -> tuple[Array, Array, Array, Array]:
        """How many were measured (..., 1), and of each label (..., R) the gold ones, the answered ones, and both."""
        totals = np.asarray(totals, dtype=np.float64)
        k = len(self.rated)
        return (totals[..., :1], *(totals[..., 1 + i * k : 1 + (i + 1) * k] for i in range(3)))  # type: ignore[return-value]

    def kind_of_disparity(self) -> dict[str, Any]:
        return {"what": self.what}


@dataclass(frozen=True, kw_only=True)
class DemographicParity(_OfLabels):
    """How differently often the levels of a group column are given a label.

        difference = max_k (max_g p_gk − min_g p_gk),  ratio = min_k (min_g p_gk / max_g p_gk)

    with p_gk the share of the answers to level g's samples that are label k: the positive one, or without one each
    label against the rest. An answer that could not be read is none of them. The difference of two labels is the same
    for either; the ratio is not, and without a positive label it is the smaller one. NaN where a level has no answer.

    Options:
        column: the group column.
        what: `difference` or `ratio`.
        positive: the label that is looked at (default: all labels, one against the rest).
        labels: the label set (default: the task's).
        levels: the levels, the others being left out (default: all that the task's samples have).
        least_n: with fewer samples (or clusters) in a level the interval is all that the figure can be.

    Source: fairlearn 0.15 `demographic_parity_difference` and `demographic_parity_ratio` (`between_groups`), equal to
    1e-12 with `positive`; interval as of `by_group`.
    """

    column: str
    what: Literal["difference", "ratio"] = "difference"
    positive: str | None = None
    labels: tuple[str, ...] = ()
    levels: tuple[str, ...] | None = None
    least_n: int = LEAST_N

    name = "demographic_parity"

    def rates(self, totals: Array) -> Array:
        n, _, answered, _ = self.counts(totals)
        return ratio(answered, n)

    def carries(self, units: Array) -> Bools:
        found: Bools = np.repeat(units[..., :1] > 0, len(self.rated), axis=-1)
        return found


@dataclass(frozen=True, kw_only=True)
class EqualizedOdds(_OfLabels):
    """How differently the levels of a group column fare in the true and the false positive rate of a label.

        difference = max over k, and over both rates, of (max_g r_gk − min_g r_gk);  ratio = min of their ratios
        TPR_gk = both_gk / gold_gk,  FPR_gk = (answered_gk − both_gk) / (n_g − gold_gk)

    of the positive label k, or without one of each label against the rest. An answer that could not be read is no
    positive. A rate that has no sample in a level (no such gold label there) is compared between the other levels;
    fairlearn takes it as 0, which would be a gap that nobody saw.

    Options:
        column: the group column.
        what: `difference` or `ratio`.
        positive: the label that is looked at (default: all labels, one against the rest).
        labels: the label set (default: the task's).
        levels: the levels, the others being left out (default: all that the task's samples have).
        least_n: with fewer samples (or clusters) behind a rate of a level the interval is all that the figure can be.

    Source: Hardt, Price and Srebro 2016 (arXiv 1610.02413); fairlearn 0.15 `equalized_odds_difference` and
    `equalized_odds_ratio` (`between_groups`, `worst_case`), equal to 1e-12 with `positive`; interval as of `by_group`.
    """

    column: str
    what: Literal["difference", "ratio"] = "difference"
    positive: str | None = None
    labels: tuple[str, ...] = ()
    levels: tuple[str, ...] | None = None
    least_n: int = LEAST_N

    name = "equalized_odds"

    def rates(self, totals: Array) -> Array:
        n, gold, answered, both = self.counts(totals)
        return np.concatenate([ratio(both, gold), ratio(answered - both, n - gold)], axis=-1)

    def carries(self, units: Array) -> Bools:
        n, gold, _, _ = self.counts(units)
        found: Bools = np.concatenate([gold > 0, n - gold > 0], axis=-1)
        return found
