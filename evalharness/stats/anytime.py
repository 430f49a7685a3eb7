"""Confidence sequences: intervals that hold at every sample size at once, so that one may look whenever one likes.

An interval of level 1 − α holds at the size that was fixed before; looked at after each sample, it sooner or later
excludes the truth. A confidence sequence (L_n, U_n) holds for all n together: P(the value lies in all of them) ≥ 1 − α.
It is wider, by about a half at the size of interest; where the looks are set beforehand, `sequential` is the stronger.

Each is made of a nonnegative martingale that starts at 1 and so passes 1/α with probability α at most (Ville 1939).
"""

from __future__ import annotations

import math

from .arrays import ArrayLike, Floats, np
from .intervals import NO_INTERVAL, Interval

__all__ = [
    "asymptotic_sequence",
    "confidence_sequence_mean",
    "confidence_sequence_proportion",
    "e_value_proportion",
    "proportion_at",
]

_MAX_BET = 0.5
_BISECTIONS = 50


def confidence_sequence_mean(values: ArrayLike, bounds: tuple[float, float], *, alpha: float = 0.05) -> Floats:
    """(n, 2) bounds of a mean after each of the `values` (n,), all of them within `bounds`; intersected as they come.

        Σλ_iX_i/Σλ_i ± (log(2/α) + Σ 4(X_i − μ̂_{i−1})²ψ(λ_i))/Σλ_i,  ψ(λ) = (−log(1 − λ) − λ)/4
        λ_i = min(½, sqrt(2·log(2/α)/(σ̂²_{i−1}·i·log(1 + i))))

    on values moved to [0, 1]; μ̂ and σ̂² start as if ½ had been seen with variance ¼. The predictable plug-in empirical
    Bernstein sequence: exact at every n, whatever the distribution within the bounds. Source: Waudby-Smith and Ramdas
    2024, J R Stat Soc B 86:1, theorem 2. No values give (0, 2).

    Raises:
        ValueError: for bounds that do not ascend or are not finite, values outside of them or NaN, alpha not in (0, 1).
    """
    _check_alpha(alpha)
    low, high = (float(bound) for bound in bounds)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"bounds must be finite and ascending; got {bounds!r}")
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not ((array >= low) & (array <= high)).all():
        raise ValueError(f"values must be one-dimensional and within the bounds {low:g} to {high:g}")
    x = (array - low) / (high - low)
    number = np.arange(1, x.size + 1, dtype=np.float64)
    mean = (0.5 + np.cumsum(x)) / (number + 1)
    spread = (0.25 + np.cumsum((x - mean) ** 2)) / (number + 1)
    # What is bet on a value may depend on those before it alone.
    mean_before, spread_before = np.append(0.5, mean)[:-1], np.append(0.25, spread)[:-1]
    cost = math.log(2 / alpha)
    bets = np.minimum(np.sqrt(2 * cost / (spread_before * number * np.log1p(number))), _MAX_BET)
    total = np.cumsum(bets)
    centre = np.cumsum(bets * x) / total
    half = (cost + np.cumsum((x - mean_before) ** 2 * (-np.log1p(-bets) - bets))) / total
    return _intersected(centre - half, centre + half, (0.0, 1.0)) * (high - low) + low


def confidence_sequence_proportion(
    successes: ArrayLike, n: ArrayLike, *, alpha: float = 0.05, prior: tuple[float, float] = (0.5, 0.5)
) -> Floats:
    """(m, 2) bounds of a proportion, from the running numbers of `successes` (m,) among the first `n` (m,) samples.

        {p: M_n(p) < 1/α},  M_n(p) = B(a + s, b + n − s)/(B(a, b)·p^s·(1 − p)^{n−s})

    with (a, b) the `prior`: the mixture of likelihood ratios over a Beta, valid whatever the prior, which only says
    where the sequence is narrowest. Not intersected over the looks: each row is the interval of its own n, so that
    numbers of some looks are enough. Source: Robbins 1970, Ann Math Stat 41:1397; Howard et al. 2021, Ann Stat 49:1055,
    proposition 7. n = 0 gives (0, 1).

    Raises:
        ValueError: for successes that are no part of n, arrays of different lengths, alpha outside (0, 1) and a prior
            that is not positive.
    """
    _check_alpha(alpha)
    s, number = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if s.ndim != 1 or s.shape != number.shape:
        raise ValueError(f"successes and n must have one length; got shapes {s.shape} and {number.shape}")
    return np.array(
        [proportion_at(x, m, alpha=alpha, prior=prior) for x, m in zip(s.tolist(), number.tolist(), strict=True)]
    ).reshape(-1, 2)


def proportion_at(
    successes: float, n: float, *, alpha: float = 0.05, prior: tuple[float, float] = (0.5, 0.5)
) -> Interval:
    """The interval of `confidence_sequence_proportion` at one n.

    Raises:
        ValueError: as there.
    """
    _check_alpha(alpha)
    base = _log_mixture(successes, n, prior)
    if n == 0:
        return Interval(0.0, 1.0)
    limit, point = -math.log(alpha), successes / n

    def excluded(p: float) -> bool:
        return base - _log_likelihood(successes, n, p) >= limit

    def edge(outside: float) -> float:
        # The likelihood falls to either side of the point, which itself is never excluded.
        if not excluded(outside):
            return outside
        inside = point
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
        return outside

    return Interval(edge(0.0), edge(1.0))


def e_value_proportion(
    successes: float, n: float, proportion: float, *, prior: tuple[float, float] = (0.5, 0.5)
) -> float:
    """M_n(p), the evidence against a rate of `proportion` after n samples: above 1/α with probability α at most, ever.

    1/max(1, the largest so far) is an anytime-valid p-value; e-values of independent samples may be multiplied. n = 0
    gives 1. Source: as `confidence_sequence_proportion`.

    Raises:
        ValueError: as there, and for a proportion outside [0, 1].
    """
    if not 0 <= proportion <= 1:
        raise ValueError(f"a proportion must lie between 0 and 1; got {proportion!r}")
    log = _log_mixture(successes, n, prior) - _log_likelihood(successes, n, proportion)
    return math.exp(log) if log < 700 else math.inf


def asymptotic_sequence(
    n: float, mean: float, variance: float, *, alpha: float = 0.05, narrowest_at: float = 1000
) -> Interval:
    """The normal-mixture confidence sequence at one n, for means without bounds (such as paired differences).

        mean ± s·sqrt((nρ² + 1)/(n²ρ²)·log((nρ² + 1)/α²))
        ρ² = (−2·log α + log(1 − 2·log α))/m, which makes it narrowest about m = `narrowest_at`

    with s² the `variance` of the n values. It holds for all n from some size on, as a normal interval holds at one n:
    where values are bounded and samples few take `confidence_sequence_mean`. Source: Robbins 1970; Waudby-Smith,
    Arbour, Sinha, Kennedy and Ramdas 2024, Ann Stat 52:2613, theorem 2.2. Fewer than two values give NaN, and
    so does a variance of 0, which is one that is not known yet.

    Raises:
        ValueError: for alpha outside (0, 1), a negative variance, or a size below 1.
    """
    _check_alpha(alpha)
    if not (variance >= 0 and narrowest_at >= 1 and n >= 0):
        raise ValueError(
            f"a variance of 0 or more and sizes of 1 or more are needed; got variance={variance!r}, n={n!r}, "
            f"narrowest_at={narrowest_at!r}"
        )
    if n < 2 or variance == 0:
        return NO_INTERVAL
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / narrowest_at
    scaled = n * rho + 1
    half = math.sqrt(variance * scaled / (n * n * rho) * math.log(scaled / alpha**2))
    return Interval(mean - half, mean + half)


def _log_mixture(successes: float, n: float, prior: tuple[float, float]) -> float:
    """The logarithm of the Beta mixture of likelihoods of one order of the successes."""
    a, b = prior
    if not (a > 0 and b > 0):
        raise ValueError(f"the parameters of a Beta prior must be positive; got {prior!r}")
    if not 0 <= successes <= n or math.isinf(n):
        raise ValueError(f"successes must lie between 0 and n; got successes={successes!r}, n={n!r}")
    return _log_beta(a + successes, b + n - successes) - _log_beta(a, b)


def _log_likelihood(successes: float, n: float, p: float) -> float:
    failures = n - successes
    right = successes * math.log(p) if successes and p > 0 else (-math.inf if successes else 0.0)
    wrong = failures * math.log1p(-p) if failures and p < 1 else (-math.inf if failures else 0.0)
    return right + wrong


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _intersected(low: Floats, high: Floats, bounds: tuple[float, float]) -> Floats:
    """(n, 2) each interval cut with those before it; where none is left, the last point at which one was."""
    lows = np.maximum.accumulate(np.maximum(low, bounds[0]))
    highs = np.minimum.accumulate(np.minimum(high, bounds[1]))
    empty = lows > highs
    if empty.any():
        first = int(np.argmax(empty))
        held = (lows[first - 1] + highs[first - 1]) / 2 if first else (bounds[0] + bounds[1]) / 2
        lows, highs = np.where(empty, held, lows), np.where(empty, held, highs)
    return np.stack([lows, highs], axis=1)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, exclusive; got {alpha!r}")
