"""The default test of numbers: several statistics that each see one kind of change, joined to one p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from evalharness.core.drifting import ColumnKind
from evalharness.stats import count_distances as distances
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.combining import cauchy_combination, cauchy_evidence, cauchy_statistic
from evalharness.stats.fisher import doubled_tails
from evalharness.stats.group_spread import joint_df
from evalharness.stats.weighted_chi_square import weighted_chi_square_above, weighted_chi_square_curve

from ..base import Counts, Outcome, Rows
from ..evidence import Evidence, Spread, evidence, quadratic_p, spread_of
from ..shared import shared_counts
from .order import bridge_weights, cut_root, error_scale, gap_effect, nothing, z_sum

__all__ = ["Omnibus"]

# How much of the level each part may claim. What is most common, a shift, is to be found nearly as well as by the best
# test of it; the rest lies where the others find little (benchmarks/drift_power.py).
_LOCATION, _SCALE, _SMOOTH, _COARSE, _SQUARES, _TAILS, _VALUES = 0.28, 0.05, 0.16, 0.03, 0.23, 0.19, 0.06
_COARSE_BINS = 10
# A tail begins so many distances between the quartiles from the median: beyond it lies one row of 300 of a normal
# column and one of eleven of a lognormal one. Squares are taken no further than the second, logarithms than the third.
_FENCE, _FARTHEST, _NOWHERE = 2.0, 12.0, 1e9
# Of more rows tails are counted: the outer 2 %, and what lies so many distances from the median. Counts have an exact
# law, where a sum of logarithms has to be permuted.
_MANY, _TAIL, _FENCES = 20_000, 0.02, (1.75, 3.0)
# So many rows must lie in a tail: fewer cannot tell the windows apart.
_LEAST = 4
# From which share on a bin is a value that many rows have.
_HEAVY, _MOST_HEAVY = 0.05, 4
# The normal law of scores holds at 1e-4 from about so many rows on that carry them, χ² from so many expected in a bin.
_EXPECTED, _EXPECTED_COARSE = 100.0, 20.0
# Counts up to here have their exact law; the normal one of larger counts holds.
_EXACT = 2_000


class _Parts(NamedTuple):
    """What is looked at; it depends on the sums over both windows only, so that it stays when rows are exchanged.

    `contrasts` (c, k) are scores of the bins, each a linear statistic, and `counted` (c,) says which are 0 and 1 only;
    `weights` (c + 2,) of the contrasts, A² and χ²; `cuts` (k − 1,) A²'s weights; `coarse` (k, k') to which wider bin
    each goes.
    """

    contrasts: Floats
    counted: Bools
    weights: Floats
    cuts: Floats
    coarse: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnibus:
    """The default test of numbers: did level, scale, shape, a tail or the share of one value change?

        p = Cauchy combination, with the weights
            0.28  normal scores of the ranks (van der Waerden's test): a shift
            0.23  squared distances from the median, in distances between the quartiles and up to 12 of them: outliers
            0.19  log(distance/2) of what lies more than 2 distances between the quartiles from the median, either
                  side in equal parts: contamination, a longer tail. Of more than 20,000 rows in its place the shares
                  of the outer 2 % of either side and of what lies 1.75 and 3 distances from the median
            0.16  Anderson and Darling's A²: anything smooth
            0.06  the share of each value that 5 % or more of the rows have, in equal parts: more zeros
            0.05  squares of the normal scores (Klotz' test): a scale
            0.03  χ² over about ten bins of equal share: another shape

    Options:
        effect: largest gap of the distribution functions from which on a change counts. The default 0.03 says that
            three rows in a hundred moved past some value: a shift by 0.075 standard deviations, three points more
            zeros, 3 % of rows from elsewhere.

    No test is best for all changes; each part is nearly the best for one, and to ask all of them costs a factor of 2 to
    10 in p, less than half a standard error. Few rows: the whole combination is permuted, so that p is exact. Many
    rows: the parts' limiting laws, of a tail's count the exact one. Clusters: every part with the covariance between
    groups.

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
        effect, low, high = gap_effect(shared)
        held = shared.pooled > 0
        if int(held.sum()) < 2:
            return Outcome(0.0, 1.0, effect, low, high, {"law": "one value only"})
        x, y, pooled = shared.x[held], shared.y[held], shared.pooled[held]
        parts = _parts(pooled, shared.positions[held])
        if shared.grouped:
            first, second = (None if of is None else of[:, held] for of in shared.groups)
            spread = spread_of(x, y, (first, second))
            found = _clustered(spread, parts, pooled) if spread else Evidence(math.nan, "")
            return Outcome(effect, found.p_value, effect, low, high, {"law": found.law})
        law = _Law(parts, pooled, float(x.sum()), float(y.sum()), rows=shared.units is None)

        def statistic(first: Floats, second: Floats) -> Floats:
            return cauchy_statistic(law.p_values(first, second, drawn=True), parts.weights)

        def drawn(first: Floats, second: Floats) -> Floats:
            # Where no draw comes near, p is found by the draws' moments, of which the statistic itself has none.
            return cauchy_evidence(statistic(first, second))

        def limit() -> float:
            return cauchy_combination(law.p_values(x, y), parts.weights)

        units = None if shared.units is None else (shared.units[0][:, held], shared.units[1][:, held])
        found = evidence(x, y, drawn, seed=seed, limit=limit, expected=1.0, least=law.enough, units=units)
        value = float(statistic(x, y))
        return Outcome(value, found.p_value, effect, low, high, {"law": found.law})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # A shift by δ of a normal column makes a gap of φ(0)·δ; the parts that see it have half of the level.
        return 0.3989 * z_sum(alpha / 2) * error_scale(n_reference, n_current, design)


def _parts(pooled: Floats, positions: Floats) -> _Parts:
    h = pooled / pooled.sum()
    scores = distances.normal_scores(pooled)
    off = _from_median(h, positions)
    squares = np.clip(off, -_FARTHEST, _FARTHEST) ** 2
    logs = [np.log(np.maximum(away, _FENCE) / _FENCE) for away in (-off, off)] if pooled.sum() <= _MANY else []
    flags = [] if pooled.sum() <= _MANY else [flag for flag in _tails(h, off) if pooled[flag].sum() >= _LEAST]
    tails = [*(beyond for beyond in logs if pooled[beyond > 0].sum() >= _LEAST), *flags]
    values = _frequent(h, flags)
    rows = np.stack([scores, scores * scores, squares, *(part.astype(np.float64) for part in (*tails, *values))])
    shares = [_TAILS / max(len(tails), 1)] * len(tails) + [_VALUES / max(len(values), 1)] * len(values)
    weights = np.array([_LOCATION, _SCALE, _SQUARES, *shares])
    # Where a column has two values only, the squares of the scores may not vary: such a part says nothing.
    varies = (rows * rows) @ h - (rows @ h) ** 2 > 1e-9
    cuts, mass = distances.pooled_cuts(pooled)
    variance = cuts * (1 - cuts)
    groups = distances.merged_bins(pooled, _COARSE_BINS)
    return _Parts(
        rows[varies],
        (np.arange(len(rows)) >= len(rows) - len(flags) - len(values))[varies],
        np.concatenate([weights[varies], [_SMOOTH, _COARSE]]),
        np.where(variance > 1e-12, mass / np.maximum(variance, 1e-12), 0.0),
        np.eye(int(groups.max()) + 1)[groups],
    )


def _from_median(h: Floats, positions: Floats) -> Floats:
    """(k,) how far each bin lies from the median, in distances between the quartiles; 0 where those are one value."""
    for share in (h, np.where(h < _HEAVY, h, 0.0)):
        if share.any():
            reached = np.cumsum(share) / share.sum()
            low, middle, high = positions[np.searchsorted(reached, (0.25, 0.5, 0.75))]
            if high > low:
                return np.asarray(np.clip((positions - middle) / (high - low), -_NOWHERE, _NOWHERE))
    return np.zeros(h.size)


def _tails(h: Floats, off: Floats) -> list[Bools]:
    """The outermost bins on either side, by their share and by how far they lie, each once."""
    found: dict[bytes, Bools] = {}
    for shares, away, back in ((h, -off, False), (h[::-1], off[::-1], True)):
        # The outermost bins that have at least this share together; one that many rows have is no tail.
        flags = [np.cumsum(shares) - shares < _TAIL]
        flags += [away > fence for fence in _FENCES]
        for flag in flags:
            if 0 < shares[flag].sum() < 4 * _TAIL:
                flag = flag[::-1].copy() if back else flag
                found[flag.tobytes()] = flag
    return list(found.values())


def _frequent(h: Floats, tails: list[Bools]) -> list[Bools]:
    """Values that many rows have, each a bin; those that are a tail are watched already."""
    seen = {flag.tobytes() for flag in tails}
    places = np.argsort(-h, kind="stable")[:_MOST_HEAVY]
    flags = [np.arange(h.size) == place for place in places[h[places] >= _HEAVY]]
    return [flag for flag in flags if flag.tobytes() not in seen]


class _Law:
    """The p-values of the parts by their laws, given the sums `pooled` and the sizes of the windows.

    Without `rows` whole clusters are exchanged: the sizes change, and no count has its exact law.
    """

    def __init__(self, parts: _Parts, pooled: Floats, n: float, m: float, *, rows: bool = True) -> None:
        h, total = pooled / pooled.sum(), n + m
        means = parts.contrasts @ h
        # The exact variance of a linear statistic of rows drawn without replacement.
        spread = ((parts.contrasts**2) @ h - means**2) * total / (total - 1)
        self.parts, self.variance = parts, spread
        self.df = max(parts.coarse.shape[1] - 1, 1)
        self.weights = bridge_weights(parts.cuts, distances.pooled_cuts(pooled)[0])
        held = np.rint(parts.contrasts @ pooled).astype(np.int64)
        self.exact = {
            int(j): doubled_tails(int(held[j]), round(n), round(m))
            for j in np.flatnonzero(parts.counted & (held <= _EXACT))
            if rows
        }
        # How many rows carry each score: Σ(c − c̄)² over the largest (c − c̄)², of those in the smaller window.
        carried = spread * min(n, m) / ((parts.contrasts - means[:, None]) ** 2).max(axis=1, initial=1e-300)
        told = [value / _EXPECTED for j, value in enumerate(carried.tolist()) if j not in self.exact]
        coarse = float((pooled @ parts.coarse).min()) * min(n, m) / total
        self.enough = min([*told, coarse / _EXPECTED_COARSE])
        """From 1 on the laws hold in the tail."""

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        return weighted_chi_square_curve(self.weights)

    def _smooth(self, squares: Floats, drawn: bool) -> Floats:
        if not drawn:
            return weighted_chi_square_above(squares, self.weights)
        grid, logs = self._curve
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
        normal = 2 * ndtr(-np.abs(z))
        for j, law in self.exact.items():
            normal[..., j] = law[np.rint(x @ self.parts.contrasts[j]).astype(np.int64)]
        return np.concatenate(
            [normal, np.asarray(smooth)[..., None], np.asarray(chdtrc(self.df, coarse))[..., None]],
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
