"""What a judge's figure is worth: how far it agrees with people.

All read what was said from `response.meta["judged"][figure]` (`judged.judged_of`): `value` is the judges' value (None
where none could be read), `human` the values that people gave to the same answer. `judge_figures` gives all that belong
to one figure. None is registered by name: a suite gets them with `llm_judge` and its `calibrate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import Response, Sample
from evalharness.stats.agreement import (
    ALPHA_MOMENTS,
    alpha_moments,
    alpha_of_moments,
    cohen_kappa,
    coincidence_alpha,
    weighted_kappa,
)
from evalharness.stats.arrays import np
from evalharness.stats.correlation import PAIR_MOMENTS, pair_moments, pearson_of_moments, spearman

from .base import ratio, require
from .judge_means import JudgeMean, JudgePpiMean
from .judged import OfJudge

__all__ = [
    "JudgeAlpha",
    "JudgeCorrelation",
    "JudgeKappa",
    "JudgeRankCorrelation",
    "JudgeWeightedKappa",
    "judge_figures",
]

_MOST_POINTS = 64  # a table of k points has k² columns a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table(OfJudge):
    """Figures of the table of judge (rows) against people (columns) over the points of the scale."""

    figure: str
    points: tuple[float, ...]
    ordered: bool = True
    identity: str = ""

    name = "judge_alpha"  # which counts by such a table, too, and names no other class

    def __post_init__(self) -> None:
        require(
            2 <= len(self.points) <= _MOST_POINTS and list(self.points) == sorted(set(self.points)),
            f"{self.name} needs the points of the scale (or numbers of the classes), {_MOST_POINTS} at most, ascending "
            f"and each once; got {len(self.points)}: {', '.join(f'{p:g}' for p in self.points[:8])}",
        )

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", *(f"judge {a:g}, people {b:g}" for a in self.points for b in self.points))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        found = self.read(samples, responses)
        k = len(self.points)
        stats = np.zeros((len(found), 1 + k * k))
        for row, said in zip(stats, found, strict=True):
            if said.value is None or not said.human:
                continue
            if self.ordered:
                judge, people = _nearest(said.value, self.points), _nearest(said.human_mean, self.points)
            else:
                # Classes without an order have no mean: each verdict meets each rating, with equal weight.
                judge, people = _shares(said.verdicts or (said.value,), self.points), _shares(said.human, self.points)
            row[0] = 1.0
            row[1:] = np.outer(judge, people).ravel()
        return stats

    def table(self, totals: Array) -> Array:
        """(..., k, k) counts, judge by people."""
        totals = np.asarray(totals, dtype=np.float64)
        k = len(self.points)
        return totals[..., 1:].reshape(*totals.shape[:-1], k, k)


def _nearest(value: float, points: tuple[float, ...]) -> Array:
    """(k,) 1 at the point nearest to `value`, or a half at each of two that are equally near."""
    off = np.abs(np.array(points) - value)
    near = (off <= off.min() * (1 + 1e-9)).astype(np.float64)
    result: Array = near / near.sum()
    return result


def _shares(values: Sequence[float], points: tuple[float, ...]) -> Array:
    result: Array = np.mean([_nearest(value, points) for value in values], axis=0)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeKappa(_Table):
    """Cohen's kappa of judge and people: agreement on the point of the scale, beyond chance.

        κ = (p_o − p_e) / (1 − p_e)

    over the answers that people rated. The judge's value and the mean of people's ratings each count for the nearest
    point of the scale, half for each of two where it lies in the middle. NaN where both give everything one point.

    Options:
        figure: the name of the judge's figure.
        points: the points of the scale, or the numbers of the classes, ascending.
        ordered: whether a mean of points means anything; classes without an order (false) are compared verdict by
            verdict with rating by rating, each pair of a sample counting the same.
        identity: what defines the judgements and the ratings, for the signature.

    Source: Cohen 1960; scikit-learn `cohen_kappa_score`, equal.
    """

    name = "judge_kappa"

    def finalize(self, totals: Array) -> Array:
        return cohen_kappa(self.table(totals))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeWeightedKappa(_Table):
    """Weighted kappa of judge and people: a verdict far off counts for more than one that is near.

        κ_w = 1 − Σ_ij w_ij p_ij / Σ_ij w_ij p_i· p_·j,  w_ij = (i − j)² or |i − j|

    with i, j the places of the points on the scale, over the answers that people rated. The judge's value and the mean
    of people's ratings each count for the nearest point, half for each of two where it lies in the middle. NaN where
    both give everything one point.

    Options:
        figure: the name of the judge's figure.
        points: the points of the scale, or the numbers of the ordered classes, ascending.
        ordered: must be true: without an order nothing is far off.
        identity: what defines the judgements and the ratings, for the signature.
        weights: quadratic or linear.

    Source: Cohen 1968; scikit-learn `cohen_kappa_score(weights=...)`, equal.
    """

    weights: Literal["quadratic", "linear"] = "quadratic"

    name = "judge_weighted_kappa"

    def __post_init__(self) -> None:
        # Named, for slots classes have no zero-argument super().
        _Table.__post_init__(self)
        require(self.ordered, "judge_weighted_kappa needs points in an order; take judge_kappa for classes without one")

    def finalize(self, totals: Array) -> Array:
        return weighted_kappa(self.table(totals), weights=self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAlpha(OfJudge):
    """Krippendorff's alpha of judge and people, two raters of each answer that people rated.

        α = 1 − D_o / D_e

    with D_o the disagreement within answers and D_e that between any two values. The level is `interval` (squared
    distances of the judge's value and the mean of people's ratings) for scales, and `nominal` for classes without an
    order, which need `points`. NaN where all values are one.

    Options:
        figure: the name of the judge's figure.
        level: interval or nominal.
        points: the numbers of the classes, ascending, for the level nominal.
        identity: what defines the judgements and the ratings, for the signature.

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """

    figure: str
    level: Literal["interval", "nominal"] = "interval"
    points: tuple[float, ...] = ()
    identity: str = ""

    name = "judge_alpha"

    def __post_init__(self) -> None:
        if self.level == "nominal":
            self._nominal()

    def _nominal(self) -> _Table:
        return _Table(figure=self.figure, points=self.points, ordered=False)

    @property
    def columns(self) -> tuple[str, ...]:
        return self._nominal().columns if self.level == "nominal" else ("n", *ALPHA_MOMENTS)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        if self.level == "nominal":
            return self._nominal().sample_stats(samples, responses)
        moments = alpha_moments(np.stack(self.pairs(samples, responses)))
        return np.concatenate([moments[:, :1] / 2, moments], axis=1)

    def finalize(self, totals: Array) -> Array:
        if self.level == "interval":
            return alpha_of_moments(np.asarray(totals, dtype=np.float64)[..., 1:])
        table = self._nominal().table(totals)
        # Each pair of a judge's and people's value coincides both ways.
        return coincidence_alpha(table + np.swapaxes(table, -1, -2), level="nominal")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCorrelation(OfJudge):
    """Pearson's correlation of the judge's value with the mean of people's ratings.

        r = (nΣxy − ΣxΣy) / sqrt((nΣx² − (Σx)²)(nΣy² − (Σy)²))

    over the answers that people rated. It does not see a judge that is too kind by the same amount everywhere: κ and α
    do. NaN where either does not vary.

    Options:
        figure: the name of the judge's figure.
        middle: the middle of the scale, from which values are counted, so that the sums keep their digits.
        identity: what defines the judgements and the ratings, for the signature.

    Source: scipy `pearsonr`, equal to 1e-12.
    """

    figure: str
    middle: float = 0.0
    identity: str = ""

    name = "judge_correlation"

    @property
    def columns(self) -> tuple[str, ...]:
        return PAIR_MOMENTS

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        judged, human = self.pairs(samples, responses)
        return pair_moments(judged - self.middle, human - self.middle)

    def finalize(self, totals: Array) -> Array:
        return pearson_of_moments(totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRankCorrelation(OfJudge):
    """Spearman's rank correlation of the judge's value with the mean of people's ratings.

        Pearson's correlation of the ranks, equal values having the mean of their ranks

    over the answers that people rated. It does not follow from totals: the rows themselves are read. NaN where either
    does not vary.

    Options:
        figure: the name of the judge's figure.
        identity: what defines the judgements and the ratings, for the signature.

    Source: scipy `spearmanr`, equal to 1e-12.
    """

    figure: str
    identity: str = ""

    name = "judge_rank_correlation"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "judge", "people")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        judged, human = self.pairs(samples, responses)
        known = ~np.isnan(judged)
        return np.stack([known.astype(np.float64), np.where(known, judged, 0.0), np.where(known, human, 0.0)], axis=1)

    def finalize(self, totals: Array) -> Array:
        """NaN: a single pair has no correlation, and more do not follow from totals."""
        return np.full(np.asarray(totals).shape[:-1], np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The rank correlation of the rows (n, 3) for each row of frequency weights (..., n)."""
        stats = np.asarray(stats, dtype=np.float64)
        # Means over repeats: some may have been rated and others not.
        return spearman(ratio(stats[:, 1], stats[:, 0]), ratio(stats[:, 2], stats[:, 0]), weights)


def judge_figures(
    figure: str,
    *,
    bounds: tuple[float, float],
    points: Sequence[float] = (),
    ordered: bool = True,
    calibrated: bool = False,
    identity: str = "",
) -> dict[str, Metric]:
    """The figures that belong to the judge's `figure`, by name.

    `bounds` are the ends of the scale; `points` the values that a verdict may take (the steps of a scale, or the
    numbers of the classes): without them, and with more than 64, there are no kappas. `ordered` says whether a mean of
    points means anything: for classes without an order it is false, and there is no weighted kappa and no correlation.
    `identity` is whatever defines the judgements; with `calibrated` also the ratings (their digest).

        not calibrated   FIGURE: the mean
        calibrated       FIGURE: the prediction-powered mean; FIGURE_raw: the mean of the judge alone; FIGURE_kappa,
                         FIGURE_weighted_kappa, FIGURE_alpha, FIGURE_correlation, FIGURE_rank_correlation

    Raises:
        MetricOptionError: for bounds or points that are none.
    """
    low, high = (float(end) for end in bounds)
    # Cast, for the bounds of the protocol are a variable, and those of a scale follow from its ends.
    raw = cast(Metric, JudgeMean(figure=figure, lowest=low, highest=high, identity=identity))
    if not calibrated:
        return {figure: raw}
    steps = tuple(sorted({float(point) for point in points}))
    found: dict[str, Metric] = {
        figure: cast(Metric, JudgePpiMean(figure=figure, lowest=low, highest=high, identity=identity)),
        f"{figure}_raw": raw,
    }
    if 2 <= len(steps) <= _MOST_POINTS:
        found[f"{figure}_kappa"] = JudgeKappa(figure=figure, points=steps, ordered=ordered, identity=identity)
        if ordered:
            found[f"{figure}_weighted_kappa"] = JudgeWeightedKappa(figure=figure, points=steps, identity=identity)
    if ordered:
        found[f"{figure}_alpha"] = JudgeAlpha(figure=figure, identity=identity)
        found[f"{figure}_correlation"] = JudgeCorrelation(figure=figure, middle=(low + high) / 2, identity=identity)
        found[f"{figure}_rank_correlation"] = JudgeRankCorrelation(figure=figure, identity=identity)
    elif f"{figure}_kappa" in found:
        found[f"{figure}_alpha"] = JudgeAlpha(figure=figure, level="nominal", points=steps, identity=identity)
    return found
