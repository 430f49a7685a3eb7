"""One p-value from several tests of the same data, however they depend on each other."""

from __future__ import annotations

import math

from .arrays import Floats, np

__all__ = ["cauchy_combination", "cauchy_evidence", "cauchy_statistic"]

# The tangent at p = 1 is −∞: one test of few counts that sees exactly what it expects would silence all others.
_MOST = 0.95


def cauchy_statistic(p_values: Floats, weights: Floats) -> Floats:
    """(...) Σ_i w_i·tan((½ − p_i)·π)/Σ w of p-values (..., m): large where any of them is small.

    What lies above 0.95 counts as 0.95, as Liu and Xie advise for p-values of 1; the level does not notice it.
    """
    p = np.clip(p_values, 1e-300, _MOST)
    # tan((½ − p)π) = 1/tan(pπ), which keeps the digits of a small p.
    found: Floats = (weights / weights.sum() / np.tan(p * math.pi)).sum(axis=-1)
    return found


def cauchy_combination(p_values: Floats, weights: Floats) -> float:
    """The p-value ½ − arctan(T)/π of the statistic T above, standard Cauchy in its tail under any dependence.

    Source: Liu and Xie 2020, J Am Stat Assoc 115:393. About Σ w·p-like where one p is small; never 0.
    """
    t = float(cauchy_statistic(p_values, weights))
    return max(math.atan(1 / t) / math.pi if t > 0 else 0.5 - math.atan(t) / math.pi, 1e-300)


def cauchy_evidence(statistic: Floats) -> Floats:
    """(...) −ln p of the statistics T above, p = ½ − arctan(T)/π: about exponential where nothing differs.

    As T itself, large where p is small; but its tail is one that a curve can be fitted to. T has no moments.
    """
    t = np.asarray(statistic, dtype=np.float64)
    # arctan(1/T) keeps the digits of a large T.
    far = np.arctan(1 / np.where(t > 1, t, 1.0))
    found: Floats = -np.log(np.where(t > 1, far, math.pi / 2 - np.arctan(t)) / math.pi)
    return found
