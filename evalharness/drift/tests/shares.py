"""Tests of shares: of the levels of a category, the terms of texts, the bins of a number.

p and q are the shares of the reference and the current window. All five statistics are Pearson's χ² to first order,
n·m/(n + m)·Σ (p − q)²/h, so that their evidence hardly differs: they differ in what their effect is called, and in
whose thresholds people know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from evalharness.core.drifting import ColumnKind
from evalharness.stats import count_distances as distances
from evalharness.stats.arrays import Floats, Ints, np

from ..base import Counts, Outcome, Rows
from ..evidence import Evidence, evidence, quadratic_p, spread_of
from ..shared import shared_counts
from .order import error_scale, nothing

__all__ = ["ChiSquare", "GTest", "Hellinger", "JensenShannon", "PopulationStability", "ShareTest"]

# What is put together where clusters decide: a covariance says nothing of levels that hardly occur.
_RARE = 5.0


class ShareTest:
    """What the tests of shares have in common."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("category", "text", "numeric")
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Counts, Rows)
    effect_name: ClassVar[str]
    # From which smallest expected count on the limiting law holds also far in the tail: what the tests measure.
    expected: ClassVar[float] = 20.0
    bins: int

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        shared = shared_counts(reference, current, seed=seed)
        if shared.empty:
            return nothing()
        x, y, groups, units = shared.x, shared.y, shared.groups, shared.units
        columns = None
        if isinstance(reference, Rows) or reference.order:
            columns = _membership(distances.merged_bins(x + y, self.bins))
        elif shared.grouped:
            columns = _without_rare(x, y)
        if columns is not None:
            if isinstance(reference, Rows) or reference.order:
                x, y = x @ columns, y @ columns
            if units is not None:
                units = (units[0] @ columns, units[1] @ columns)
        value = float(self._statistic(x, y))
        spread = spread_of(shared.x, shared.y, groups, columns)
        if spread is not None:
            pooled = (shared.x + shared.y) if columns is None else (shared.x + shared.y) @ columns
            root = np.diag(np.where(pooled > 0, 1 / np.sqrt(np.maximum(pooled / pooled.sum(), 1e-300)), 0.0))
            found = quadratic_p(spread, root)
        else:
            found = self._independent(x, y, value, units, seed)
        effect, low, high = self._effect(x, y, value)
        return Outcome(value, found.p_value, effect, low, high, {"law": found.law, "bins": float((x + y > 0).sum())})

    def _independent(
        self, x: Floats, y: Floats, value: float, units: tuple[Floats, Floats] | None, seed: int
    ) -> Evidence:
        def limit() -> float:
            from scipy.special import chdtrc

            n, m = float(x.sum()), float(y.sum())
            return float(chdtrc(max(int((x + y > 0).sum()) - 1, 1), self._as_chi_square(value, n, m)))

        if int((x + y > 0).sum()) < 2:
            return Evidence(1.0, "one level only")
        return evidence(x, y, self._statistic, seed=seed, limit=limit, expected=self.expected, units=units)

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        raise NotImplementedError

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        """The statistic in the unit of χ² of k − 1 degrees of freedom."""
        raise NotImplementedError

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        raise NotImplementedError

    def _from_square(self, square: float, n: float, m: float) -> float:
        """The effect at which Σ (p − q)²/h is `square`."""
        raise NotImplementedError

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        scale = error_scale(n_reference, n_current, design)
        if math.isinf(scale):
            return math.inf
        from scipy.special import chdtri, chndtrinc

        df = max(bins - 1, 1)
        # The non-centrality at which χ² passes its limit four times in five.
        needed = float(chndtrinc(float(chdtri(df, alpha)), df, 0.2))
        return self._from_square(needed * scale * scale, n_reference, n_current)


def _membership(places: Ints) -> Floats:
    """(k, k') ones where a bin goes to."""
    found: Floats = np.eye(int(places.max()) + 1)[places]
    return found


def _without_rare(x: Floats, y: Floats) -> Floats | None:
    """(k, k') that puts the levels which hardly occur together as one; None where there are fewer than two."""
    pooled = x + y
    rare = pooled * min(x.sum(), y.sum()) < _RARE * pooled.sum()
    if rare.sum() < 2:
        return None
    places = np.cumsum(~rare) - 1
    places[rare] = (~rare).sum()
    return _membership(places)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquare(ShareTest):
    """Pearson's chi-square test of two rows of counts.

        χ² = n·m/(n + m)·Σ (p − q)²/h,  h = (n·p + m·q)/(n + m)

    Options:
        effect: Cramér's V from which on a change counts, less its bias. The default 0.1 is Cohen's small w.
        bins: about how many bins a number is counted in, of equal share; the fine bins of a state are put together.

    The p-value is by permutation (exact for small counts) where a level has fewer than 20 rows to expect, else by the
    chi-square law; with clusters by Rao and Scott's second-order correction. V² = χ²/N less its null mean (k − 1)/N.

    Source: Pearson 1900; scipy `chi2_contingency(correction=False)`; Bergsma 2013 for the bias.
    """

    effect: float = 0.1
    bins: int = 10

    name = "chi_square"
    effect_name = "Cramér's V"

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        return distances.chi_square(x, y)

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        return value

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        total, k = float((x + y).sum()), int((x + y > 0).sum())
        return math.sqrt(max(value - (k - 1), 0.0) / total), math.nan, math.nan

    def _from_square(self, square: float, n: float, m: float) -> float:
        return math.sqrt(square * n * m) / (n + m)


@dataclass(frozen=True, slots=True, kw_only=True)
class GTest(ShareTest):
    """The likelihood-ratio test of two rows of counts.

        G = 2·Σ observed·ln(observed/expected) = 2·(n·KL(p ‖ h) + m·KL(q ‖ h))

    Options:
        effect: sqrt(G/N) less its bias, from which on a change counts. The default 0.1 is Cohen's small w: to first order it
            is Cramér's V.
        bins: as for chi_square.

    Source: Wilks 1938; scipy `chi2_contingency(lambda_="log-likelihood", correction=False)`.
    """

    effect: float = 0.1
    bins: int = 10

    name = "g_test"
    effect_name = "sqrt(G/N)"

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        return distances.g_statistic(x, y)

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        return value

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        total, k = float((x + y).sum()), int((x + y > 0).sum())
        return math.sqrt(max(value - (k - 1), 0.0) / total), math.nan, math.nan

    def _from_square(self, square: float, n: float, m: float) -> float:
        return math.sqrt(square * n * m) / (n + m)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationStability(ShareTest):
    """The population stability index, less what no drift at all gives, with a p-value.

        PSI = Σ (p − q)·ln(p/q),  null mean about (k − 1)·(1/n + 1/m),  effect = PSI − null mean

    Options:
        effect: the index from which on a change counts. The default 0.1 is the credit industry's "some change" (0.25 is
            its "large change"; Siddiqi 2006), taken after the null mean is off.
        bins: about how many bins a number is counted in; the thresholds are used with 10.

    A bin that is empty on one side counts as half a row. Source: Yurdakul and Naranjo 2020 for the law under no drift,
    n·m/(n + m)·PSI ~ χ²(k − 1), taken from 50 expected rows a bin on; below, permutation.
    """

    effect: float = 0.1
    bins: int = 10

    name = "psi"
    effect_name = "PSI less its null mean"
    expected = 50.0

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        return distances.psi(x, y)

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        return value * n * m / (n + m)

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        n, m, k = float(x.sum()), float(y.sum()), int((x + y > 0).sum())
        return value - (k - 1) * (1 / n + 1 / m), math.nan, math.nan

    def _from_square(self, square: float, n: float, m: float) -> float:
        return square


@dataclass(frozen=True, slots=True, kw_only=True)
class JensenShannon(ShareTest):
    """The Jensen-Shannon distance of the shares, base 2.

        JS = sqrt(½·KL₂(p ‖ a) + ½·KL₂(q ‖ a)),  a = (p + q)/2,  within [0, 1]

    Options:
        effect: the distance from which on a change counts, its null mean square off. The default 0.1 is the threshold
            of Evidently and NannyML, which take it without evidence.
        bins: as for chi_square.

    8·ln 2·n·m/(n + m)·JS² ~ χ²(k − 1) without drift, taken from 50 expected rows a bin on; below, permutation.

    Source: Lin 1991, Endres and Schindelin 2003; scipy `jensenshannon(p, q, base=2)`.
    """

    effect: float = 0.1
    bins: int = 10

    name = "jensen_shannon"
    effect_name = "Jensen-Shannon distance"
    expected = 50.0

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        return distances.jensen_shannon(x, y)

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        return value * value * 8 * math.log(2) * n * m / (n + m)

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        return _less_bias(x, y, value, 8 * math.log(2)), math.nan, math.nan

    def _from_square(self, square: float, n: float, m: float) -> float:
        return math.sqrt(square / (8 * math.log(2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hellinger(ShareTest):
    """The Hellinger distance of the shares.

        H = sqrt(1 − Σ sqrt(p·q)),  within [0, 1]

    Options:
        effect: the distance from which on a change counts, its null mean square off. The default 0.1 is where NannyML
            sets it, and about what PSI 0.08 is (H² is to first order PSI/8).
        bins: as for chi_square.

    8·n·m/(n + m)·H² ~ χ²(k − 1) without drift, taken from 50 expected rows a bin on; below, permutation.

    Source: Hellinger 1909.
    """

    effect: float = 0.1
    bins: int = 10

    name = "hellinger"
    effect_name = "Hellinger distance"
    expected = 50.0

    def _statistic(self, x: Floats, y: Floats) -> Floats:
        return distances.hellinger(x, y)

    def _as_chi_square(self, value: float, n: float, m: float) -> float:
        return value * value * 8 * n * m / (n + m)

    def _effect(self, x: Floats, y: Floats, value: float) -> tuple[float, float, float]:
        return _less_bias(x, y, value, 8.0), math.nan, math.nan

    def _from_square(self, square: float, n: float, m: float) -> float:
        return math.sqrt(square / 8)


def _less_bias(x: Floats, y: Floats, value: float, scale: float) -> float:
    """A distance whose square has the null mean (k − 1)·(1/n + 1/m)/scale, that mean taken off; 0 below it."""
    n, m, k = float(x.sum()), float(y.sum()), int((x + y > 0).sum())
    return math.sqrt(max(value * value - (k - 1) * (1 / n + 1 / m) / scale, 0.0))
