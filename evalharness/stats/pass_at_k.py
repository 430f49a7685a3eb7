"""How likely k answers drawn from n are to have one right, or all: without drawing any."""

from __future__ import annotations

import math

__all__ = ["pass_all_k", "pass_at_k"]


def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that of k answers drawn without replacement from n, c of them right, at least one is right.

        1 − C(n−c, k)/C(n, k) = 1 − Π_{i=n−c+1}^{n} (1 − k/i)

    The product is stable where the binomials overflow. It is unbiased; 1 − (1 − c/n)^k is too low for k > 1. Fewer
    than k answers give NaN. Source: Chen et al. 2021 (arXiv 2107.03374), equation 1 and `estimate_pass_at_k`.
    """
    _check(n, c, k)
    if n < k:
        return math.nan
    return 1.0 if n - c < k else 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def pass_all_k(n: int, c: int, k: int) -> float:
    """The probability that k answers drawn without replacement from n, c of them right, are all right (pass^k).

        C(c, k)/C(n, k) = Π_{i=0}^{k−1} (c − i)/(n − i)

    Fewer than k answers give NaN. Source: Yao et al. 2024 (arXiv 2406.12045, τ-bench), section 3.
    """
    _check(n, c, k)
    if n < k:
        return math.nan
    return 0.0 if c < k else math.prod((c - i) / (n - i) for i in range(k))


def _check(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and k >= 1):
        raise ValueError(f"need 0 ≤ c ≤ n and k ≥ 1; got n={n}, c={c}, k={k}")
