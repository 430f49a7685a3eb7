"""Which terms set two bodies of text apart: the log-odds ratio with an informative Dirichlet prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Floats

__all__ = ["log_odds"]


def log_odds(first: ArrayLike, second: ArrayLike, *, prior: ArrayLike | None = None, strength: float = 500.0) -> Floats:
    """How much more often each of k terms stands in `second` than in `first`, in standard errors, (k,).

    With the counts y1, y2 (k,), their sums n1, n2 and the prior a (k,) with sum a0,
    delta = log((y2 + a) / (n2 + a0 - y2 - a)) - log((y1 + a) / (n1 + a0 - y1 - a)), and its variance is about
    1 / (y2 + a) + 1 / (y1 + a); the figure is delta / sqrt(variance). The prior pulls rare terms to nothing. Its
    default is the terms' share in both bodies, times `strength` terms.

    Source: Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16 (2008), equations 15 to 22.
    """
    y1, y2 = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if y1.shape != y2.shape or y1.ndim != 1:
        raise ValueError(f"counts of the same terms are needed on both sides, but there are {y1.shape} and {y2.shape}")
    if (y1 < 0).any() or (y2 < 0).any():
        raise ValueError("counts cannot be negative")
    both = y1 + y2
    if prior is None:
        total = both.sum()
        a = strength * both / total if total else np.ones_like(both)
    else:
        a = np.asarray(prior, dtype=np.float64)
    a = np.maximum(a, 1e-12)
    n1, n2, a0 = y1.sum(), y2.sum(), a.sum()
    rest1, rest2 = np.maximum(n1 + a0 - y1 - a, 1e-12), np.maximum(n2 + a0 - y2 - a, 1e-12)
    delta = np.log((y2 + a) / rest2) - np.log((y1 + a) / rest1)
    z: Floats = delta / np.sqrt(1.0 / (y2 + a) + 1.0 / (y1 + a))
    return z
