"""Windows of every shape from the same rows, for whatever shape a drift test takes."""

import numpy as np

from evalharness.drift.base import Counts, Features, Moments, Rows
from evalharness.stats.fourier import fourier_features, fourier_matrix

GROUPS = 64


def column(kind, n, rng, change=""):
    """`n` numbers of a kind, changed in a way."""
    values = {
        "normal": lambda: rng.normal(size=n),
        "lognormal": lambda: np.exp(rng.normal(size=n)),
        "zeros": lambda: np.where(rng.random(n) < 0.6, 0.0, np.exp(rng.normal(size=n))),
        "zipf": lambda: np.minimum(rng.zipf(1.8, size=n), 500).astype(float),
    }[kind]()
    if change == "shift":
        values = values + 1.0
    elif change == "scale":
        values = values * 2.0
    elif change == "contaminated":
        values = np.where(rng.random(n) < 0.1, rng.normal(5, 1, n), values)
    elif change == "more zeros":
        values = np.where(rng.random(n) < 0.2, 0.0, values)
    return values


def clustered(n_clusters, rng, shift=0.0, correlation=0.4, size=8):
    """Values that share much within their conversation, and the conversations; mean 0, variance 1."""
    codes = np.repeat(np.arange(n_clusters), rng.integers(1, 2 * size, n_clusters))
    shared = rng.normal(size=n_clusters)[codes]
    values = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=codes.size)
    return values + shift, codes


def make(test, shape, first, second, clusters=(None, None), groups_seed=0):
    """Both windows in the `shape` that the test takes."""
    rng = np.random.default_rng(groups_seed)
    edges = np.array([1.5])
    if test.name != "rate" and len(first):
        edges = np.unique(np.quantile(first, np.linspace(0, 1, 65)[1:-1]))
    matrix = fourier_matrix(1, 64, 1.0, seed=0)
    found = []
    for values, codes in zip((first, second), clusters, strict=True):
        groups = None if codes is None else rng.integers(0, GROUPS, int(codes.max(initial=0)) + 1)[codes]
        if shape is Rows:
            found.append(Rows(values, codes))
        elif shape is Counts:
            places = np.searchsorted(edges, values)
            k = len(edges) + 1
            table = None
            if groups is not None:
                table = np.bincount(groups * k + places, minlength=GROUPS * k).reshape(GROUPS, k)
            found.append(Counts(np.bincount(places, minlength=k), table, order=True))
        elif shape is Moments:
            table = None
            if groups is not None:
                sums = np.bincount(groups, weights=values, minlength=GROUPS)
                table = np.stack([np.bincount(groups, minlength=GROUPS), sums], axis=1).astype(float)
            n = len(values)
            var = values.var(ddof=1) if n > 1 else np.nan
            found.append(Moments(n, values.mean() if n else np.nan, var, table))
        elif shape is Features:
            if groups is None:
                groups = np.random.default_rng(len(values)).permutation(np.arange(len(values)) % GROUPS)
            sums = np.zeros((GROUPS, 64))
            np.add.at(sums, groups, fourier_features(values[:, None], matrix))
            found.append(Features(sums, np.bincount(groups, minlength=GROUPS).astype(float)))
        else:
            raise AssertionError(f"no windows of shape {shape} yet: add them here")
    return found
