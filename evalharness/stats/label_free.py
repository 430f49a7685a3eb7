"""Quality of a classifier without labels, from probabilities that are calibrated on labelled rows.

A row whose chosen class is right with probability q counts as q of a right answer. So accuracy, F1, AUROC and Brier
score of unlabelled rows follow from their probabilities alone, as long as the map from stated to true probability is
what it was where labels are known: it sees a change of the inputs (covariate shift), and never one of the labels given
the inputs (concept drift).

Source: confidence-based performance estimation (CBPE), Białek et al. 2024, "Estimating model performance under
covariate shift without labels"; isotonic regression as scipy.optimize.isotonic_regression fits it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from .arrays import Bools, Floats, Ints, np
from .calibration import equal_mass_error
from .curves import roc_area
from .intervals import Interval

__all__ = ["FIGURES", "Calibrator", "Fitness", "Reference", "estimates", "fit_calibrator", "fitness_of"]

_FOLDS: Final = 5
_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """Labelled rows: the stated probability of the chosen class (n,), whether it was right (n,), and clusters (n,)."""

    probability: Floats
    right: Bools
    clusters: Ints

    @property
    def n(self) -> int:
        """The rows."""
        return len(self.probability)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A non-decreasing map from stated to true probability: through the points, and level beyond them."""

    stated: Floats
    true: Floats
    is_identity: bool = False

    def __call__(self, probability: Floats) -> Floats:
        """(n,) true probabilities."""
        if self.is_identity:
            return probability
        found: Floats = np.interp(probability, self.stated, self.true)
        return found


class Fitness(NamedTuple):
    """Whether estimates can be made from a reference, by what is held out in turn.

    `error` is the calibration error over ten bins of equal mass with the part that chance adds taken off, `chance` that
    part; `area` is how well probabilities tell right from wrong answers (AUROC) and `area_low` its lower bound (95 %,
    one-sided). `design` is the design effect of clusters on the noise of outcomes.
    """

    error: float
    chance: float
    area: float
    area_low: float
    design: float
    raw_is_better: bool


def fit_calibrator(probability: Floats, right: Floats, weights: Floats | None = None) -> Calibrator:
    """Isotonic regression of `right` on `probability`; a block of n rows is drawn towards the mean by one row's weight.

    Without that a block of few rows that are all right would have probability 1, and no doubt.
    """
    from scipy.optimize import isotonic_regression

    weight = np.ones(len(probability)) if weights is None else weights
    stated, codes = np.unique(probability, return_inverse=True)
    mass = np.bincount(codes, weights=weight, minlength=len(stated))
    sums = np.bincount(codes, weights=weight * right, minlength=len(stated))
    held = mass > 0
    stated, mass, sums = stated[held], mass[held], sums[held]
    mean = float(sums.sum() / mass.sum())
    found = isotonic_regression(sums / mass, weights=mass)
    block = np.repeat(np.arange(len(found.blocks) - 1), np.diff(found.blocks))
    size = np.bincount(block, weights=mass)[block]
    return Calibrator(stated, (found.x * size + mean) / (size + 1.0))


def fitness_of(reference: Reference, *, seed: int = 0) -> Fitness:
    """What held-out rows say: each fifth of the clusters is calibrated by the other four."""
    p, right = reference.probability, reference.right.astype(np.float64)
    held_out = _held_out(reference, seed)
    raw_is_better = float(((p - right) ** 2).sum()) <= float(((held_out - right) ** 2).sum())
    q = p if raw_is_better else held_out
    design = _design_effect(right - q, reference.clusters)
    rng = np.random.default_rng(seed)
    chance = float(np.mean([equal_mass_error(q, rng.random(len(q)) < q, bins=_BINS) for _ in range(50)]))
    chance *= math.sqrt(design)
    error = max(0.0, float(equal_mass_error(q, right, bins=_BINS)) - chance)
    area = float(roc_area(reference.right, q))
    return Fitness(error, chance, area, _area_low(area, reference, design), design, raw_is_better)


def _held_out(reference: Reference, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    _, codes = np.unique(reference.clusters, return_inverse=True)
    fold = rng.integers(_FOLDS, size=int(codes.max()) + 1)[codes]
    found = np.empty(reference.n)
    right = reference.right.astype(np.float64)
    for each in range(_FOLDS):
        out = fold == each
        if out.any() and not out.all():
            found[out] = fit_calibrator(reference.probability[~out], right[~out])(reference.probability[out])
    return found


def _design_effect(residuals: Floats, clusters: Ints) -> float:
    """How many times as much the sum of residuals varies as it would without clusters; at least 1."""
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=residuals)
    total = float((residuals**2).sum())
    return max(1.0, float((sums**2).sum()) / total) if total > 0 else 1.0


def _area_low(area: float, reference: Reference, design: float) -> float:
    """Lower bound (95 %, one-sided) of an AUROC, by Hanley and McNeil 1982; NaN where one class is missing."""
    n_right = int(reference.right.sum())
    n_wrong = reference.n - n_right
    if not n_right or not n_wrong or math.isnan(area):
        return math.nan
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n_right - 1) * (first - area**2) + (n_wrong - 1) * (second - area**2)
    return area - 1.645 * math.sqrt(max(spread, 0.0) * design / (n_right * n_wrong))


def estimates(
    reference: Reference,
    probability: Floats,
    positive: Bools | None,
    *,
    fitness: Fitness,
    groups: Mapping[str, Bools],
    n_draws: int = 300,
    seed: int = 0,
) -> dict[tuple[str, str], tuple[float, Interval]]:
    """The estimated figures of unlabelled rows, by (group, metric), with 95 % intervals of what labels would show.

    Args:
        reference: labelled rows.
        probability: (m,) stated probability of the chosen class.
        positive: (m,) whether the chosen class is the positive one of two; None where there are more, or none is.
        fitness: of the reference (`fitness_of`).
        groups: names of groups of rows, and (m,) which rows they hold.
        n_draws: draws of map and outcomes behind the intervals.
        seed: of the draws.

    The interval holds what is not known of the map (clusters of the reference resampled) and what outcomes vary by
    themselves, given their probabilities, times the square root of the design effect.
    """
    right = reference.right.astype(np.float64)

    def fitted(weights: Floats | None) -> Calibrator:
        if fitness.raw_is_better:
            return Calibrator(np.zeros(0), np.zeros(0), is_identity=True)
        return fit_calibrator(reference.probability, right, weights)

    wanted = FIGURES if positive is not None else {"accuracy": FIGURES["accuracy"]}
    stated = probability if positive is None else np.where(positive, probability, 1.0 - probability)
    chosen = np.ones(len(probability), dtype=bool) if positive is None else positive
    plain = fitted(None)(probability)
    found: dict[tuple[str, str], float] = {}
    draws: dict[tuple[str, str], list[float]] = {}
    for group, mask in groups.items():
        for name, figure in wanted.items():
            found[group, name] = figure(plain[mask], chosen[mask], stated[mask])
            draws[group, name] = []
    rng = np.random.default_rng(seed)
    _, codes = np.unique(reference.clusters, return_inverse=True)
    n_clusters = int(codes.max()) + 1
    for _ in range(n_draws):
        weights = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters))[codes].astype(np.float64)
        outcome = (rng.random(len(probability)) < fitted(weights)(probability)).astype(np.float64)
        for (group, name), values in draws.items():
            mask = groups[group]
            values.append(wanted[name](outcome[mask], chosen[mask], stated[mask]))
    wide = math.sqrt(fitness.design)
    return {key: (value, _interval(value, np.array(draws[key]), wide)) for key, value in found.items()}


def _interval(value: float, draws: Floats, wide: float) -> Interval:
    known = draws[~np.isnan(draws)]
    if math.isnan(value) or len(known) < 20:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975]).tolist()
    middle = float(np.median(known))
    return Interval(max(0.0, value - wide * (middle - low)), min(1.0, value + wide * (high - middle)))


# Each takes how right the chosen class is (0 to 1), whether it is the positive one, and the stated probability of the
# positive one.
def _accuracy(right: Floats, chosen: Bools, stated: Floats) -> float:
    return float(right.mean()) if len(right) else math.nan


def _f1(right: Floats, chosen: Bools, stated: Floats) -> float:
    hits, alarms = float(right[chosen].sum()), float(chosen.sum())
    positives = hits + float((1 - right[~chosen]).sum())
    return 2 * hits / (alarms + positives) if alarms + positives > 0 else math.nan


def _auroc(right: Floats, chosen: Bools, stated: Floats) -> float:
    is_positive = np.where(chosen, right, 1 - right)
    sides = np.repeat([True, False], len(right))
    weights = np.concatenate([is_positive, 1 - is_positive])
    return float(roc_area(sides, np.concatenate([stated, stated]), weights)) if len(right) else math.nan


def _brier(right: Floats, chosen: Bools, stated: Floats) -> float:
    is_positive = np.where(chosen, right, 1 - right)
    squares = is_positive * (1 - stated) ** 2 + (1 - is_positive) * stated**2
    return float(squares.mean()) if len(right) else math.nan


FIGURES: Final[Mapping[str, Callable[[Floats, Bools, Floats], float]]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "auroc": _auroc,
    "brier": _brier,
}
