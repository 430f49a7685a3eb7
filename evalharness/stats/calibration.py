"""Calibration error over bins of equal mass, for many rows of frequency weights at once."""

from __future__ import annotations

from .arrays import ArrayLike, Floats, np

__all__ = ["equal_mass_error"]


def equal_mass_error(
    confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None, *, bins: int = 15
) -> Floats:
    """Σ_b |Σ_i∈b w_i (confidence_i − correct_i)| / Σ w over `bins` bins of equal weight, (..., n) -> (...).

    The samples are ordered by confidence and cut as `numpy.array_split` cuts: sizes differ by one at most. Samples of
    equal confidence cannot be told apart: a cut through them gives each side their average, so that their order does
    not matter. Source: Nixon et al. 2019 (adaptive calibration error, of the top label). No weight gives NaN.
    """
    p = np.asarray(confidence, dtype=np.float64)
    gap = p - np.asarray(correct, dtype=np.float64)
    weight = np.ones(p.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or p.shape != gap.shape or weight.shape[-1:] != p.shape:
        raise ValueError(f"confidence, correct and weights must go together: {p.shape}, {gap.shape}, {weight.shape}")
    if p.size == 0:
        return np.full(weight.shape[:-1], np.nan)
    order = np.argsort(p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    ordered = weight[..., order].reshape(-1, p.size)
    mass = np.cumsum(ordered, axis=-1)[:, ends]
    gaps = np.cumsum(ordered * gap[order], axis=-1)[:, ends]
    totals = mass[:, -1]
    size = np.floor(totals / bins)
    cuts = np.arange(bins + 1.0)
    edges = cuts * size[:, None] + np.minimum(cuts, (totals - bins * size)[:, None])
    # The running gap is linear between the ends of groups of equal confidence, which shares such a group out evenly.
    running = np.array(
        [np.interp(e, np.append(0.0, m), np.append(0.0, g)) for e, m, g in zip(edges, mass, gaps, strict=True)]
    )
    error = np.abs(np.diff(running, axis=-1)).sum(axis=-1)
    found: Floats = np.divide(error, totals, out=np.full(totals.shape, np.nan), where=totals > 0)
    return found.reshape(weight.shape[:-1])
