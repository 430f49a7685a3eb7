"""Means of what a judge says: as it says it, and corrected by people's ratings of some of the answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.ppi import PPI_COLUMNS, ppi_interval, ppi_mean, ppi_rows

from .base import NEEDS_NOTHING, MeanMetric, ratio, require
from .judged import OfJudge, judged_of

__all__ = ["JudgeMean", "JudgePpiMean"]


def _check_scale(name: str, lowest: float, highest: float) -> None:
    require(
        math.isfinite(lowest) and math.isfinite(highest) and lowest < highest,
        f"{name} needs the ends of the judge's scale, the lower one first; got {lowest!r} and {highest!r}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMean(MeanMetric):
    """Mean of what the judge says, uncorrected.

        Σ_i f_i / n

    over the responses that the judge could judge.

    Options:
        figure: the name of the judge's figure.
        lowest: the lower end of its scale.
        highest: the upper end of its scale.
        identity: what defines the judgements (judges, rubric, scale), for the signature.

    Source: the arithmetic mean.
    """

    figure: str
    lowest: float
    highest: float
    identity: str = ""

    name = "judge_mean"
    total = "judged"
    needs = NEEDS_NOTHING
    scores_blank = False

    def __post_init__(self) -> None:
        _check_scale(self.name, self.lowest, self.highest)

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The ends of the scale."""
        return (self.lowest, self.highest)

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [judged_of(response, self.figure).value for response in responses]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePpiMean(OfJudge):
    """Mean rating that people would give, from the judge's verdicts on all answers and people's ratings of some.

        θ = λ · mean(f, answers without ratings) + mean(y − λf, answers with ratings)
        λ = s_yf / (s²_f(with) + n/N · s²_f(without)),  kept within [0, 1]

    with f what the judge says, y the mean of people's ratings of an answer, n answers with ratings and N without. It is
    right whatever the judge is worth, provided that the rated answers were drawn at random; a judge that agrees with
    people (λ near 1) makes the interval narrower, one that does not (λ near 0) leaves people's own mean. NaN without
    any rating. The figure of a single sample is what the judge says of it. The figure is kept within the scale. Its
    interval is the paper's with Student's t, four ratings at the ends of the scale being added to the variance: few
    ratings may hold none of a judge's rare errors.

    Options:
        figure: the name of the judge's figure.
        lowest: the lower end of its scale.
        highest: the upper end of its scale.
        identity: what defines the judgements and the ratings (judges, rubric, scale, digest of the ratings), for the
            signature.

    Source: Angelopoulos, Duchi and Zrnic 2023, "PPI++" (arXiv 2311.01453), the mean with power tuning.
    """

    figure: str
    lowest: float
    highest: float
    identity: str = ""

    name = "judge_ppi_mean"

    def __post_init__(self) -> None:
        _check_scale(self.name, self.lowest, self.highest)

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The ends of the scale."""
        return (self.lowest, self.highest)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", *PPI_COLUMNS)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        found = self.read(samples, responses)
        rows = ppi_rows([j.judged for j in found], [j.human_mean for j in found])
        measured = rows[:, :1] + rows[:, PPI_COLUMNS.index("unrated")][:, None]
        return np.concatenate([measured, rows], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        # λ · mean + mean(y − λf) may lead out of the scale, where no mean of ratings can lie.
        return np.clip(ppi_mean(totals[..., 1:]), self.lowest, self.highest)

    interval_name: ClassVar[str] = "ppi-t"

    def interval_rows(self, stats: Array, *, confidence: float) -> tuple[float, float]:
        """The interval of the mean, widened at the ends of the scale (see `stats.ppi.ppi_interval`)."""
        totals = np.asarray(stats, dtype=np.float64).sum(axis=0)[1:]
        low, high = ppi_interval(totals, confidence=confidence, ends=self.bounds)
        # Around the figure as it is given, which is kept on the scale.
        shift = float(self.finalize(np.append(0.0, totals)) - (low + high) / 2)
        return float(low) + shift, float(high) + shift

    def finalize_samples(self, rows: Array) -> Array:
        """(n,) what the judge says of each sample, rated by people or not."""
        rows = np.asarray(rows, dtype=np.float64)
        said = rows[..., 1 + PPI_COLUMNS.index("f")] + rows[..., 1 + PPI_COLUMNS.index("unrated_f")]
        return ratio(said, rows[..., 0])
