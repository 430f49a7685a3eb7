"""The bootstrap over additive statistics, vectorised and seeded.

A resample of n samples is a vector of n counts; B resamples of additive statistics S (n, k) are W @ S with W (B, n)
the counts. The figure of each resample is then `finalize(W @ S)`: nothing is counted twice. W is made in chunks of
bounded memory, whose size depends on n alone, so that a seed gives the same resamples on every machine.

Where S has few distinct rows, as labels have, only how often each of those is drawn matters. Those counts are
multinomial themselves: rows U (D, k) of which row d stands c_d times in S are drawn Multinomial(n, c/n) times. That is
the same distribution of totals, with D cells a resample in place of n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from .arrays import Floats, Ints, np
from .intervals import NO_INTERVAL, Interval
from .leaning import lean_of, leaning_interval
from .tails import normal_probability, normal_quantile, t_quantile

__all__ = [
    "bca_interval",
    "bounded_jackknife_interval",
    "cluster_totals",
    "distinct_rows",
    "jackknife",
    "jackknife_interval",
    "percentile_interval",
    "replicates",
    "resample_counts",
    "resample_total_chunks",
    "resample_totals",
    "resample_weights",
]

Finalize = Callable[[Floats], Floats]

_CHUNK_CELLS = 2_000_000  # 16 MB of float64 weights at a time
_MIN_DEFINED = 0.5  # share of resamples whose figure must be defined
# One Poisson draw takes about as long as so many draws of a single row.
_DRAWS_PER_CELL = 4
# Standard deviations that the Poisson counts of a resample lie below n: about one in fifty is above it.
_BELOW = 2.0
# With fewer cells than so many standard deviations, what is missing costs more to draw than the cells save.
_FEW_CELLS = 0.7


def resample_weights(n: int, *, n_resamples: int, seed: int, width: int = 0) -> Iterator[Floats]:
    """Chunks (b, n) of multinomial counts, `n_resamples` rows in all; each row sums to n.

    `width` is how many cells a row becomes in the caller's hands, where that is more than n (clusters spread out over
    their samples): chunks are made smaller by it.

    Raises:
        ValueError: unless n and n_resamples are positive.
    """
    if n < 1 or n_resamples < 1:
        raise ValueError(f"n and n_resamples must be at least 1; got n={n}, n_resamples={n_resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // max(n, width))
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        # int32 draws are twice as fast as int64 ones; the offsets put row r into its own range of bins.
        drawn = rng.integers(0, n, size=(rows, n), dtype=np.int32 if n < 2**31 else np.int64).astype(np.int64)
        drawn += np.arange(rows, dtype=np.int64)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def distinct_rows(stats: Floats, *, most: int) -> tuple[Floats, Ints] | None:
    """(D, k) distinct rows of `stats` and (D,) how often each stands there; None where there are more than `most`.

    The most frequent rows come first, then by their bytes, so that the order of `stats` does not matter.
    """
    counts: dict[bytes, int] = {}
    for row in np.ascontiguousarray(stats, dtype=np.float64):
        key = row.tobytes()
        counts[key] = counts.get(key, 0) + 1
        if len(counts) > most:
            return None
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = np.frombuffer(b"".join(key for key, _ in ordered), dtype=np.float64).reshape(len(ordered), stats.shape[1])
    return rows, np.array([n for _, n in ordered], dtype=np.int64)


def resample_counts(counts: Ints, *, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Chunks (b, D): how often each of D distinct rows, that stand `counts` (D,) times among n, is drawn in n draws.

    Raises:
        ValueError: unless there is a row and n_resamples is positive.
    """
    n = int(counts.sum())
    if n < 1 or n_resamples < 1:
        raise ValueError(f"n and n_resamples must be at least 1; got n={n}, n_resamples={n_resamples}")
    rng = np.random.default_rng(seed)
    share = counts / n
    step = max(1, _CHUNK_CELLS // len(counts))
    for start in range(0, n_resamples, step):
        yield _multinomial(rng, n, share, min(step, n_resamples - start)).astype(np.float64)


def _multinomial(rng: np.random.Generator, n: int, share: Floats, size: int) -> Ints:
    """(size, D) draws of Multinomial(n, share), with many cells about twice as fast as `rng.multinomial`.

    Poisson counts of their own, given their sum t, are Multinomial(t, share), and Multinomial(n − t, share) more make
    it Multinomial(n, share). Their mean is a little below n, so that few are missing and hardly ever too many; where
    t > n, numpy draws anew. A Poisson draw of a fixed mean is cheaper than a binomial of what is left.
    """
    n_cells = len(share)
    if n_cells < _FEW_CELLS * math.sqrt(n):
        return rng.multinomial(n, share, size=size)
    mean = max(n - _BELOW * math.sqrt(n), 0.0)
    found = np.empty((n_cells, size), dtype=np.int64)
    for cell, part in enumerate(share.tolist()):
        found[cell] = rng.poisson(mean * part, size=size)
    missing = n - found.sum(axis=0)
    beyond = np.flatnonzero(missing < 0)
    if beyond.size:
        found[:, beyond] = rng.multinomial(n, share, size=beyond.size).T
        missing[beyond] = 0
    # A row of the data, by number, belongs to the cell whose range of numbers holds it.
    cell_of = np.repeat(np.arange(n_cells), np.rint(share * n).astype(np.int64))
    more = cell_of[rng.integers(0, n, size=int(missing.sum()), dtype=np.int32 if n < 2**31 else np.int64)]
    place = np.repeat(np.arange(size), missing)
    found += np.bincount(more * size + place, minlength=n_cells * size).reshape(n_cells, size)
    return found.T


def cluster_totals(stats: Floats, codes: Ints) -> Floats:
    """(C, k) totals of the rows of each cluster; to resample these rows is the cluster bootstrap."""
    totals = np.zeros((int(codes.max()) + 1 if codes.size else 0, stats.shape[1]))
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    if present.size:
        totals[present] = np.add.reduceat(stats[order], starts, axis=0)
    return totals


def resample_totals(stats: Floats, *, n_resamples: int, seed: int) -> Floats:
    """(B, k) totals of `n_resamples` resamples of the rows of `stats` (n, k)."""
    return np.concatenate(list(resample_total_chunks(stats, n_resamples=n_resamples, seed=seed)))


def replicates(stats: Floats, finalize: Finalize, *, n_resamples: int, seed: int) -> Floats:
    """(B,) figures of resamples of the rows of `stats`."""
    return np.concatenate(
        [finalize(totals) for totals in resample_total_chunks(stats, n_resamples=n_resamples, seed=seed)]
    )


def resample_total_chunks(stats: Floats, *, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Chunks (b, k) of the totals of resamples of `stats`, drawn over its distinct rows where those are few.

    Rows of two runs side by side are drawn in pairs: `np.concatenate([current, baseline], axis=1)`.
    """
    few = distinct_rows(stats, most=len(stats) // _DRAWS_PER_CELL)
    if few is None:
        for weights in resample_weights(len(stats), n_resamples=n_resamples, seed=seed):
            yield weights @ stats
    else:
        rows, counts = few
        for drawn in resample_counts(counts, n_resamples=n_resamples, seed=seed):
            yield drawn @ rows


def jackknife(stats: Floats, finalize: Finalize) -> Floats:
    """(n,) figures with each row left out in turn: `finalize(total - row)`, in chunks of bounded memory."""
    total = stats.sum(axis=0)
    step = max(1, _CHUNK_CELLS // max(1, stats.shape[1]))
    return np.concatenate([finalize(total - stats[i : i + step]) for i in range(0, len(stats), step)])


def jackknife_interval(value: float, left_out: Floats, *, confidence: float = 0.95) -> Interval:
    """Student's interval with the jackknife's standard error, for smooth figures.

        value ± t(n − 1) · sqrt((n − 1)/n · Σ (θ_(i) − mean θ)²)

    with θ_(i) the figures `left_out`, each without one sample. It costs n figures where the bootstrap costs n for each
    resample. Source: Efron and Tibshirani 1993, chapter 11. Fewer than two samples, or figures that are not finite,
    give NaN.
    """
    n = left_out.size
    if n < 2 or not np.isfinite(left_out).all() or not math.isfinite(value):
        return NO_INTERVAL
    error = math.sqrt((n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)))
    half = t_quantile((1 + confidence) / 2, n - 1) * error
    return Interval(value - half, value + half)


def bounded_jackknife_interval(
    value: float,
    left_out: Floats,
    bounds: tuple[float, float],
    *,
    confidence: float = 0.95,
    freedom: float | None = None,
) -> Interval:
    """`leaning_interval` of a smooth figure within `bounds`, by the jackknife's standard error of `left_out`.

    It has n − 1 degrees of freedom, or where clusters of different sizes were left out those that are given.

    For corpus figures such as F1, MCC and BLEU it holds its level where few samples or clusters make the bootstrap fall
    short, without a resample. Fewer than two samples, or figures that are not finite, give NaN; where no sample makes a
    difference the interval has width zero.

    Raises:
        ValueError: as `leaning_interval`.
    """
    n = left_out.size
    if n < 2 or not np.isfinite(left_out).all():
        return NO_INTERVAL
    variance = (n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2))
    if np.ptp(left_out) <= 1e-12 * (bounds[1] - bounds[0]):
        return Interval(value, value)
    lean = lean_of((n - 1) * (left_out.mean() - left_out))
    return leaning_interval(value, variance, n, bounds, confidence=confidence, freedom=freedom, lean=lean)


def percentile_interval(values: Floats, *, confidence: float = 0.95) -> Interval:
    """The percentile interval of bootstrap replicates (Efron 1979).

    Replicates that are not finite are left out; where more than half are, or there are fewer than two, the interval
    is NaN.
    """
    return _quantiles(values, (1 - confidence) / 2, (1 + confidence) / 2)


def bca_interval(values: Floats, value: float, left_out: Floats, *, confidence: float = 0.95) -> Interval:
    """The bias-corrected and accelerated interval: percentiles moved by the replicates' bias and skew.

        α' = Φ(z0 + (z0 + z_α)/(1 − a·(z0 + z_α)))
        z0 = Φ⁻¹(share of replicates below `value`, ties counting half),  a = Σd³ / 6(Σd²)^1.5

    with d the differences of the jackknife figures `left_out` from their mean (mean − each). Source: Efron 1987;
    Efron and Tibshirani 1993, chapter 14; agrees with `scipy.stats.bootstrap(method="BCa")`. Where the correction is
    not defined the percentile interval is given.
    """
    finite = values[np.isfinite(values)]
    kept = left_out[np.isfinite(left_out)]
    if finite.size < 2 or kept.size < 2 or not math.isfinite(value):
        return percentile_interval(values, confidence=confidence)
    share = float(np.mean(finite < value) + np.mean(finite <= value)) / 2
    deviations = kept.mean() - kept
    widest = float(np.abs(deviations).max())
    if not 0 < share < 1 or widest == 0:
        return percentile_interval(values, confidence=confidence)
    deviations = deviations / widest  # a is free of scale, and cubes of tiny figures would underflow
    spread = float(np.sum(deviations**2))
    bias = normal_quantile(share)
    acceleration = float(np.sum(deviations**3)) / (6 * spread**1.5)
    low, high = (
        _moved(normal_quantile(tail), bias, acceleration) for tail in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    if not 0 <= low < high <= 1:
        return percentile_interval(values, confidence=confidence)
    return _quantiles(values, low, high)


def _moved(z: float, bias: float, acceleration: float) -> float:
    denominator = 1 - acceleration * (bias + z)
    return normal_probability(bias + (bias + z) / denominator) if denominator > 0 else math.nan


def _quantiles(values: Floats, low: float, high: float) -> Interval:
    finite = values[np.isfinite(values)]
    if finite.size < 2 or finite.size < _MIN_DEFINED * values.size:
        return NO_INTERVAL
    lower, upper = np.quantile(finite, (low, high))
    return Interval(float(lower), float(upper))
