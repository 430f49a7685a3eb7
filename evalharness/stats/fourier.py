"""Random Fourier features of a Gaussian kernel: vectors whose mean is all that a maximum mean discrepancy needs."""

from __future__ import annotations

import math

from .arrays import Floats, np

__all__ = ["fourier_features", "fourier_matrix", "median_distance"]

# Pairs of rows whose distances give the median.
_PAIRS = 2_000


def fourier_matrix(dimensions: int, features: int, bandwidth: float, *, seed: int) -> Floats:
    """(dimensions, features/2) frequencies, normal with standard deviation 1/bandwidth.

    Raises:
        ValueError: for an odd number of features, or a bandwidth that is not above 0.
    """
    if features < 2 or features % 2:
        raise ValueError(f"the number of features must be even, 2 or more; got {features!r}")
    if not bandwidth > 0:
        raise ValueError(f"the bandwidth must be above 0; got {bandwidth!r}")
    found: Floats = np.random.default_rng(seed).standard_normal((dimensions, features // 2)) / bandwidth
    return found


def fourier_features(values: Floats, matrix: Floats) -> Floats:
    """(n, features) z(v) = sqrt(2/features)·(cos(v·W), sin(v·W)), so that z(v)·z(w) ≈ exp(−|v − w|²/(2·bandwidth²)).

    Source: Rahimi and Recht 2007; the pair of cosine and sine has the smaller variance (Sutherland and Schneider 2015).
    """
    angles = np.asarray(values, dtype=np.float64) @ matrix
    found: Floats = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / math.sqrt(matrix.shape[1])
    return found


def median_distance(values: Floats, *, seed: int) -> float:
    """The median distance of pairs of rows, the usual bandwidth; 1 where it is 0 or there are fewer than two rows.

    Source: Gretton et al. 2012, section 8.
    """
    n = len(values)
    if n < 2:
        return 1.0
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n, _PAIRS)
    second = (first + rng.integers(1, n, _PAIRS)) % n
    gaps = np.asarray(values[first], np.float64) - np.asarray(values[second], np.float64)
    found = float(np.median(np.sqrt((gaps * gaps).sum(axis=1))))
    return found if found > 0 else 1.0
