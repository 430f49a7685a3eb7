"""The incomplete beta function of one number, for exact binomial tests without scipy."""

from __future__ import annotations

from .tails import _beta_part

__all__ = ["beta_probability"]


def beta_probability(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function, for positive `a` and `b`; 0 below x = 0 and 1 above 1.

    P(X ≥ x) of a binomial with n trials of probability p is I_p(x, n − x + 1). Agrees with `scipy.special.betainc`.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x < (a + 1) / (a + b + 2):
        return min(_beta_part(x, 1 - x, a, b), 1.0)
    return max(1.0 - _beta_part(1 - x, x, b, a), 0.0)
