"""The greatest of several contrasts, and the smallest of several ratios: bounds that allow for having looked at all.

The difference between the best and the worst of G groups is the greatest of all the differences between two of them.
Chance alone makes it large where the groups are many. So what is asked of its lower bound is asked of all contrasts at
once, by the distribution of the greatest studentised error among them (max-t); its upper bound needs that of one only,
for the contrast that is greatest in truth is one and the same, whichever it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from .arrays import Floats, np
from .one_sided import bisected
from .tails import t_probability, t_quantile

__all__ = ["Greatest", "SmallestRatio", "max_t"]

_DRAWS = 10_000
_CHUNK_CELLS = 2_000_000
# More contrasts are left to Bonferroni, which loses little among so many.
_MANY = 4_000
# Between the limit that a bound is and the test at it lies the rounding of a quotient.
_ROUNDING = 1e-9


def max_t(covariance: Floats, contrasts: Floats, df: float, *, folded: bool, seed: int) -> Floats:
    """(B,) sorted draws of the greatest studentised error among `contrasts` (m, p) of estimates.

        T = max_j a_j·Z / (SE_j · sqrt(χ²_df / df)),  Z ~ N(0, covariance),  SE_j² = a_j·covariance·a_jᵀ

    with |a_j·Z| where `folded`. Nothing is drawn, and the answer is empty, for one contrast, whose T is Student's, and
    for more than 4,000. Source: the multivariate t of Hothorn, Bretz and Westfall 2008 (Biom J 50:346), equation 3.
    """
    m = len(contrasts)
    if m < 2 or m > _MANY:
        return np.zeros(0)
    values, vectors = np.linalg.eigh(covariance)
    root = contrasts @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    errors = np.sqrt(np.sum(root * root, axis=1))
    root = root[errors > 0] / errors[errors > 0, None]
    if not len(root):
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    found = np.empty(_DRAWS)
    step = max(1, _CHUNK_CELLS // (len(root) + len(covariance)))
    for start in range(0, _DRAWS, step):
        rows = min(step, _DRAWS - start)
        drawn = rng.standard_normal((rows, root.shape[1])) @ root.T
        scale = np.sqrt(rng.chisquare(df, rows) / df)
        found[start : start + rows] = (np.abs(drawn) if folded else drawn).max(axis=1) / scale
    return np.sort(found)


@dataclass(frozen=True, eq=False)
class _Level:
    """The p-value of the greatest studentised error among m, and the error that it inverts to."""

    m: int
    df: float
    folded: bool
    maxima: Floats = field(repr=False)

    def p_value(self, t: float) -> float:
        """P(T ≥ t): by the draws, or by Bonferroni's inequality where that says less (beyond what was drawn)."""
        sides = 2 * self.m if self.folded else self.m
        found = min(sides * t_probability(-t, self.df), 1.0)
        if self.maxima.size:
            n = self.maxima.size
            above = n - int(np.searchsorted(self.maxima, t, side="left"))
            found = min(found, (above + 1) / (n + 1))
        return found

    def critical(self, alpha: float) -> float:
        """The smallest t whose p-value is no more than `alpha`."""
        sides = 2 * self.m if self.folded else self.m
        found = t_quantile(1 - min(alpha / sides, 0.5), self.df) if alpha < sides else 0.0
        n = self.maxima.size
        allowed = math.floor(alpha * (n + 1) * (1 + 1e-12)) - 1
        if n and 0 <= allowed < n:
            found = min(found, math.nextafter(float(self.maxima[n - 1 - allowed]), math.inf))
        return found


@dataclass(frozen=True, eq=False)
class Greatest:
    """θ = max_j θ_j of `estimates` (m,) with standard `errors`; of |θ_j| where `folded`.

        at_least(L) = P(T ≥ max_j (θ̂_j − L)/SE_j),  at_most(L) = max_j P(t_df ≥ (L − θ̂_j)/SE_j)

    with T of `max_t`, whose draws are `maxima`. The error of the first is at most alpha whatever the other contrasts
    are (a union of rejections), that of the second too (an intersection). Of one folded contrast the first is Student's
    two-sided test. Source: Hothorn, Bretz and Westfall 2008; Berger 1982 (Technometrics 24:295) for the intersection.
    """

    estimates: Floats = field(repr=False)
    errors: Floats = field(repr=False)
    df: float
    maxima: Floats = field(repr=False)
    folded: bool = False

    def at_least(self, limit: float) -> float:
        """The p-value of "no contrast is above `limit`"."""
        if math.isinf(limit):
            return 0.0 if limit < 0 else 1.0
        return self._level.p_value(float(((self._seen - limit) / self.errors).max()) + _ROUNDING)

    def at_most(self, limit: float) -> float:
        """The p-value of "some contrast is above `limit`"."""
        if math.isinf(limit):
            return 0.0 if limit > 0 else 1.0
        return t_probability(-float(((limit - self._seen) / self.errors).min()) - _ROUNDING, self.df)

    def lower(self, alpha: float) -> float:
        """The greatest of the contrasts' simultaneous lower bounds."""
        return float((self._seen - self._level.critical(alpha) * self.errors).max())

    def upper(self, alpha: float) -> float:
        """The greatest of the contrasts' own upper bounds."""
        return float((self._seen + t_quantile(1 - alpha, self.df) * self.errors).max())

    def scaled(self, factor: float) -> Greatest:
        """Errors shrink by the square root of `factor`."""
        return replace(self, errors=self.errors / math.sqrt(factor), df=self.df * factor)

    @property
    def _seen(self) -> Floats:
        found: Floats = np.abs(self.estimates) if self.folded else self.estimates
        return found

    @property
    def _level(self) -> _Level:
        return _Level(len(self.estimates), self.df, self.folded, self.maxima)


@dataclass(frozen=True, eq=False)
class SmallestRatio:
    """ρ = min_j x_j/y_j of m pairs of figures that are no less than 0, by Fieller's contrasts x_j − L·y_j.

        at_most(L) = P(T ≥ max_j (L·y_j − x_j)/SE_j(L)),  at_least(L) = max_j P(t_df ≥ (x_j − L·y_j)/SE_j(L))
        SE_j(L)² = var x_j + L²·var y_j − 2L·cov(x_j, y_j)

    Both orders of each pair of groups belong in it. At L = 1 it is the test of the differences, so that a ratio below 1
    is shown exactly where a difference is; figures of 0 need no exception. `parts` (3, m) are the two variances and
    the covariance. Source: Fieller 1954 (J R Stat Soc B 16:175), with `Greatest`'s allowance for the pairs.
    """

    figures: Floats = field(repr=False)
    parts: Floats = field(repr=False)
    df: float
    maxima: Floats = field(repr=False)

    def at_least(self, limit: float) -> float:
        """The p-value of "some ratio is below `limit`"."""
        if math.isinf(limit):
            return 0.0 if limit < 0 else 1.0
        return t_probability(-float(self._studentised(limit).min()), self.df)

    def at_most(self, limit: float) -> float:
        """The p-value of "no ratio is below `limit`"."""
        if math.isinf(limit):
            return 0.0 if limit > 0 else 1.0
        return self._level.p_value(float((-self._studentised(limit)).max()))

    def lower(self, alpha: float) -> float:
        """The largest limit that all ratios are shown to reach; 0 where none is."""
        return 1.0 if self.at_least(1.0) <= alpha else bisected(lambda limit: self.at_least(limit) <= alpha, 0.0, 1.0)

    def upper(self, alpha: float) -> float:
        """The smallest limit that some ratio is shown to lie below; 1 where none is."""
        return 1.0 if self.at_most(1.0) > alpha else bisected(lambda limit: self.at_most(limit) <= alpha, 1.0, 0.0)

    def scaled(self, factor: float) -> SmallestRatio:
        """Variances shrink by `factor`."""
        return replace(self, parts=self.parts / factor, df=self.df * factor)

    def _studentised(self, limit: float) -> Floats:
        x, y = self.figures
        of_x, of_y, both = self.parts
        found: Floats = (x - limit * y) / np.sqrt(np.maximum(of_x + limit**2 * of_y - 2 * limit * both, 1e-300))
        return found

    @property
    def _level(self) -> _Level:
        # Each pair stands in both orders: so many one-sided contrasts are half as many two-sided ones.
        return _Level(self.figures.shape[1] // 2 or 1, self.df, True, self.maxima)
