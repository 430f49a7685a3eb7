"""Tests of numbers by their distribution functions: Kolmogorov-Smirnov, Cramér-von Mises, Anderson-Darling, distances.

F and G are the distribution functions of the reference and the current window. On states they are known at the cuts
between the frozen bins; on rows everything is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from evalharness.core.drifting import ColumnKind
from evalharness.stats import count_distances as distances
from evalharness.stats.arrays import Floats, np
from evalharness.stats.sorted_distances import largest_gap, moved
from evalharness.stats.tails import normal_quantile
from evalharness.stats.weighted_chi_square import weighted_chi_square_above

from ..base import Counts, Outcome, Rows
from ..evidence import Evidence, Spread, evidence, quadratic_p, spread_of, supremum_p
from ..shared import Shared, shared_counts

__all__ = [
    "KS",
    "AndersonDarling",
    "CramerVonMises",
    "Energy",
    "Wasserstein",
    "bridge_weights",
    "cut_root",
    "error_scale",
    "gap_effect",
    "nothing",
    "superiority",
    "z_sum",
]

_POWER = 0.8


def nothing(why: str = "a window without rows") -> Outcome:
    """The outcome where nothing can be said."""
    return Outcome(math.nan, math.nan, math.nan, detail={"law": why})


def z_sum(alpha: float) -> float:
    """z_{1 − α/2} + z_0.8: how many standard errors a two-sided test at `alpha` finds with 80 % power."""
    return normal_quantile(1 - alpha / 2) + normal_quantile(_POWER)


def error_scale(n_reference: float, n_current: float, design: float) -> float:
    """sqrt(design·(1/n + 1/m)), inf without rows."""
    if n_reference <= 0 or n_current <= 0:
        return math.inf
    return math.sqrt(design * (1 / n_reference + 1 / n_current))


class _Ordered:
    """What the tests of ordered bins share."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("numeric",)
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Counts, Rows)
    effect_name: ClassVar[str]

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        shared = shared_counts(reference, current, seed=seed)
        if shared.empty:
            return nothing()
        value = self._value(shared)
        spread = spread_of(shared.x, shared.y, shared.groups)
        found = self._clustered(shared, spread, seed) if spread is not None else self._independent(shared, value, seed)
        effect, low, high = self._effect(shared, value)
        return Outcome(value, found.p_value, effect, low, high, {"law": found.law})

    def _value(self, shared: Shared) -> float:
        raise NotImplementedError

    def _clustered(self, shared: Shared, spread: Spread, seed: int) -> Evidence:
        raise NotImplementedError

    def _independent(self, shared: Shared, value: float, seed: int) -> Evidence:
        raise NotImplementedError

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        raise NotImplementedError


def cut_root(weights: Floats) -> Floats:
    """(k − 1, k) the root of a form Σ_cuts weight·(F − G)²: cumulative sums times sqrt(weight)."""
    k = weights.size + 1
    return np.sqrt(weights)[:, None] * np.tril(np.ones((k - 1, k)))


def bridge_weights(weights: Floats, cuts: Floats) -> Floats:
    """Eigenvalues of Σ_cuts weight·B(H)², B a Brownian bridge seen at the cuts: the limiting law of such a form."""
    covariance = np.minimum.outer(cuts, cuts) - np.outer(cuts, cuts)
    root = np.sqrt(weights)
    found: Floats = np.maximum(np.linalg.eigvalsh(root[:, None] * covariance * root), 0.0)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class KS(_Ordered):
    """Kolmogorov and Smirnov's test: the largest gap between the two distribution functions.

        D = max |F − G|

    Options:
        effect: D from which on a change counts. The default 0.1 is a tenth of the rows on another side of some value;
            a shift by 0.25 standard deviations of a normal column.

    The p-value is by permutation, for clusters by draws with their covariance; far in the tail of large windows by
    Kolmogorov's limit, which is an upper bound on binned values. The interval is DKW's band about both functions.

    Source: Smirnov 1948; scipy `ks_2samp`.
    """

    effect: float = 0.1

    name = "ks"
    effect_name = "largest gap of the distribution functions"

    def _value(self, shared: Shared) -> float:
        return gap_effect(shared)[0]

    def _clustered(self, shared: Shared, spread: Spread, seed: int) -> Evidence:
        root = np.tril(np.ones((shared.x.size, shared.x.size)))[:-1]
        return supremum_p(spread, root, lambda gaps: np.abs(gaps).max(axis=-1), seed=seed)

    def _independent(self, shared: Shared, value: float, seed: int) -> Evidence:
        if shared.units is None:
            from scipy.special import kolmogorov

            n, m = float(shared.x.sum()), float(shared.y.sum())
            bound = max(float(kolmogorov(value * math.sqrt(n * m / (n + m)))), 1e-300)
            if min(n, m) >= 1_000 and (bound < 1e-3 or shared.continuous):
                return Evidence(bound, "Kolmogorov's limit")
        return evidence(shared.x, shared.y, distances.ks, seed=seed, units=shared.units)

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        return gap_effect(shared)

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # At the gap itself the standard error is at most ½ of the scale.
        limit = math.sqrt(-math.log(alpha / 2) / 2) + 0.5 * normal_quantile(_POWER)
        return limit * error_scale(n_reference, n_current, design)


def gap_effect(shared: Shared) -> tuple[float, float, float]:
    """D with its 95 % interval by the band about both distribution functions; NaN for clusters."""
    value = float(distances.ks(shared.x, shared.y)) if shared.rows is None else largest_gap(*shared.rows)
    if shared.clustered:
        return value, math.nan, math.nan
    # The 95 % point of Kolmogorov's law, for F − G − (their truths) as a whole.
    half = 1.3581 * error_scale(float(shared.x.sum()), float(shared.y.sum()), 1.0)
    return value, max(value - half, 0.0), min(value + half, 1.0)


class _Quadratic(_Ordered):
    """Tests whose statistic is a sum of squared gaps."""

    def _weights(self, shared: Shared) -> Floats:
        """(k − 1,) the weight of each cut."""
        raise NotImplementedError

    def _statistic(self, x: Floats, y: Floats, shared: Shared) -> Floats:
        raise NotImplementedError

    def _value(self, shared: Shared) -> float:
        return float(self._statistic(shared.x, shared.y, shared))

    def _clustered(self, shared: Shared, spread: Spread, seed: int) -> Evidence:
        return quadratic_p(spread, cut_root(self._weights(shared)))

    def _independent(self, shared: Shared, value: float, seed: int) -> Evidence:
        weights = self._weights(shared)
        cuts, _ = distances.pooled_cuts(shared.pooled)
        n, m = float(shared.x.sum()), float(shared.y.sum())
        form = n * m / (n + m) * float(weights @ distances.cdf_gaps(shared.x, shared.y) ** 2)

        def limit() -> float:
            return float(weighted_chi_square_above(form, bridge_weights(weights, cuts)))

        return evidence(
            shared.x,
            shared.y,
            lambda x, y: self._statistic(x, y, shared),
            seed=seed,
            limit=limit,
            units=shared.units,
            expected=20.0,
        )


def superiority(shared: Shared) -> tuple[float, float, float]:
    """P(current > reference) + ½P(equal) − ½ with its 95 % interval (NaN for clusters), within [−½, ½].

    Mann and Whitney's U/(nm) − ½; the interval by the variance of the placements (DeLong 1988).
    """
    n, m = float(shared.x.sum()), float(shared.y.sum())
    p, q = shared.x / n, shared.y / m
    below, above = np.cumsum(p) - p / 2, 1 - (np.cumsum(q) - q / 2)
    value = float(q @ below)
    if shared.clustered:
        return value - 0.5, math.nan, math.nan
    variance = float(q @ (below - value) ** 2) / m + float(p @ (above - value) ** 2) / n
    half = 1.959964 * math.sqrt(variance)
    return value - 0.5, max(value - 0.5 - half, -0.5), min(value - 0.5 + half, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CramerVonMises(_Quadratic):
    """Cramér and von Mises' test: the squared gap of the distribution functions, over all rows.

        T = nm/(n + m)·Σ_cuts mass·(F − G)²

    Options:
        effect: root mean squared gap from which on a change counts. The default 0.05 is what a shift by 0.165
            standard deviations of a normal column makes, nearly Cohen's small effect.

    Source: Anderson 1962; scipy `cramervonmises_2samp`. Its limiting law is a weighted sum of chi-squares, on bins with
    the weights of the bins.
    """

    effect: float = 0.05

    name = "cramer_von_mises"
    effect_name = "root mean squared gap of the distribution functions"

    def _weights(self, shared: Shared) -> Floats:
        return distances.pooled_cuts(shared.pooled)[1]

    def _statistic(self, x: Floats, y: Floats, shared: Shared) -> Floats:
        return distances.cramer_von_mises(x, y)

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        n, m = float(shared.x.sum()), float(shared.y.sum())
        return math.sqrt(value * (n + m) / (n * m)), math.nan, math.nan

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # A shift by δ of a normal column: δ²·∫φ³ = δ²/(2π·sqrt(3)); found with 0.91 of the t test's efficiency.
        return 0.3032 * z_sum(alpha) * error_scale(n_reference, n_current, design) / math.sqrt(0.91)


@dataclass(frozen=True, slots=True, kw_only=True)
class AndersonDarling(_Quadratic):
    """Anderson and Darling's test: squared gaps of the distribution functions, those in the tails weighing more.

        A² = nm/(n + m)·Σ_cuts mass·(F − G)²/(H(1 − H))

    Options:
        effect: distance of P(current > reference) from ½ from which on a change counts. The default 0.05 is a shift by
            0.18 standard deviations of a normal column, about Cohen's small effect. A change of scale alone has none of
            it: `omnibus` measures any change.

    Source: Pettitt 1976; Scholz and Stephens 1987, equation 6; scipy `anderson_ksamp(midrank=False)` before it is
    standardised. On bins the mass of a cut is half of the bins to both its sides.
    """

    effect: float = 0.05

    name = "anderson_darling"
    effect_name = "P(current > reference) − ½"

    def _weights(self, shared: Shared) -> Floats:
        cuts, mass = distances.pooled_cuts(shared.pooled)
        variance = cuts * (1 - cuts)
        return np.where(variance > 1e-12, mass / np.maximum(variance, 1e-12), 0.0)

    def _statistic(self, x: Floats, y: Floats, shared: Shared) -> Floats:
        return distances.anderson_darling(x, y)

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        return superiority(shared)

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # Mann and Whitney's standard error, sqrt((1/n + 1/m)/12), with 0.95 of whose efficiency shifts are found.
        return z_sum(alpha) * error_scale(n_reference, n_current, design) / math.sqrt(12 * 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy(_Quadratic):
    """The energy distance of numbers: squared gaps of the distribution functions, over the values themselves.

        E = sqrt(2·∫ (F − G)²)

    Options:
        effect: E from which on a change counts, in square roots of the reference's standard deviation. The default 0.1
            is what a shift by 0.13 standard deviations of a normal column makes.

    Unlike the rank tests it depends on the unit's scale, so that far outliers count. Source: Székely and Rizzo 2013;
    scipy `energy_distance`.
    """

    effect: float = 0.1

    name = "energy"
    effect_name = "energy distance"

    def _weights(self, shared: Shared) -> Floats:
        return 2 * np.maximum(np.diff(shared.positions), 0.0)

    def _statistic(self, x: Floats, y: Floats, shared: Shared) -> Floats:
        return np.asarray(np.sqrt((self._weights(shared) * distances.cdf_gaps(x, y) ** 2).sum(axis=-1)))

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        return value, math.nan, math.nan

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # A shift by δ of a normal column: E² = 2·δ²·∫φ² = δ²/sqrt(π), E = 0.7511·δ.
        return z_sum(alpha) * error_scale(n_reference, n_current, design) * 0.7511


@dataclass(frozen=True, slots=True, kw_only=True)
class Wasserstein(_Ordered):
    """The Wasserstein distance: how far a row moves in the mean, in standard deviations of the reference.

        W = ∫ |F − G| / σ_reference

    Options:
        effect: W from which on a change counts. The default 0.1 is half of Cohen's small effect, and the threshold that
            Evidently takes.

    Evidently takes W alone for a detection; its noise of about 0.56·sqrt(1/n + 1/m) passes 0.1 without any drift for
    less than a few hundred rows. Here it needs evidence: by permutation, for clusters by draws with their covariance.

    Source: scipy `wasserstein_distance`, divided by the reference's standard deviation.
    """

    effect: float = 0.1

    name = "wasserstein"
    effect_name = "Wasserstein distance, in standard deviations"

    def _value(self, shared: Shared) -> float:
        if shared.rows is not None:
            return moved(*shared.rows)
        return float(distances.wasserstein(shared.x, shared.y, shared.positions))

    def _clustered(self, shared: Shared, spread: Spread, seed: int) -> Evidence:
        root = np.diff(shared.positions)[:, None] * np.tril(np.ones((shared.x.size, shared.x.size)))[:-1]
        return supremum_p(spread, root, lambda gaps: np.abs(gaps).sum(axis=-1), seed=seed)

    def _independent(self, shared: Shared, value: float, seed: int) -> Evidence:
        return evidence(
            shared.x,
            shared.y,
            lambda x, y: distances.wasserstein(x, y, shared.positions),
            seed=seed,
            units=shared.units,
        )

    def _effect(self, shared: Shared, value: float) -> tuple[float, float, float]:
        return value, math.nan, math.nan

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # A shift moves every row as far: W is the difference of the means.
        return z_sum(alpha) * error_scale(n_reference, n_current, design)
