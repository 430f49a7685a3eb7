"""What the charts of a column show: two distributions on one grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..stats.arrays import Floats

__all__ = ["category_picture", "numeric_picture"]

_BINS = 40
_TAIL = 0.005
_LEVELS = 12


def numeric_picture(edges: Floats, reference: Floats, current: Floats) -> dict[str, Sequence[object] | str]:
    """Shares over 40 bins of one width, from counts over the bins between `edges` (k+1,), which grow.

    Within a bin rows are spread evenly. The grid reaches from the smaller 0.5 % quantile of the two to the larger
    99.5 % one; what lies beyond is counted in the first and the last bin.
    """
    edges = np.asarray(edges, dtype=np.float64)
    cumulated = [np.concatenate([[0.0], np.cumsum(side) / max(side.sum(), 1.0)]) for side in (reference, current)]
    low = min(float(np.interp(_TAIL, c, edges)) for c in cumulated if c[-1] > 0)
    high = max(float(np.interp(1 - _TAIL, c, edges)) for c in cumulated if c[-1] > 0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    grid = np.linspace(low, high, _BINS + 1)
    shares = []
    for c in cumulated:
        at = np.interp(grid, edges, c, left=0.0, right=c[-1])
        at[0], at[-1] = 0.0, c[-1]
        shares.append(np.diff(at).tolist())
    return {"kind": "numeric", "edges": grid.tolist(), "reference": shares[0], "current": shares[1]}


def category_picture(labels: list[str], reference: Floats, current: Floats) -> dict[str, Sequence[object] | str]:
    """Shares of the levels, those that moved most first; what is beyond the first twelve is one."""
    shares = [np.asarray(side, dtype=np.float64) / max(float(np.sum(side)), 1.0) for side in (reference, current)]
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")
    shown = [int(i) for i in order if shares[0][i] + shares[1][i] > 0][:_LEVELS]
    names = [labels[i] for i in shown]
    both = [[float(side[i]) for i in shown] for side in shares]
    rest = [1.0 - sum(side) if float(np.sum(all_of)) > 0 else 0.0 for side, all_of in zip(both, shares, strict=True)]
    if max(rest) > 1e-9:
        names.append(f"{len(labels) - len(shown):,} others")
        both = [[*side, max(0.0, over)] for side, over in zip(both, rest, strict=True)]
    return {"kind": "category", "labels": names, "reference": both[0], "current": both[1]}
