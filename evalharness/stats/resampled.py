"""Tests of two systems on the same samples by resampling: for figures that are no means, such as F1, BLEU or MCC.

Both take the additive statistics (n, k) of the systems, in the same order of samples, and `finalize`, which gives the
figures (...) of totals (..., k). The difference tested is that of the figures, current − baseline, and `greater` asks
whether the current one's is greater. With `codes` whole clusters are drawn. p = (c + 1)/(B + 1), with c of B resamples
at least as extreme as what was seen, is never 0 (Phipson and Smyth 2010); it is NaN where nothing can be said: fewer
than two samples (or clusters), or figures that are not finite. The statistic is the difference itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .arrays import ArrayLike, Floats, Ints, np
from .bootstrap import Finalize, cluster_totals, resample_total_chunks
from .tests import Alternative, TestResult, check_alternative

__all__ = ["approximate_randomisation", "paired_bootstrap"]

_CHUNK_CELLS = 2_000_000  # 16 MB of float64 masks at a time
# Differences that are equal but for their rounding are as extreme as one another.
_ROUNDING = 1e-12


def paired_bootstrap(
    current: ArrayLike,
    baseline: ArrayLike,
    finalize: Finalize,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
    codes: Ints | None = None,
    shift: float = 0.0,
    alternative: Alternative = "two-sided",
) -> TestResult:
    """The paired bootstrap test of H0: the figures differ by `shift`.

        δ = θ(current) − θ(baseline);  p: how often δ* − δ is at least as extreme as δ − shift

    The resamples draw the same samples for both systems. Their differences are moved by δ, the distribution under the
    null hypothesis: counting the resamples that change sign is another test (Koehn 2004), which errs too often where
    the bootstrap is skewed. `shift = −margin` with `greater` is the test of non-inferiority. Source: Efron and
    Tibshirani 1993, chapter 16; sacrebleu's `--paired-bs`, whose p is that of
    one side, with the resamples' mean in the place of δ.

    Raises:
        ValueError: for statistics of different shapes, codes of another length, fewer than one resample.
    """
    ours, theirs = _units(current, baseline, codes)
    check_alternative(alternative)
    method = "paired bootstrap" if codes is None else "paired bootstrap, clustered"
    observed = _difference(finalize, ours.sum(axis=0), theirs.sum(axis=0))
    if len(ours) < 2 or not math.isfinite(observed):
        return TestResult(observed, math.nan, method)
    k = ours.shape[1]
    both = np.concatenate([ours, theirs], axis=1)
    found = []
    for totals in resample_total_chunks(both, n_resamples=n_resamples, seed=seed):
        found.append(np.asarray(finalize(totals[:, :k]) - finalize(totals[:, k:]), dtype=np.float64))
    return TestResult(observed, _p(np.concatenate(found) - observed, observed - shift, alternative), method)


def approximate_randomisation(
    current: ArrayLike,
    baseline: ArrayLike,
    finalize: Finalize,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
    codes: Ints | None = None,
    alternative: Alternative = "two-sided",
) -> TestResult:
    """The approximate randomisation test of H0: which of the two systems gave which answer does not matter.

    In each trial the two answers of a sample change places with probability ½; p is how often the figures then differ
    at least as much. Source: Noreen 1989; Riezler and Maxwell 2005; sacrebleu's `--paired-ar`, which counts only trials
    that differ more. For two systems whose answers all have the same statistics p is 1.

    Raises:
        ValueError: as `paired_bootstrap`.
    """
    ours, theirs = _units(current, baseline, codes)
    check_alternative(alternative)
    method = "approximate randomisation" if codes is None else "approximate randomisation, clustered"
    total, other = ours.sum(axis=0), theirs.sum(axis=0)
    observed = _difference(finalize, total, other)
    if len(ours) < 2 or not math.isfinite(observed):
        return TestResult(observed, math.nan, method)
    # What is alike in both may change places or not: only the others need to be drawn.
    moves = ours - theirs
    moves = moves[(moves != 0).any(axis=1)]
    if not len(moves):
        return TestResult(observed, 1.0, method)
    found = []
    for swapped in _coins(len(moves), n_resamples=n_resamples, seed=seed):
        moved = swapped @ moves
        found.append(np.asarray(finalize(total - moved) - finalize(other + moved), dtype=np.float64))
    return TestResult(observed, _p(np.concatenate(found), observed, alternative), method)


def _units(current: ArrayLike, baseline: ArrayLike, codes: Ints | None) -> tuple[Floats, Floats]:
    ours, theirs = np.asarray(current, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if ours.ndim != 2 or ours.shape != theirs.shape:
        raise ValueError(f"two arrays (n, k) of one shape are needed; got {ours.shape} and {theirs.shape}")
    if codes is None:
        return ours, theirs
    if codes.shape != ours.shape[:1]:
        raise ValueError(f"codes must have one entry a sample: {codes.shape} against {ours.shape[:1]}")
    numbers = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return cluster_totals(ours, numbers), cluster_totals(theirs, numbers)


def _difference(finalize: Finalize, total: Floats, other: Floats) -> float:
    return float(finalize(total)) - float(finalize(other))


def _coins(n: int, *, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Chunks (b, n) of fair coins 0 and 1, `n_resamples` rows in all; the chunks' size depends on n alone."""
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1; got {n_resamples}")
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // n)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        drawn = rng.integers(0, 256, size=(rows, (n + 7) // 8), dtype=np.uint8)
        yield np.unpackbits(drawn, axis=1, count=n).astype(np.float64)


def _p(found: Floats, observed: float, alternative: Alternative) -> float:
    """(c + 1)/(B + 1); a resample whose figure is not defined counts as an extreme one, for it speaks for nothing."""
    slack = _ROUNDING * max(1.0, abs(observed))
    with np.errstate(invalid="ignore"):
        if alternative == "greater":
            inside = found < observed - slack
        elif alternative == "less":
            inside = found > observed + slack
        else:
            inside = np.abs(found) < abs(observed) - slack
    extreme = found.size - int(np.count_nonzero(inside))
    return (extreme + 1) / (found.size + 1)
