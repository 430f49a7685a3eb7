"""Distances of two rows of counts over the same bins, each over any number of tables at once.

`x` and `y` are counts (..., k) of the first and the second window; a table without rows on one side gives NaN. n and m
are their sums, p = x/n, q = y/m, h = (x + y)/(n + m), and F, G, H the cumulative sums of p, q, h at the k − 1 cuts.
"""

from __future__ import annotations

from .arrays import Bools, Floats, Ints, np

__all__ = [
    "anderson_darling",
    "cdf_gaps",
    "chi_square",
    "cramer_von_mises",
    "g_statistic",
    "hellinger",
    "jensen_shannon",
    "ks",
    "merged_bins",
    "mid_ranks",
    "normal_scores",
    "pooled_cuts",
    "psi",
    "wasserstein",
]


def _shares(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    n, m = x.sum(axis=-1, keepdims=True), y.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return x / n, y / m, n, m


def _sum(terms: Floats) -> Floats:
    found: Floats = terms.sum(axis=-1)
    return found


def cdf_gaps(x: Floats, y: Floats) -> Floats:
    """(..., k − 1) F − G at the cuts between bins."""
    p, q, _, _ = _shares(x, y)
    gaps: Floats = np.cumsum(p - q, axis=-1)[..., :-1]
    return gaps


def pooled_cuts(pooled: Floats) -> tuple[Floats, Floats]:
    """H at the cuts (..., k − 1) and the mass about each: half of the bins to both its sides."""
    h = pooled / pooled.sum(axis=-1, keepdims=True)
    return np.cumsum(h, axis=-1)[..., :-1], (h[..., :-1] + h[..., 1:]) / 2


def ks(x: Floats, y: Floats) -> Floats:
    """(...) Kolmogorov and Smirnov's D = max |F − G|; scipy `ks_2samp`."""
    gaps = np.abs(cdf_gaps(x, y))
    # One bin alone has no cut, and no gap.
    return _sum(x) * 0.0 if not gaps.shape[-1] else np.asarray(gaps.max(axis=-1))


def cramer_von_mises(x: Floats, y: Floats) -> Floats:
    """(...) T = nm/(n + m)·Σ_cuts mass·(F − G)²; without ties Anderson's (1962), scipy `cramervonmises_2samp`."""
    _, mass = pooled_cuts(x + y)
    return _scale(x, y) * _sum(mass * cdf_gaps(x, y) ** 2)


def anderson_darling(x: Floats, y: Floats) -> Floats:
    """(...) A² = nm/(n + m)·Σ_cuts mass·(F − G)²/(H(1 − H)).

    Without ties the two-sample A² of Pettitt 1976 and Scholz and Stephens 1987, equation 6. Cuts with nothing on one
    side count 0.
    """
    cuts, mass = pooled_cuts(x + y)
    variance = cuts * (1 - cuts)
    weight = np.where(variance > 1e-12, mass / np.maximum(variance, 1e-12), 0.0)
    return _scale(x, y) * _sum(weight * cdf_gaps(x, y) ** 2)


def _scale(x: Floats, y: Floats) -> Floats:
    n, m = _sum(x), _sum(y)
    with np.errstate(invalid="ignore"):
        return np.asarray(n * m / (n + m))


def wasserstein(x: Floats, y: Floats, positions: Floats) -> Floats:
    """(...) W₁ = Σ_cuts |F − G|·(next position − this one), in their unit; scipy `wasserstein_distance`."""
    return _sum(np.abs(cdf_gaps(x, y)) * np.diff(positions))


def chi_square(x: Floats, y: Floats) -> Floats:
    """(...) Pearson's χ² of the 2 × k table: Σ (x·m − y·n)²/(n·m·(x + y)); empty columns count 0."""
    _, _, n, m = _shares(x, y)
    pooled = x + y
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = (x * m - y * n) ** 2 / (n * m * np.where(pooled > 0, pooled, 1.0))
    return _sum(terms)


def g_statistic(x: Floats, y: Floats) -> Floats:
    """(...) G = 2·Σ observed·ln(observed/expected) over the 2 × k table; scipy `chi2_contingency("log-likelihood")`."""
    p, q, n, m = _shares(x, y)
    h = (x + y) / (n + m)
    return np.asarray(np.maximum(2 * _sum(n * _relative(p, h) + m * _relative(q, h)), 0.0))


def _relative(p: Floats, q: Floats) -> Floats:
    both = (p > 0) & (q > 0)
    logs = np.log(np.where(both, p, 1.0) / np.where(both, q, 1.0))
    return np.asarray(np.where(np.isnan(p + q), np.nan, p * logs))


def jensen_shannon(x: Floats, y: Floats) -> Floats:
    """(...) Jensen-Shannon distance sqrt(½·KL₂(p ‖ a) + ½·KL₂(q ‖ a)), a = (p + q)/2, base 2; scipy `jensenshannon`."""
    p, q, _, _ = _shares(x, y)
    a = (p + q) / 2
    nats = _sum(_relative(p, a) + _relative(q, a)) / 2
    return np.asarray(np.sqrt(np.maximum(nats, 0.0) / np.log(2.0)))


def hellinger(x: Floats, y: Floats) -> Floats:
    """(...) Hellinger distance sqrt(1 − Σ sqrt(p·q)), within [0, 1]."""
    p, q, _, _ = _shares(x, y)
    # As a sum of squares: 1 − Σ sqrt(pq) loses its digits where p is close to q.
    return np.asarray(np.sqrt(_sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2))


def psi(x: Floats, y: Floats) -> Floats:
    """(...) Population stability index Σ (p − q)·ln(p/q), natural logarithm.

    A bin that is empty on one side counts as half a row there (0 would make the index infinite); one that is empty on
    both sides counts 0.
    """
    _, _, n, m = _shares(x, y)
    some = x + y > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = np.where(some, np.maximum(x, 0.5), 1.0) / n, np.where(some, np.maximum(y, 0.5), 1.0) / m
        return _sum(np.where(some & (n * m > 0), (p - q) * np.log(p / q), np.where(n * m > 0, 0.0, np.nan)))


def mid_ranks(counts: Floats) -> Floats:
    """(k,) the share of rows below each bin plus half of those in it, within (0, 1)."""
    share = counts / counts.sum()
    ranks: Floats = np.cumsum(share) - share / 2
    return ranks


def normal_scores(counts: Floats) -> Floats:
    """(k,) the normal quantile of the mid-ranks, its extremes kept at those of 1/(2N): van der Waerden's scores."""
    from scipy.special import ndtri

    least = 0.5 / max(float(counts.sum()), 1.0)
    scores: Floats = ndtri(np.clip(mid_ranks(counts), least, 1 - least))
    return scores


def merged_bins(pooled: Floats, most: int) -> Ints:
    """(k,) to which of at most `most` bins each ordered bin goes, so that all have about the same share of `pooled`.

    A bin heavier than its share stays by itself. The outcome depends on the sums over both windows only, so that it may
    be used under permutation.
    """
    if pooled.size <= most:
        return np.arange(pooled.size)
    heavy: Bools = pooled > pooled.sum() / most
    # Places of the light rows among themselves, cut into what is left of the bins.
    left = max(most - int(heavy.sum()), 1)
    light = np.where(heavy, 0.0, pooled)
    place = np.floor((np.cumsum(light) - light / 2) / max(float(light.sum()), 1e-300) * left)
    # A heavy bin is one of its own, and parts what lies to its sides.
    runs = np.cumsum(heavy) * 2 - heavy
    keys = runs * (left + 1.0) + np.where(heavy, 0.0, np.minimum(place, left - 1))
    return np.cumsum(np.concatenate([[0], np.diff(keys) != 0])).astype(np.int64)
