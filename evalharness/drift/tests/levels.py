"""The default test of classes: levels that change, and levels that the reference has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from evalharness.core.drifting import ColumnKind
from evalharness.drift.base import Counts, Outcome
from evalharness.stats.arrays import Floats, np

from .shares import ChiSquare

__all__ = ["Levels", "new_level_tails"]

_SHARE: Final = 0.35
"""Of what a window may err: how much of it new levels may take, where they can take that much."""
_MOST_ROWS: Final = 400
"""So many rows in new levels are as good as any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(ChiSquare):
    """Pearson's chi-square over all levels, and beside it the rows in levels that the reference has not.

        T = Σ_j y_j·[x_j = 0],  P(x_j = 0) = C(N − c_j, n)/C(N, n),  c = x + y, n = Σ x, N = Σ c
        p = min(p_T/0.35, p_χ² + B),  B the largest p-value of T up to 0.35·p_χ²/0.65, or 0

    Options:
        effect: Cramér's V from which on a change counts, less its bias. The default 0.1 is Cohen's small w.
        bins: as for chi_square; of no meaning for classes.

    χ² spreads its attention over all levels. How likely a level of c rows is to lie in the current window alone, if
    rows are shared out by chance, hardly depends on the other levels, so that the law of T is that of a sum of
    independent terms. That law is discrete, and χ² gets what it leaves: where all levels are common no new one comes by
    chance, and p is that of χ² unless one comes. Where rows belong together it is chi_square.

    Source: Pearson 1900; the hypergeometric law; Bonferroni, with the size that discrete tests have (Tarone 1990).
    """

    name = "levels"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("category",)
    takes: ClassVar[tuple[type[Any], ...]] = (Counts,)

    def compare(self, reference: Counts, current: Counts, *, seed: int) -> Outcome:
        # Named, for slots classes have no zero-argument super().
        found = ChiSquare.compare(self, reference, current, seed=seed)
        x, y = reference.counts, current.counts
        clustered = reference.groups is not None or current.groups is not None
        if clustered or np.isnan(found.p_value) or np.count_nonzero(x + y) < 3:
            return found
        tails = new_level_tails(x, y)
        n_new = min(round(float(y[x == 0].sum())), _MOST_ROWS)
        taken = tails[tails <= _SHARE * found.p_value / (1 - _SHARE)]
        p = min(found.p_value + float(taken.max(initial=0.0)), 1.0)
        if n_new and tails[n_new - 1] / _SHARE < p:
            return found._replace(
                statistic=float(n_new),
                p_value=max(float(tails[n_new - 1]) / _SHARE, 1e-300),
                detail={**found.detail, "law": "new levels, exact"},
            )
        return found._replace(p_value=p)


def new_level_tails(x: Floats, y: Floats) -> Floats:
    """(400,) the chance of t = 1, 2, … rows or more in levels that the first window has not, if chance shares rows out.

    `x` and `y` are (k,) counts of the same levels. 0 stands for what is less likely than 1e-300.
    """
    from scipy.special import gammaln

    n, total = float(x.sum()), float((x + y).sum())
    pooled = (x + y)[x + y > 0]
    size = pooled[pooled <= total - n]
    logs = gammaln(total - size + 1) - gammaln(total - size - n + 1) - gammaln(total + 1) + gammaln(total - n + 1)
    # law[t]: the chance of t rows in such levels; the last place holds 400 and more.
    law = np.zeros(_MOST_ROWS + 1)
    law[0] = 1.0
    for c, p in zip(size.astype(np.int64).tolist(), np.exp(np.minimum(logs, 0.0)).tolist(), strict=True):
        step = min(c, _MOST_ROWS)
        moved = np.zeros_like(law)
        moved[step:] = law[: len(law) - step]
        moved[-1] += law[len(law) - step :].sum()
        law = (1 - p) * law + p * moved
    # From the far end, so that small chances keep their digits.
    tails: Floats = np.cumsum(law[::-1])[::-1][1:]
    return tails
