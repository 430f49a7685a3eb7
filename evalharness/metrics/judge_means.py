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
from evalharness.stats.tails import normal_quantile

from .base import NEEDS_NOTHING, MeanMetric, ratio, require
from .judged import OfJudge, judged_of, never_came

__all__ = ["JudgeMean", "JudgePpiMean"]

_RATED, _UNRATED, _F, _UNRATED_F = (PPI_COLUMNS.index(name) for name in ("rated", "unrated", "f", "unrated_f"))


def _check_scale(name: str, lowest: float, highest: float) -> None:
    require(
        math.isfinite(lowest) and math.isfinite(highest) and lowest < highest,
        f"{name} needs the ends of the judge's scale, the lower one first; got {lowest!r} and {highest!r}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMean(MeanMetric):
    """Mean of what the judge says, uncorrected.

        Σ_i f_i / n

    over the responses that the judge could judge. A failed answer that counts as wrong is worth the lower end.

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

    def __post_init__(self) -> None:
        _check_scale(self.name, self.lowest, self.highest)

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The ends of the scale."""
        return (self.lowest, self.highest)

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [self.lowest if never_came(r) else judged_of(r, self.figure).value for r in responses]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePpiMean(OfJudge):
    """Mean rating that people would give, from the judge's verdicts on all answers and people's ratings of some.

        θ = λ · mean(f, answers without ratings) + mean(y − λf, answers with ratings)
        λ = s_yf / (s²_f(with) + n/N · s²_f(without)),  kept within [0, 1]

    with f what the judge says, y the mean of people's ratings of an answer, n answers with ratings and N without. It is
    right whatever the judge is worth, provided that the rated answers were drawn at random; a judge that agrees with
    people (λ near 1) makes the interval narrower, one that does not (λ near 0) leaves people's own mean. NaN without
    any rating. The figure is kept within the scale. Its interval is the paper's with Student's t, four ratings at the
    ends of the scale being added to the variance: few ratings may hold none of a judge's rare errors. A failed answer
    that counts as wrong is worth the lower end, and needs no judge and no rater: those are weighed by their share. The
    figure of a single sample is what the judge says of it.

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
    scores_blank = True

    def __post_init__(self) -> None:
        _check_scale(self.name, self.lowest, self.highest)

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The ends of the scale."""
        return (self.lowest, self.highest)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "lost", *PPI_COLUMNS)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        found = self.read(samples, responses)
        lost = np.array([never_came(response) for response in responses], dtype=np.float64)
        rows = ppi_rows([j.judged for j in found], [j.human_mean for j in found])
        measured = lost + rows[:, _RATED] + rows[:, _UNRATED]
        return np.concatenate([measured[:, None], lost[:, None], rows], axis=1)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        # λ · mean + mean(y − λf) may lead out of the scale, where no mean of ratings can lie.
        came = np.clip(ppi_mean(totals[..., 2:]), self.lowest, self.highest)
        lost = ratio(totals[..., 1], totals[..., 0])
        return np.where(lost == 1, self.lowest, (1 - lost) * came + lost * self.lowest)

    interval_name: ClassVar[str] = "ppi-t"

    def interval_rows(self, stats: Array, *, confidence: float) -> tuple[float, float]:
        """The interval of the mean, widened at the ends of the scale (see `stats.ppi.ppi_interval`).

        The share p of answers that never came is one of a sample, too: with θ the mean of the others, both are added
        up as ((1 − p) · half)² + (z · (θ − lowest))² · p(1 − p)/n.
        """
        totals = np.asarray(stats, dtype=np.float64).sum(axis=0)
        value = float(self.finalize(totals))
        low, high = ppi_interval(totals[2:], confidence=confidence, ends=self.bounds)
        lost, came = totals[1] / totals[0], float(np.clip((low + high) / 2, *self.bounds))
        of_lost = (
            normal_quantile((1 + confidence) / 2) * (came - self.lowest) * math.sqrt(lost * (1 - lost) / totals[0])
        )
        half = math.hypot((1 - lost) * float(high - low) / 2, of_lost)
        return value - half, value + half

    def finalize_samples(self, rows: Array) -> Array:
        """(n,) what the judge says of each sample, rated by people or not."""
        rows = np.asarray(rows, dtype=np.float64)
        said = rows[..., 1] * self.lowest + rows[..., 2 + _F] + rows[..., 2 + _UNRATED_F]
        return ratio(said, rows[..., 0])
