"""Tests of one figure: a rate of yes and no, and a mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from evalharness.core.drifting import ColumnKind
from evalharness.stats.arrays import Floats, np
from evalharness.stats.fisher import fisher_exact, independent_newcombe
from evalharness.stats.group_spread import group_spread, joint_df
from evalharness.stats.tails import t_probability, t_quantile

from ..base import Counts, Moments, Outcome, Rows
from ..evidence import parted, spread_of
from .order import error_scale, nothing, z_sum

__all__ = ["Mean", "Rate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A difference of rates: refusals, errors, valid formats, anything that is yes or no.

        effect = q − p,  the rate of the current window less that of the reference

    Options:
        effect: difference from which on a change counts, either way. The default 0.02 is one answer in fifty; rates
            near 0 want a smaller one.
        mid_p: take half of the observed table's own probability off: closer to its level, and at few rows a little
            above it.

    Takes `Counts` of two bins, no and yes. The p-value is Fisher's, exact at any number of rows; with clusters that of
    Student's t, by the jackknife over groups. The interval is Newcombe's, for clusters of their effective rows.

    Source: Fisher 1935, scipy `fisher_exact`; Newcombe 1998, method 10; Cameron and Miller 2015 for clusters.
    """

    effect: float = 0.02
    mid_p: bool = False

    name: ClassVar[str] = "rate"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("category", "numeric")
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Counts,)
    effect_name: ClassVar[str] = "rate difference"

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        x, y = reference.counts, current.counts
        if x.size != 2 or y.size != 2:
            raise ValueError(
                f"a rate is counted over two bins, no and yes; got {x.size} and {y.size}; for more use chi_square"
            )
        if not (x.sum() > 0 and y.sum() > 0):
            return nothing()
        p, q = float(x[1] / x.sum()), float(y[1] / y.sum())
        spread = spread_of(x, y, (reference.groups, current.groups))
        if spread is None:
            yes, n, other, m = (round(float(v)) for v in (x[1], x.sum(), y[1], y.sum()))
            p_value = fisher_exact(yes, n, other, m, mid=self.mid_p)
            low, high = independent_newcombe(yes, n, other, m)
            return Outcome(q - p, p_value, q - p, low, high, {"law": "Fisher's exact", "reference": p, "current": q})
        if not spread.known:
            return nothing("too few clusters")
        first, second = (float((side.deviations[:, 1] ** 2).sum()) for side in spread)
        df = joint_df(first, second, spread.first.df, spread.second.df)
        # Where all groups of a side say the same, Student's t knows no spread.
        p_value = parted(spread).p_value if first + second <= 0 and p != q else _t_p(q - p, first + second, df)
        low, high = independent_newcombe(*_effective(p, first, x.sum()), *_effective(q, second, y.sum()))
        return Outcome(q - p, p_value, q - p, low, high, {"law": "clusters", "reference": p, "current": q})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # At a rate of ½, where it is largest.
        return 0.5 * z_sum(alpha) * error_scale(n_reference, n_current, design)


def _effective(rate: float, variance: float, n: float) -> tuple[float, float]:
    """Yes and n of as many independent rows as have this variance."""
    rows = min(max(rate * (1 - rate) / variance, 1.0), float(n)) if variance > 0 else float(n)
    return rate * rows, rows


def _t_p(gap: float, variance: float, df: float) -> float:
    """Two-sided; NaN where nothing varies although there is a gap."""
    if variance <= 0:
        return 1.0 if gap == 0 else math.nan
    return max(2 * t_probability(-abs(gap) / math.sqrt(variance), df), 5e-324)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A difference of means, in standard deviations of the reference.

        t = (ȳ − x̄)/sqrt(s_x²/n + s_y²/m),  effect = (ȳ − x̄)/s_x

    Options:
        effect: standardised difference from which on a change counts, either way. The default 0.1 is half of Cohen's
            small effect.

    For what is summed up, as cost or tokens. It sees nothing but the mean, and in the far tail of few skewed rows its
    p-value is approximate: `anderson_darling` and `omnibus` are exact there.

    Source: Welch 1947; scipy `ttest_ind(equal_var=False)`; with clusters the jackknife over their groups.
    """

    effect: float = 0.1

    name: ClassVar[str] = "mean"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Moments, Rows)
    effect_name: ClassVar[str] = "difference in SD"

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        first, second = _moments(reference), _moments(current)
        if first.n < 2 or second.n < 2:
            return nothing("fewer than two rows in a window")
        a, df_a = _variance_of_mean(first)
        b, df_b = _variance_of_mean(second)
        if min(df_a, df_b) < 1:
            return nothing("too few clusters")
        gap, df = second.mean - first.mean, joint_df(a, b, df_a, df_b)
        p_value = _t_p(gap, a + b, df)
        sd = math.sqrt(first.var)
        if sd == 0:
            return Outcome(math.nan, p_value, math.nan, detail={"law": "the reference does not vary"})
        half = t_quantile(0.975, df) * math.sqrt(a + b)
        t = gap / math.sqrt(a + b)
        law = "Welch's t" if first.groups is None and second.groups is None else "clusters"
        return Outcome(t, p_value, gap / sd, (gap - half) / sd, (gap + half) / sd, {"law": law, "df": df})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        return z_sum(alpha) * error_scale(n_reference, n_current, design)


def _moments(window: Moments | Rows) -> Moments:
    if isinstance(window, Moments):
        return window
    values = np.asarray(window.values, dtype=np.float64)
    groups = None
    if window.clusters is not None and values.size:
        codes = np.unique(window.clusters, return_inverse=True)[1]
        groups = np.stack([np.bincount(codes).astype(np.float64), np.bincount(codes, weights=values)], axis=1)
    var = float(values.var(ddof=1)) if values.size > 1 else math.nan
    return Moments(values.size, float(values.mean()) if values.size else math.nan, var, groups)


def _variance_of_mean(window: Moments) -> tuple[float, float]:
    """The variance of the mean and its degrees of freedom."""
    if window.groups is None:
        return window.var / window.n, window.n - 1.0
    # A mean is a share whose "yes" is the sum: n_g·x̄ is taken off each group alike.
    sizes, sums = window.groups[:, 0], window.groups[:, 1]
    spread = group_spread(np.stack([sizes - sums, sums], axis=1))
    deviations: Floats = spread.deviations[:, 1]
    return float(deviations @ deviations), spread.df
