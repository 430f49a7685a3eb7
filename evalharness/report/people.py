"""What people's ratings of a run say: how far raters agree, how each model fares, who beats whom."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from ..core.protocols import IntervalKind, Metric
from ..core.types import MetricResult
from ..metrics.base import MeanMetric
from ..metrics.interval import N_RESAMPLES, summarize
from ..record.ratings import TIE
from ..stats.agreement import (
    alpha_moments,
    alpha_of_moments,
    cohen_kappa,
    coincidence_alpha,
    coincidences,
    weighted_kappa,
)
from ..stats.arrays import Floats, np
from ..stats.bootstrap import cluster_totals, percentile_interval, replicates
from ..stats.intervals import NO_INTERVAL, Interval, cluster_codes
from .duels import Duels, duels_of

if TYPE_CHECKING:
    from ..record.ratings import Rating, RatingKind

__all__ = ["Agreement", "PeopleView", "people_view"]

_MOST_STEPS = 64  # of a scale whose raters are compared step by step


class Agreement(NamedTuple):
    """How far raters agree on what two or more of them rated; NaN where that is not defined.

    `percent` is the share of agreeing pairs of ratings, the mean over what was rated. `kappa` is there for exactly two
    raters: Cohen's, and weighted (quadratic) for a scale. `alpha` is Krippendorff's, at the level interval for a scale
    and nominal else.
    """

    n_shared: int
    percent: float
    kappa: float
    alpha: float
    alpha_low: float
    alpha_high: float


@dataclass(frozen=True, slots=True)
class PeopleView:
    """The ratings of one task and question; `asked` are the question's words.

    `n_rated` counts what was rated (answers, or pairs of them), `results` are the mean rating by model, the share of
    each label by model, or the strengths in points of the Elo scale.
    """

    task: str
    question: RatingKind
    asked: str
    n_raters: int
    n_rated: int
    n_ratings: int
    agreement: Agreement
    results: tuple[MetricResult, ...]
    duels: Duels | None = None
    notes: tuple[str, ...] = ()


class _Rated(NamedTuple):
    """One answer, or one pair of answers, with the rating of each rater as a number (scale) or a text."""

    sample_id: str
    models: tuple[str, ...]
    by_rater: Mapping[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean(MeanMetric):
    lowest: float
    highest: float
    kind: IntervalKind = "mean"

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        return (self.lowest, self.highest)

    @property
    def interval(self) -> IntervalKind:  # type: ignore[override]
        return self.kind


def people_view(ratings: Iterable[Rating], *, confidence: float = 0.95) -> tuple[PeopleView, ...]:
    """A view for each task and question, in the order in which they come.

    Of several ratings by one rater of the same thing the last counts. Ratings without a value or label are left out.
    """
    by_question: dict[tuple[str, RatingKind, str], list[Rating]] = {}
    for rating in ratings:
        by_question.setdefault((rating.task, rating.question, rating.asked), []).append(rating)
    found = (_view(*question, own, confidence) for question, own in by_question.items())
    return tuple(view for view in found if view.n_ratings)


def _view(task: str, question: RatingKind, asked: str, ratings: Sequence[Rating], confidence: float) -> PeopleView:
    rated = _rated(question, ratings)
    raters = dict.fromkeys(rater for unit in rated for rater in unit.by_rater)
    duels: Duels | None = None
    if question == "pairwise":
        duels = duels_of(
            task,
            [(u.sample_id, u.models[0], u.models[1], str(w)) for u in rated for w in u.by_rater.values()],
            confidence=confidence,
        )
        results = duels.results
    else:
        results = _means(task, rated, confidence) if question == "scale" else _shares(task, rated, confidence)
    return PeopleView(
        task=task,
        question=question,
        asked=asked,
        n_raters=len(raters),
        n_rated=len(rated),
        n_ratings=sum(len(unit.by_rater) for unit in rated),
        agreement=_agreement(question, rated, tuple(raters), confidence),
        results=results,
        duels=duels,
        notes=(duels.note,) if duels is not None and duels.note else (),
    )


def _rated(question: RatingKind, ratings: Iterable[Rating]) -> list[_Rated]:
    found: dict[tuple[str, int, tuple[str, ...]], dict[str, float | str]] = {}
    for r in ratings:
        said: float | str | None = r.value if question == "scale" else r.label
        if said is None or (isinstance(said, float) and not math.isfinite(said)):
            continue
        models: tuple[str, ...] = (r.model,)
        if question == "pairwise":
            # The same two answers, whichever was shown first.
            models = tuple(sorted((r.model, r.against or "")))
            if r.against in (None, r.model) or said not in (*models, TIE):
                continue
        found.setdefault((r.sample_id, r.repeat, models), {})[r.rater] = said
    return [_Rated(sample, models, by_rater) for (sample, _, models), by_rater in found.items()]


# ── how far raters agree ──────────────────────────────────────────────────────────────────────────────────────────


def _agreement(question: RatingKind, rated: Sequence[_Rated], raters: tuple[str, ...], confidence: float) -> Agreement:
    shared = [unit for unit in rated if len(unit.by_rater) > 1]
    if not shared:
        return Agreement(0, *[math.nan] * 5)
    matrix = _matrix(question, shared, raters)
    alpha, bounds = _alpha(question, matrix, [unit.sample_id for unit in shared], confidence)
    kappa = _kappa(question, matrix) if len(raters) == 2 else math.nan
    return Agreement(len(shared), _percent(shared), kappa, alpha, *bounds)


def _percent(rated: Sequence[_Rated]) -> float:
    shares = []
    for unit in rated:
        m = len(unit.by_rater)
        alike = Counter(unit.by_rater.values()).values()
        shares.append(sum(n * (n - 1) for n in alike) / (m * (m - 1)))
    return math.fsum(shares) / len(shares)


def _matrix(question: RatingKind, rated: Sequence[_Rated], raters: tuple[str, ...]) -> Floats:
    """(raters, units), NaN where one did not rate; labels as numbers."""
    numbers: dict[object, int] = {}
    rows = {rater: i for i, rater in enumerate(raters)}
    matrix = np.full((len(raters), len(rated)), np.nan)
    for column, unit in enumerate(rated):
        for rater, said in unit.by_rater.items():
            number = said if question == "scale" else numbers.setdefault(said, len(numbers))
            matrix[rows[rater], column] = number
    return matrix


def _alpha(question: RatingKind, matrix: Floats, samples: Sequence[str], confidence: float) -> tuple[float, Interval]:
    """Krippendorff's alpha, with the percentile interval of 2,000 resamples of whole samples (seed 0)."""
    finalize: Callable[[Floats], Floats]
    if question == "scale":
        rows, finalize = alpha_moments(matrix), alpha_of_moments
    else:
        units = coincidences(matrix).units
        rows, finalize = units.reshape(len(units), -1), _nominal_alpha

    alpha = float(finalize(rows.sum(axis=0)))
    codes = cluster_codes(samples)
    rows = rows if codes is None else cluster_totals(rows, codes)
    if math.isnan(alpha) or len(rows) < 2:
        return alpha, NO_INTERVAL
    found = replicates(rows, finalize, n_resamples=N_RESAMPLES, seed=0)
    return alpha, percentile_interval(found, confidence=confidence)


def _nominal_alpha(totals: Floats) -> Floats:
    v = math.isqrt(totals.shape[-1])
    return coincidence_alpha(totals.reshape(*totals.shape[:-1], v, v), level="nominal")


def _kappa(question: RatingKind, matrix: Floats) -> float:
    steps = values = np.unique(matrix)
    if question == "scale":
        # Weighted by steps of the scale, so those that nobody chose count, too.
        if (values != np.rint(values)).any() or np.ptp(values) >= _MOST_STEPS:
            return math.nan
        steps = np.arange(values.min(), values.max() + 1)
    table = np.zeros((steps.size, steps.size))
    both = matrix[:, ~np.isnan(matrix).any(axis=0)]
    np.add.at(table, (np.searchsorted(steps, both[0]), np.searchsorted(steps, both[1])), 1.0)
    return float(weighted_kappa(table, weights="quadratic") if question == "scale" else cohen_kappa(table))


# ── how each model fares ──────────────────────────────────────────────────────────────────────────────────────────


def _means(task: str, rated: Sequence[_Rated], confidence: float) -> tuple[MetricResult, ...]:
    """The mean rating of each model: of each answer the mean over its raters, then over the answers."""
    given = [float(value) for unit in rated for value in unit.by_rater.values()]
    if not given:
        return ()
    metric = _Mean(lowest=min(given), highest=max(given))
    found = []
    for model in dict.fromkeys(unit.models[0] for unit in rated):
        own = [unit for unit in rated if unit.models[0] == model]
        values = [math.fsum(map(float, unit.by_rater.values())) / len(unit.by_rater) for unit in own]
        found.append(_result(task, model, "mean rating", metric, values, own, confidence))
    return tuple(found)


def _shares(task: str, rated: Sequence[_Rated], confidence: float) -> tuple[MetricResult, ...]:
    """The share of each label for each model: of each answer the share among its raters, then over the answers."""
    metric = _Mean(lowest=0.0, highest=1.0, kind="proportion")
    labels = dict.fromkeys(str(said) for unit in rated for said in unit.by_rater.values())
    found = []
    for label in labels:
        for model in dict.fromkeys(unit.models[0] for unit in rated):
            own = [unit for unit in rated if unit.models[0] == model]
            values = [sum(said == label for said in unit.by_rater.values()) / len(unit.by_rater) for unit in own]
            found.append(_result(task, model, label, metric, values, own, confidence))
    return tuple(found)


def _result(
    task: str,
    model: str,
    name: str,
    metric: _Mean,
    values: Sequence[float],
    rated: Sequence[_Rated],
    confidence: float,
) -> MetricResult:
    rows = np.array([[1.0, value] for value in values])
    clusters = [unit.sample_id for unit in rated]  # repeats of a sample hang together
    # Cast, for the protocol's bounds are a variable.
    found = summarize(cast(Metric, metric), rows, clusters=clusters, confidence=confidence)
    # All ratings of a question alike: the ends of its scale are not known, nor how far others would be away.
    bounds = (found.low, found.high) if metric.lowest < metric.highest else NO_INTERVAL
    return MetricResult(
        task=task,
        model=model,
        metric=name,
        value=found.value,
        ci_low=bounds[0],
        ci_high=bounds[1],
        ci_method=found.method,
        confidence=confidence,
        n=len(rated),
        n_failed=0,
        higher_is_better=True,
        bounds=metric.bounds,
        signature="",
    )
