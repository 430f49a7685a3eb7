"""p-values of several tests, adjusted so that the whole family keeps its error rate.

Each takes p-values (m,) and gives adjusted ones in the same order: a test is rejected at level α where its adjusted
p-value is at most α. A p-value of NaN stays NaN and counts as no test.
"""

from __future__ import annotations

from .arrays import ArrayLike, Floats, NDArray, np

__all__ = ["benjamini_hochberg", "benjamini_yekutieli", "holm"]


def holm(p_values: ArrayLike) -> Floats:
    """(m,) adjusted for the family-wise error: that any true null is rejected at all. Whatever the dependence.

        p̃_(i) = max_{j ≤ i} min(1, (m − j + 1)·p_(j))

    Source: Holm 1979; statsmodels `multipletests(method="holm")`.

    Raises:
        ValueError: for p-values that are not one-dimensional, or outside [0, 1].
    """
    given, order = _sorted(p_values)
    m = order.size
    stepped = np.maximum.accumulate(given[order] * np.arange(m, 0, -1))
    return _placed(stepped, given, order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """(m,) adjusted for the false discovery rate, for independent or positively dependent tests.

        p̃_(i) = min_{j ≥ i} min(1, m/j·p_(j))

    Source: Benjamini and Hochberg 1995; statsmodels `multipletests(method="fdr_bh")`.

    Raises:
        ValueError: as `holm`.
    """
    return _step_up(p_values, dependent=False)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """(m,) adjusted for the false discovery rate whatever the dependence: `benjamini_hochberg` times Σ_{j ≤ m} 1/j.

    Source: Benjamini and Yekutieli 2001; statsmodels `multipletests(method="fdr_by")`.

    Raises:
        ValueError: as `holm`.
    """
    return _step_up(p_values, dependent=True)


def _step_up(p_values: ArrayLike, *, dependent: bool) -> Floats:
    given, order = _sorted(p_values)
    ranks = np.arange(1, order.size + 1, dtype=np.float64)
    factor = float((1 / ranks).sum()) if dependent else 1.0
    scaled = given[order] * (order.size * factor) / ranks
    return _placed(np.minimum.accumulate(scaled[::-1])[::-1], given, order)


def _sorted(p_values: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """The p-values, and the places of those that are known in their order."""
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1:
        raise ValueError(f"p-values must be one-dimensional; got shape {given.shape}")
    known = np.flatnonzero(~np.isnan(given))
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise ValueError(f"p-values must lie between 0 and 1; got {given.tolist()}")
    return given, known[np.argsort(given[known], kind="stable")]


def _placed(adjusted: Floats, given: Floats, order: NDArray[np.intp]) -> Floats:
    found = np.full(given.shape, np.nan)
    found[order] = np.minimum(adjusted, 1.0)
    return found
