"""The default test of numbers: several statistics that each see one kind of change, joined to one p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from evalharness.core.drifting import ColumnKind
from evalharness.stats import count_distances as distances
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.combining import cauchy_combination, cauchy_statistic
from evalharness.stats.group_spread import joint_df
from evalharness.stats.weighted_chi_square import weighted_chi_square_above

from ..base import Counts, Outcome, Rows
from ..evidence import Evidence, Spread, evidence, quadratic_p, spread_of
from ..shared import shared_counts
from .order import bridge_weights, cut_root, error_scale, gap_effect, nothing, z_sum

__all__ = ["Omnibus"]

# How much of the level each part may claim. Chosen on normal columns with a shift, a scale and contamination so that
# the worst of the three lies nearest to the test that is best for it.
_LOCATION, _SCALE, _SMOOTH, _COARSE, _PLACES = 0.30, 0.15, 0.25, 0.05, 0.25
_COARSE_BINS = 10
# The tail that is watched by itself, and from which share on a bin is a value that many rows have.
_TAIL = 0.02
_HEAVY, _MOST_HEAVY = 0.05, 4
# The normal law of a tail's count holds at 1e-4 from about so many expected rows on (tests/drift/test_limits.py).
_EXPECTED = 100.0


class _Parts(NamedTuple):
    """What is looked at; it depends on the sums over both windows only, so that it stays when rows are exchanged.

    `contrasts` (c, k) are scores of the bins, each a linear statistic; `weights` (c + 2,) of the contrasts, A² and χ²;
    `cuts` (k − 1,) A²'s weights; `coarse` (k, k') to which wider bin each goes.
    """

    contrasts: Floats
    weights: Floats
    cuts: Floats
    coarse: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnibus:
    """The default test of numbers: did level, scale, shape, a tail or the share of one value change?

        p = Cauchy combination, with the weights
            0.30  normal scores of the ranks (van der Waerden's test): a shift
            0.15  their squares (Klotz' test): a scale
            0.25  Anderson and Darling's A²: anything smooth
            0.05  χ² over about ten bins of equal share: another shape
            0.25  the share of the outer 2 % of either side and of each value that 5 % or more of the rows have, in
                  equal parts: contamination, more zeros

    Options:
        effect: largest gap of the distribution functions from which on a change counts. The default 0.03 says that
            three rows in a hundred moved past some value: a shift by 0.075 standard deviations, three points more
            zeros, 3 % of rows from elsewhere.

    No test is best for all changes; each part is nearly the best for one, and to ask all of them costs a factor of 2 to
    10 in p, less than half a standard error. Few rows: the whole combination is permuted, so that p is exact. Many
    rows: the parts' limiting laws. Clusters: every part with the covariance between groups.

    Source: van der Waerden 1952; Klotz 1962; Scholz and Stephens 1987; Liu and Xie 2020 for the combination.
    """

    effect: float = 0.03

    name: ClassVar[str] = "omnibus"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Counts, Rows)
    effect_name: ClassVar[str] = "CDF gap"

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        shared = shared_counts(reference, current, seed=seed)
        if shared.empty:
            return nothing()
        x, y, pooled = shared.x, shared.y, shared.pooled
        effect, low, high = gap_effect(shared)
        if int((pooled > 0).sum()) < 2:
            return Outcome(0.0, 1.0, effect, low, high, {"law": "one value only"})
        parts = _parts(pooled)
        spread = spread_of(x, y, shared.groups)
        if spread is not None:
            found = _clustered(spread, parts, pooled)
            return Outcome(effect, found.p_value, effect, low, high, {"law": found.law})
        law = _Law(parts, pooled, float(x.sum()), float(y.sum()))
        here = law.p_values(x, y)

        def statistic(first: Floats, second: Floats) -> Floats:
            return cauchy_statistic(law.p_values(first, second, drawn=True), parts.weights)

        def limit() -> float:
            return cauchy_combination(here, parts.weights)

        found = evidence(x, y, statistic, seed=seed, limit=limit, expected=_EXPECTED, units=shared.units)
        value = float(cauchy_statistic(here, parts.weights))
        return Outcome(value, found.p_value, effect, low, high, {"law": found.law})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # A shift by δ of a normal column makes a gap of φ(0)·δ; the parts that see it have half of the level.
        return 0.3989 * z_sum(alpha / 2) * error_scale(n_reference, n_current, design)


def _parts(pooled: Floats) -> _Parts:
    h = pooled / pooled.sum()
    scores = distances.normal_scores(pooled)
    places = [flag.astype(np.float64) for flag in _watched(h)]
    rows = np.stack([scores, scores * scores, *places])
    weights = np.array([_LOCATION, _SCALE, *([_PLACES / max(len(places), 1)] * len(places))])
    # Where a column has two values only, the squares of the scores may not vary: such a part says nothing.
    varies = (rows * rows) @ h - (rows @ h) ** 2 > 1e-9
    cuts, mass = distances.pooled_cuts(pooled)
    variance = cuts * (1 - cuts)
    groups = distances.merged_bins(pooled, _COARSE_BINS)
    return _Parts(
        rows[varies],
        np.concatenate([weights[varies], [_SMOOTH, _COARSE]]),
        np.where(variance > 1e-12, mass / np.maximum(variance, 1e-12), 0.0),
        np.eye(int(groups.max()) + 1)[groups],
    )


def _watched(h: Floats) -> list[Bools]:
    """Tails and frequent values, each once."""
    found: dict[bytes, Bools] = {}
    for shares, back in ((h, False), (h[::-1], True)):
        # The outermost bins that have at least this share together; one that many rows have is no tail.
        tail = np.cumsum(shares) - shares < _TAIL
        if shares[tail].sum() < 4 * _TAIL:
            tail = tail[::-1].copy() if back else tail
            found[tail.tobytes()] = tail
    frequent = np.argsort(-h, kind="stable")[:_MOST_HEAVY]
    for place in frequent[h[frequent] >= _HEAVY]:
        one = np.arange(h.size) == place
        found[one.tobytes()] = one
    return list(found.values())


class _Law:
    """The p-values of the parts by their limiting laws, given the sums `pooled` and the sizes of the windows."""

    def __init__(self, parts: _Parts, pooled: Floats, n: float, m: float) -> None:
        h, total = pooled / pooled.sum(), n + m
        # The exact variance of a linear statistic of rows drawn without replacement.
        spread = ((parts.contrasts**2) @ h - (parts.contrasts @ h) ** 2) * total / (total - 1)
        self.parts, self.variance = parts, spread
        self.df = max(parts.coarse.shape[1] - 1, 1)
        self.weights = bridge_weights(parts.cuts, distances.pooled_cuts(pooled)[0])

    @cached_property
    def _grid(self) -> tuple[Floats, Floats]:
        """Values of A² and the logarithm of its law there: thousands of draws are read off between them."""
        total, largest = float(self.weights.sum()), float(self.weights.max())
        near, far = total * np.linspace(0.02, 1.0, 12), total + 2 * largest * np.linspace(0.5, 40, 30)
        grid = np.concatenate([near, far])
        return grid, np.log(np.maximum(weighted_chi_square_above(grid, self.weights), 1e-300))

    def _smooth(self, squares: Floats, drawn: bool) -> Floats:
        if not drawn:
            return weighted_chi_square_above(squares, self.weights)
        grid, logs = self._grid
        # Far out a line of slope −1/(2·largest weight).
        beyond = np.maximum(squares - grid[-1], 0.0) / (2 * float(self.weights.max()))
        found: Floats = np.exp(np.interp(squares, grid, logs) - beyond)
        return found

    def p_values(self, x: Floats, y: Floats, *, drawn: bool = False) -> Floats:
        """(..., c + 2) for tables (..., k); those that are `drawn` share the quick law of A²."""
        from scipy.special import chdtrc, ndtr

        n, m = x.sum(axis=-1, keepdims=True), y.sum(axis=-1, keepdims=True)
        # Whole clusters in exchange change the sizes, and the variance with them.
        z = ((x / n - y / m) @ self.parts.contrasts.T) / np.sqrt(self.variance * (1 / n + 1 / m))
        coarse = distances.chi_square(x @ self.parts.coarse, y @ self.parts.coarse)
        smooth = self._smooth(distances.anderson_darling(x, y), drawn)
        return np.concatenate(
            [2 * ndtr(-np.abs(z)), np.asarray(smooth)[..., None], np.asarray(chdtrc(self.df, coarse))[..., None]],
            axis=-1,
        )


def _clustered(spread: Spread, parts: _Parts, pooled: Floats) -> Evidence:
    if not spread.known:
        return Evidence(math.nan, "too few clusters")
    from scipy.special import stdtr

    gap = parts.contrasts @ spread.gap
    found = []
    first, second = spread.first.deviations @ parts.contrasts.T, spread.second.deviations @ parts.contrasts.T
    for value, a, b in zip(
        gap.tolist(), (first**2).sum(axis=0).tolist(), (second**2).sum(axis=0).tolist(), strict=True
    ):
        df = joint_df(a, b, spread.first.df, spread.second.df)
        found.append(float(2 * stdtr(df, -abs(value) / math.sqrt(a + b))) if a + b > 0 else 1.0)
    coarse = pooled @ parts.coarse
    held = coarse > 0
    root = (parts.coarse[:, held] / np.sqrt(coarse[held] / coarse.sum())).T
    for form in (cut_root(parts.cuts), root):
        p = quadratic_p(spread, form).p_value
        found.append(1.0 if math.isnan(p) else p)
    return Evidence(cauchy_combination(np.array(found), parts.weights), "clusters")
