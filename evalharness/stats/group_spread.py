"""How much the shares of bins vary where rows belong to clusters: from counts by random group of clusters."""

from __future__ import annotations

from typing import NamedTuple

from .arrays import Floats, np

__all__ = ["GroupSpread", "group_spread", "joint_df"]


class GroupSpread(NamedTuple):
    """Shares (k,), deviations (G, k) whose deviationsᵀ·deviations is the shares' covariance, and its df."""

    shares: Floats
    deviations: Floats
    df: float


def group_spread(groups: Floats) -> GroupSpread:
    """The shares of `groups` (G, k) and how they vary between groups, by the jackknife that leaves out one at a time.

        r_g = sqrt((G − 1)/G)·(c_g − n_g·p)/(n − n_g),  df = (Σ n_g²)²/Σ n_g⁴ − 1

    c_g are the counts of group g, n_g their sum, p = Σ c_g/n. It holds for any correlation within clusters, since
    clusters lie whole in one group. Groups without rows are left out; fewer than two leave df 0. Source: Cameron and
    Miller 2015 (J Human Resources 50:317), section VI.B, CR3; Carter, Schnepel and Steigerwald 2017 for the df.
    """
    sizes = groups.sum(axis=1)
    held, sizes = groups[sizes > 0], sizes[sizes > 0]
    n, g = float(sizes.sum()), len(sizes)
    if g < 2:
        return GroupSpread(groups.sum(axis=0) / max(n, 1.0), np.zeros((g, groups.shape[1])), 0.0)
    shares = held.sum(axis=0) / n
    deviations = np.sqrt((g - 1) / g) * (held - sizes[:, None] * shares) / (n - sizes)[:, None]
    squares = sizes * sizes
    return GroupSpread(shares, deviations, float(squares.sum() ** 2 / (squares * squares).sum()) - 1)


def joint_df(first: float, second: float, first_df: float, second_df: float) -> float:
    """The df of a sum of two variances `first` and `second`: (a + b)²/(a²/df_a + b²/df_b) (Welch, Satterthwaite)."""
    if first + second <= 0:
        return max(min(first_df, second_df), 1.0)
    parts = sum(v * v / df for v, df in ((first, first_df), (second, second_df)) if v > 0)
    return (first + second) ** 2 / parts
