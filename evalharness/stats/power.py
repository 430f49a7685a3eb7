"""How many samples a comparison takes, what it can see with those there are, and how often it will.

The normal approximation throughout, as planning is done before any data are there. `variance` is that of one pair's
difference: of past runs, or `paired_variance` of two rates. `alpha` is the error of the test, on one side (`sides=1`,
a release gate) or both; `power` the share of comparisons that come out where the effect is as stated.
"""

from __future__ import annotations

import math

from .tails import normal_probability, normal_quantile

__all__ = [
    "design_effect",
    "minimum_detectable",
    "minimum_detectable_proportion",
    "paired_variance",
    "pairs_for_margin",
    "power_of",
    "power_of_proportion",
    "samples_for_proportion",
]


def pairs_for_margin(
    margin: float,
    variance: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    difference: float = 0.0,
    sides: int = 1,
) -> int:
    """The pairs needed to show that a difference is above −margin, where it truly is `difference` (+ is better).

        n = (z_{1−α/sides} + z_power)²·variance/(margin + difference)²

    With `sides=2` and the margin as the effect to be found, Miller's formula for two models. Source: Chow, Shao and
    Wang 2008, section 4.1; Miller 2024 (arXiv 2411.00640), equation 9. At least 2.

    Raises:
        ValueError: where no number is enough (the true difference is not above −margin), and for alpha or power
            outside (0, 1), sides other than 1 and 2, a negative variance.
    """
    _check(alpha, sides, variance, power)
    distance = margin + difference
    if not distance > 0:
        raise ValueError(
            f"no number of samples shows a difference above {-margin:g} where it is {difference:g}: "
            "give a larger margin or a better candidate"
        )
    return _whole((_z(alpha, sides) + normal_quantile(power)) ** 2 * variance / distance**2)


def power_of(
    n: float, margin: float, variance: float, *, alpha: float = 0.05, difference: float = 0.0, sides: int = 1
) -> float:
    """The share of comparisons of `n` pairs that show a difference above −margin, where it truly is `difference`.

        Φ((margin + difference)/sqrt(variance/n) − z_{1−α/sides}), with two sides and the other tail

    Source: statsmodels `NormalIndPower`. Without variance it is 1 where the difference is above −margin, else 0.

    Raises:
        ValueError: as `pairs_for_margin` for wrong settings, and for fewer than one pair.
    """
    _check(alpha, sides, variance)
    if not n >= 1:
        raise ValueError(f"n must be at least 1; got {n!r}")
    distance = margin + difference
    if variance == 0:
        return 1.0 if (distance != 0 if sides == 2 else distance > 0) else 0.0
    z, shift = _z(alpha, sides), distance / math.sqrt(variance / n)
    return normal_probability(shift - z) + (normal_probability(-shift - z) if sides == 2 else 0.0)


def minimum_detectable(variance: float, n: float, *, alpha: float = 0.05, power: float = 0.8, sides: int = 2) -> float:
    """The smallest difference that `n` pairs show with this power: (z_{1−α/sides} + z_power)·sqrt(variance/n).

    At the defaults 2.80·sqrt(variance/n). Source: Bloom 1995; Miller 2024 (arXiv 2411.00640), equation 10.

    Raises:
        ValueError: as `power_of`.
    """
    _check(alpha, sides, variance, power)
    if not n >= 1:
        raise ValueError(f"n must be at least 1; got {n!r}")
    return (_z(alpha, sides) + normal_quantile(power)) * math.sqrt(variance / n)


def paired_variance(discordance: float, difference: float = 0.0) -> float:
    """The variance of one pair's difference of right and wrong answers: discordance − difference².

    `discordance` is the share of pairs in which the two differ, `difference` p1 − p2.

    Raises:
        ValueError: for a discordance outside [0, 1], or below the difference.
    """
    if not abs(difference) <= discordance <= 1:
        raise ValueError(
            f"the share of pairs that differ must lie between the difference and 1; got {discordance!r} for a "
            f"difference of {difference!r}"
        )
    return max(discordance - difference**2, 0.0)


def samples_for_proportion(
    proportion: float, limit: float, *, alpha: float = 0.05, power: float = 0.8, sides: int = 1
) -> int:
    """The samples needed to show by the score test that a rate, truly `proportion`, is on its side of `limit`.

        n = ((z_{1−α/sides}·sqrt(p₀q₀) + z_power·sqrt(p₁q₁))/(p₁ − p₀))²,  p₀ the limit, p₁ the proportion

    Source: Fleiss, Levin and Paik 2003, equation 2.8. For a mean take `pairs_for_margin` with the variance of its
    values and the distance to the limit. At least 2.

    Raises:
        ValueError: where both are the same, the limit is not within (0, 1), the proportion not within [0, 1], and as
            `pairs_for_margin`.
    """
    _check(alpha, sides, 0.0, power)
    _check_shares(proportion, limit)
    if proportion == limit:
        raise ValueError(f"no number of samples tells a rate of {proportion:g} from a limit of {limit:g}")
    root = _z(alpha, sides) * math.sqrt(limit * (1 - limit))
    root += normal_quantile(power) * math.sqrt(proportion * (1 - proportion))
    return _whole((max(root, 0.0) / (proportion - limit)) ** 2)


def power_of_proportion(n: float, proportion: float, limit: float, *, alpha: float = 0.05, sides: int = 1) -> float:
    """The share of `n`-sample score tests that show a rate, truly `proportion`, to be on its side of `limit`.

    The normal approximation that `samples_for_proportion` inverts; at p = 0 or 1 it is 0 or 1.

    Raises:
        ValueError: as `samples_for_proportion`, and for fewer than one sample.
    """
    _check(alpha, sides, 0.0)
    _check_shares(proportion, limit)
    if not n >= 1:
        raise ValueError(f"n must be at least 1; got {n!r}")
    reach = abs(proportion - limit) - _z(alpha, sides) * math.sqrt(limit * (1 - limit) / n)
    spread = math.sqrt(proportion * (1 - proportion) / n)
    if spread == 0:
        return 1.0 if reach > 0 else 0.0
    return normal_probability(reach / spread)


def minimum_detectable_proportion(
    limit: float, n: int, *, alpha: float = 0.05, power: float = 0.8, sides: int = 1, above: bool = True
) -> float:
    """How far above (or below) `limit` a rate must truly lie for `n` samples to show it with this power.

    Raises:
        ValueError: as `samples_for_proportion`. NaN where even a rate of 1 (or 0) would not be seen.
    """
    _check(alpha, sides, 0.0, power)
    _check_shares(limit, limit)
    near, far = 0.0, 1 - limit if above else limit
    sign = 1 if above else -1
    if power_of_proportion(n, limit + sign * far, limit, alpha=alpha, sides=sides) < power:
        return math.nan
    for _ in range(60):
        middle = (near + far) / 2
        seen = power_of_proportion(n, limit + sign * middle, limit, alpha=alpha, sides=sides) >= power
        near, far = (near, middle) if seen else (middle, far)
    return far


def design_effect(cluster_size: float, intraclass_correlation: float) -> float:
    """How many times as many samples clusters of this mean size need: 1 + (m − 1)·ICC.

    Source: Kish 1965, section 5.4.

    Raises:
        ValueError: for a size below 1 or a correlation outside [0, 1].
    """
    if not (cluster_size >= 1 and 0 <= intraclass_correlation <= 1):
        raise ValueError(
            f"a cluster has one sample or more and a correlation within [0, 1]; got {cluster_size!r} and "
            f"{intraclass_correlation!r}"
        )
    return 1 + (cluster_size - 1) * intraclass_correlation


def _z(alpha: float, sides: int) -> float:
    return -normal_quantile(alpha / sides)


def _whole(n: float) -> int:
    # Rounding must not turn 1,600 into 1,601.
    return max(2, math.ceil(n * (1 - 1e-9)))


def _check(alpha: float, sides: int, variance: float, power: float = 0.5) -> None:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power must lie between 0 and 1, exclusive; got {alpha!r} and {power!r}")
    if sides not in (1, 2):
        raise ValueError(f"sides must be 1 or 2; got {sides!r}")
    if not (variance >= 0 and math.isfinite(variance)):
        raise ValueError(f"a variance must be 0 or more, and finite; got {variance!r}")


def _check_shares(proportion: float, limit: float) -> None:
    if not (0 <= proportion <= 1 and 0 < limit < 1):
        raise ValueError(
            f"a proportion lies within [0, 1] and its limit within (0, 1); got {proportion!r} and {limit!r}"
        )
