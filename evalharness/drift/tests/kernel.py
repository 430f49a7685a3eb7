"""Tests of embeddings: the maximum mean discrepancy, from sums of random features or from the rows themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from evalharness.core.drifting import ColumnKind
from evalharness.stats.arrays import Floats, Ints, np
from evalharness.stats.fourier import fourier_features, fourier_matrix, median_distance
from evalharness.stats.group_spread import GroupSpread
from evalharness.stats.monte_carlo import sequential_p

from ..base import Features, Outcome, Rows
from ..evidence import Spread, quadratic_p
from .order import error_scale, nothing, z_sum

__all__ = ["MMD", "in_order", "units_of"]

# The features of a row have length 1: a squared distance below this is rounding.
_ROUNDING = 1e-20
# Rows and clusters of both windows that are permuted as they are; more are put together at random.
_UNITS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class MMD:
    """The maximum mean discrepancy of embeddings, with a Gaussian kernel.

        MMD² = |mean z(x) − mean z(y)|²,  z random Fourier features, z(v)·z(w) ≈ exp(−|v − w|²/(2·bandwidth²))

    Options:
        effect: MMD, less its null mean, from which on a change counts. With the median distance as bandwidth a share s
            of the rows that moves to quite another place gives about 0.9·s. The default 0.05 is one row in twenty.
        features: random features of the kernel, where rows are given (a state has made its own).

    From a state the p-value comes from the spread of the features between its random groups (a weighted sum of
    chi-squares, with the groups' degrees of freedom); from rows it is by permutation of rows, or of whole clusters.

    Source: Gretton et al. 2012; Rahimi and Recht 2007; Zhao and Meng 2015 (FastMMD).
    """

    effect: float = 0.05
    features: int = 256

    name: ClassVar[str] = "mmd"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("embedding",)
    on: ClassVar[Literal["state", "rows"]] = "state"
    takes: ClassVar[tuple[type[Any], ...]] = (Features, Rows)
    effect_name: ClassVar[str] = "maximum mean discrepancy"

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        if not (reference.n > 0 and current.n > 0):
            return nothing()
        if isinstance(reference, Features):
            return _from_groups(reference, current)
        first, clusters = in_order(reference)
        second, others = in_order(current)
        # The bandwidth may not depend on which window a row is in: pairs of both together.
        pooled = np.concatenate([first, second])
        width = median_distance(pooled[_order(pooled)], seed=seed)
        matrix = fourier_matrix(pooled.shape[1], self.features, width, seed=seed)
        x, sizes_x = _summed(fourier_features(first, matrix), clusters, seed)
        y, sizes_y = _summed(fourier_features(second, matrix), others, seed)
        if min(len(x), len(y)) < 2:
            return nothing("too few rows or clusters")
        rng = np.random.default_rng(seed)
        table, sizes = np.concatenate([x, y]), np.concatenate([sizes_x, sizes_y])
        total, rows, taken = table.sum(axis=0), float(sizes.sum()), len(x)

        def squared(weights: Floats) -> Floats:
            held, n = weights @ table, (weights @ sizes)[:, None]
            found: Floats = ((held / n - (total - held) / (rows - n)) ** 2).sum(axis=1)
            return found

        def drawn(size: int) -> Floats:
            return squared((rng.random((size, len(table))).argsort(axis=1) < taken).astype(np.float64))

        value = float(squared((np.arange(len(table)) < taken).astype(np.float64)[None])[0])
        if value < _ROUNDING:
            return Outcome(0.0, 1.0, 0.0, detail={"law": "no difference"})
        found = sequential_p(value, drawn)
        bias = _noise(x, sizes_x) + _noise(y, sizes_y)
        law = (
            "permutation of clusters"
            if reference.clusters is not None or current.clusters is not None
            else "permutation"
        )
        return Outcome(value, found.p_value, math.sqrt(max(value - bias, 0.0)), detail={"law": law, "bandwidth": width})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # The mean embedding varies by Σ of the kernel's eigenvalues, 1 − E k(x, x') ≈ 0.4 with the median bandwidth,
        # of which one direction holds about a quarter.
        return z_sum(alpha) * error_scale(n_reference, n_current, design) * math.sqrt(0.4 / 4)


def in_order(window: Rows) -> tuple[Floats, Ints | None]:
    """Rows (n, d) and their clusters in an order that depends on the values only."""
    values = np.asarray(window.values, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    order = _order(values)
    return values[order], None if window.clusters is None else np.asarray(window.clusters)[order]


def _order(values: Floats) -> Ints:
    # One key that hardly two rows share; to sort by all columns takes seconds for embeddings.
    key = (values * np.sqrt(np.arange(2.0, values.shape[1] + 2.0))).sum(axis=1)
    return np.asarray(np.argsort(key, kind="stable"), dtype=np.int64)


def units_of(n: int, clusters: Ints | None, seed: int, most: int = _UNITS // 2) -> Ints:
    """(n,) which unit each row belongs to: its own, its cluster, or one of `most` random sets of these."""
    codes = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(codes.max()) + 1 if n else 0
    if units > most:
        codes = np.random.default_rng(seed).permutation(np.arange(units) % most)[codes]
    return np.asarray(codes, dtype=np.int64)


def _summed(features: Floats, clusters: Ints | None, seed: int) -> tuple[Floats, Floats]:
    codes = units_of(len(features), clusters, seed)
    sums = np.zeros((int(codes.max()) + 1, features.shape[1]))
    np.add.at(sums, codes, features)
    return sums, np.bincount(codes).astype(np.float64)


def _noise(sums: Floats, sizes: Floats) -> float:
    """The trace of the covariance of the mean: what MMD² is in the mean without drift, for one window."""
    deviations = _spread(sums, sizes).deviations
    return float((deviations * deviations).sum())


def _spread(sums: Floats, sizes: Floats) -> GroupSpread:
    """The mean of the features and its deviations, as `group_spread` has them for shares."""
    held = sizes > 0
    sums, sizes = sums[held], sizes[held]
    n, g = float(sizes.sum()), len(sizes)
    mean = sums.sum(axis=0) / n
    if g < 2:
        return GroupSpread(mean, np.zeros((g, sums.shape[1])), 0.0)
    squares = sizes * sizes
    deviations = np.sqrt((g - 1) / g) * (sums - sizes[:, None] * mean) / (n - sizes)[:, None]
    return GroupSpread(mean, deviations, float(squares.sum() ** 2 / (squares * squares).sum()) - 1)


def _from_groups(reference: Features, current: Features) -> Outcome:
    if reference.groups.shape[1] != current.groups.shape[1]:
        raise ValueError(
            f"both windows must have the same random features; got {reference.groups.shape[1]} and "
            f"{current.groups.shape[1]}"
        )
    spread = Spread(_spread(reference.groups, reference.sizes), _spread(current.groups, current.sizes))
    value = float((spread.gap**2).sum())
    if value < _ROUNDING and spread.known:
        return Outcome(0.0, 1.0, 0.0, detail={"law": "no difference"})
    found = quadratic_p(spread, np.eye(reference.groups.shape[1]))
    bias = sum(float((side.deviations**2).sum()) for side in spread)
    return Outcome(value, found.p_value, math.sqrt(max(value - bias, 0.0)), detail={"law": found.law})
