"""How sure the mean of samples in clusters is, also where the clusters are few or of very different sizes."""

from __future__ import annotations

import math
from typing import NamedTuple

from .arrays import ArrayLike, Floats, Ints, np

__all__ = ["ClusterSpread", "cluster_freedom", "cluster_spread"]


class ClusterSpread(NamedTuple):
    """The standard error of a mean of samples in clusters, and how many degrees of freedom it has."""

    error: float
    freedom: float
    sums: Floats
    """(C,) what each cluster's samples deviate from the mean, together."""
    sizes: Floats
    """(C,) how many samples each cluster has."""


def cluster_spread(values: ArrayLike, codes: Ints) -> ClusterSpread:
    """The bias-reduced cluster-robust error of a mean (CR2) and its degrees of freedom.

        SE² = Σ_c u_c²/(1 − n_c/n) / n²,  u_c = Σ_{i∈c} (s_i − m)

    A cluster that has a large share of the samples draws the mean towards itself, so that its own deviation is too
    small; the divisor mends that. Clusters of one size give Miller's error (`intervals.cluster_standard_error`) times
    sqrt(C/(C − 1)), with C − 1 degrees of freedom. Clusters of different sizes have fewer: see `cluster_freedom`, which
    is given the intraclass correlation of the samples, by moments: SE² against that of samples that stand alone.

    Source: Bell and McCaffrey 2002 (Survey Methodology 28:169); agrees with the matrix formula of Pustejovsky and
    Tipton 2018 (J Bus Econ Stat 36:672) for a mean. Fewer than two clusters give NaN twice.
    """
    array = np.asarray(values, dtype=np.float64)
    numbers = np.unique(codes, return_inverse=True)[1]
    deviations = array - array.mean() if array.size else array
    sums = np.bincount(numbers, weights=deviations).astype(np.float64)
    sizes = np.bincount(numbers).astype(np.float64)
    if sizes.size < 2:
        return ClusterSpread(math.nan, math.nan, sums, sizes)
    n = array.size
    squares = float(np.sum(sums * sums / (1 - sizes / n)))
    alone = float(np.sum(deviations * deviations)) * n / (n - 1)
    pairs = float(np.sum(sizes * (sizes - 1)))
    correlation = (squares / alone - 1) * n / pairs if alone > 0 and pairs else 0.0
    return ClusterSpread(math.sqrt(squares) / n, cluster_freedom(sizes, correlation), sums, sizes)


def cluster_freedom(sizes: ArrayLike, correlation: float) -> float:
    """The degrees of freedom of `cluster_spread`, by Satterthwaite: between 1 and C − 1, which equal sizes have.

        (Σ λ)²/Σ λ²  over the eigenvalues λ of the quadratic form SE², where samples of a cluster correlate so much

    Where one cluster has half of the samples, nearly all that is known of the spread is how that one differs from the
    rest, whatever their number. `correlation` is taken within [0, 1].

    Source: Bell and McCaffrey 2002 for samples that do not correlate; Imbens and Kolesár 2016 (Rev Econ Stat 98:701)
    for those that do.
    """
    counts = np.asarray(sizes, dtype=np.float64)
    n_clusters = counts.size
    if (counts == counts[0]).all():
        return float(n_clusters - 1)
    rho = min(max(correlation, 0.0), 1.0)
    share = counts / counts.sum()
    own = counts * (1 + rho * (counts - 1))  # the variance of each cluster's sum
    own = own / own.sum()
    # The form has the entries sqrt(q_c q_d)·(δ_cd·w_c − h_c·w_d − h_d·w_c + h_c·h_d), whose squares sum up in sums over
    # single clusters: no matrix of all pairs is needed.
    scale = 1 / (1 - share)
    apart = scale * (share * share - 2 * share * own)
    diagonal = apart + scale * own
    hh, hw, ww = (float(np.sum(scale * product)) for product in (share**2, share * own, own**2))
    squares = 2 * hh * ww + hh * hh + 2 * hw * hw - 4 * hh * hw
    squares += float(np.sum(diagonal * diagonal)) - float(np.sum(apart * apart))
    return min(max(float(np.sum(diagonal)) ** 2 / squares, 1.0), n_clusters - 1.0)
