"""How sure it is that two windows differ: the p-value of any statistic of two rows of counts, by the law that holds.

| what is known | law |
|---|---|
| clusters themselves (rows of a table) | permutation of whole clusters |
| counts by random group of clusters (states) | normal deviations with the groups' covariance and its df |
| independent rows in two levels, up to 1,000,000 | the hypergeometric law of all tables, exact |
| independent rows, few of them | permutation: the multivariate hypergeometric law of the table |
| independent rows, many of them | the limiting law of the statistic |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from evalharness.stats.arrays import Floats, np
from evalharness.stats.fisher import yes_law
from evalharness.stats.group_spread import GroupSpread, group_spread, joint_df
from evalharness.stats.monte_carlo import hypergeometric_tables, sequential_p
from evalharness.stats.weighted_chi_square import shrunken_weights, weighted_chi_square_above

__all__ = ["Evidence", "Spread", "evidence", "parted", "quadratic_p", "spread_of", "supremum_p"]

Statistic = Callable[[Floats, Floats], Floats]

# numpy draws hypergeometric tables below this many rows.
_MOST_ROWS = 900_000_000
# Of so many rows in two levels all tables are counted: forty standard deviations are 40,000 tables.
_ALL_TABLES = 1_000_000
# The smallest count that is expected in a bin of the smaller window, from which on limiting laws hold in the tail too.
_EXPECTED = 50.0
# A window without groups, whose rows are independent, has a covariance that is known.
_KNOWN = 1e9


class Evidence(NamedTuple):
    """The p-value, and by which law it was found."""

    p_value: float
    law: str


class Spread(NamedTuple):
    """How the difference of the shares p − q varies between clusters: deviations of each window, and their df."""

    first: GroupSpread
    second: GroupSpread

    @property
    def known(self) -> bool:
        """Whether both windows have at least two groups."""
        return self.first.df >= 1 and self.second.df >= 1

    @property
    def gap(self) -> Floats:
        """(k,) p − q."""
        return self.first.shares - self.second.shares

    def through(self, root: Floats) -> tuple[Floats, float]:
        """The deviations (g, m) of root·(p − q), `root` (m, k), and the df of the sum of their variances."""
        first, second = self.first.deviations @ root.T, self.second.deviations @ root.T
        df = joint_df(float((first * first).sum()), float((second * second).sum()), self.first.df, self.second.df)
        return np.concatenate([first, second]), df


def spread_of(
    x: Floats, y: Floats, groups: tuple[Floats | None, Floats | None], columns: Floats | None = None
) -> Spread | None:
    """The spread between groups; None where neither window has groups. `columns` (k, k') puts bins together first."""
    if groups[0] is None and groups[1] is None:
        return None
    found = []
    for counts, given in zip((x, y), groups, strict=True):
        if given is None:
            p = counts / counts.sum()
            root = np.sqrt(p / counts.sum())[:, None] * (np.eye(p.size) - p)
            found.append(
                GroupSpread(p, root, _KNOWN) if columns is None else GroupSpread(p @ columns, root @ columns, _KNOWN)
            )
        else:
            found.append(group_spread(given if columns is None else given @ columns))
    return Spread(found[0], found[1])


def evidence(
    x: Floats,
    y: Floats,
    statistic: Statistic,
    *,
    seed: int,
    limit: Callable[[], float] | None = None,
    expected: float = _EXPECTED,
    least: float | None = None,
    units: tuple[Floats, Floats] | None = None,
) -> Evidence:
    """The p-value of `statistic` (large values count) for counts `x` and `y` (k,) without groups.

    `limit()` gives the p-value by the limiting law, which is taken once every bin has `expected` rows to be expected in
    the smaller window; without it all is permutation. A statistic that does not rest on every bin tells by `least`
    what is to be expected where it does.
    """
    if units is not None:
        return _cluster_permutation(units, statistic, seed)
    pooled = x + y
    n, m = float(x.sum()), float(y.sum())
    if least is None:
        least = float(pooled[pooled > 0].min()) * min(n, m) / (n + m)
    if np.count_nonzero(pooled) == 2 and n + m <= _ALL_TABLES:
        return _of_two_levels(x, pooled, statistic)
    if limit is not None and (least >= expected or n + m > _MOST_ROWS):
        return Evidence(max(limit(), 1e-300), "limit")
    # The smaller window is drawn, the larger is what is left.
    smaller = n <= m
    draw = hypergeometric_tables(pooled, round(min(n, m)), seed=seed)

    def drawn(size: int) -> Floats:
        table = draw(size)
        return statistic(table, pooled - table) if smaller else statistic(pooled - table, table)

    found = sequential_p(float(statistic(x, y)), drawn)
    return Evidence(found.p_value, "permutation, tail fitted" if found.fitted else "permutation")


def _of_two_levels(x: Floats, pooled: Floats, statistic: Statistic) -> Evidence:
    """The chance of all tables with these sums whose statistic is as large: what draws only come near to."""
    one, other = np.flatnonzero(pooled)
    n = round(float(x.sum()))
    m = round(float(pooled.sum())) - n
    j, logs = yes_law(n, m, round(float(pooled[one])), keep=round(float(x[one])))
    tables = np.zeros((j.size, pooled.size))
    tables[:, one], tables[:, other] = j, n - j
    values = statistic(tables, pooled - tables)
    observed = float(values[round(float(x[one])) - int(j[0])])
    weights = np.exp(logs)
    reached = values >= observed - 1e-9 * max(abs(observed), 1e-300)
    return Evidence(max(min(float(weights[reached].sum() / weights.sum()), 1.0), 1e-300), "all tables, exact")


def _cluster_permutation(units: tuple[Floats, Floats], statistic: Statistic, seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    table = np.concatenate(units)
    total = table.sum(axis=0)
    taken = len(units[0])
    if min(len(units[0]), len(units[1])) < 2:
        return Evidence(math.nan, "too few clusters")

    def drawn(size: int) -> Floats:
        order = rng.random((size, len(table))).argsort(axis=1)
        x = (order < taken).astype(np.float64) @ table
        return statistic(x, total - x)

    found = sequential_p(float(statistic(units[0].sum(axis=0), units[1].sum(axis=0))), drawn)
    return Evidence(
        found.p_value, "permutation of clusters, tail fitted" if found.fitted else "permutation of clusters"
    )


def quadratic_p(spread: Spread, root: Floats) -> Evidence:
    """The p-value of |root·(p − q)|² by the covariance between groups; the second-order law of Rao and Scott.

    The weights are the eigenvalues of the covariance, and dividing by an estimated scale is allowed for by its degrees
    of freedom, so that one dimension gives exactly the F (squared t) law. Source: Rao and Scott 1984, Ann Stat 12:46;
    Thomas and Rao 1987 for the F correction.
    """
    if not spread.known:
        return Evidence(math.nan, "too few clusters")
    deviations, df = spread.through(root)
    weights, total_df = shrunken_weights(deviations, df)
    t = float(((root @ spread.gap) ** 2).sum())
    if not weights.any():
        return parted(spread) if t > 0 else Evidence(1.0, "no spread")
    p = float(weighted_chi_square_above(t, weights, df=total_df))
    return Evidence(max(p, 1e-300), "clusters")


def parted(spread: Spread) -> Evidence:
    """The p-value where all groups of a side are alike and the sides differ: a model changed for all of them, say.

    Were the groups exchangeable, of all ways to deal them out only this one and its mirror image would part them so.
    A side without groups counts as the groups of the other one: it says no less.
    """
    sizes = [side.df + 1 for side in (spread.first, spread.second) if side.df < _KNOWN]
    if not sizes:
        return Evidence(math.nan, "no spread")
    n, m = sizes if len(sizes) == 2 else (sizes[0], sizes[0])
    log_ways = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    return Evidence(min(1.0, 2 * math.exp(-log_ways)), "groups that are parted")


def supremum_p(spread: Spread, root: Floats, statistic: Callable[[Floats], Floats], *, seed: int) -> Evidence:
    """The p-value of a `statistic` of the gap root·(p − q), from draws of Student's multivariate t between groups.

    Twice the gap has twice the statistic, as with a largest or a mean distance.
    """
    if not spread.known:
        return Evidence(math.nan, "too few clusters")
    deviations, df = spread.through(root)
    scale = float(statistic(np.sqrt((deviations * deviations).sum(axis=0))))
    rng = np.random.default_rng(seed)

    def tamed(value: Floats) -> Floats:
        # Student's tails are too long for a law that is fitted by moments; on this scale they are a gamma law's, as
        # those of the square are without them: df·ln(1 + t²/df) → t². Without any spread there is no scale.
        return df * np.log1p((value / scale) ** 2 / df) if scale > 1e-100 else value

    def drawn(size: int) -> Floats:
        gaps = rng.standard_normal((size, len(deviations))) @ deviations
        return tamed(statistic(gaps / np.sqrt(rng.chisquare(df, (size, 1)) / df)))

    found = sequential_p(float(tamed(statistic(root @ spread.gap))), drawn)
    return Evidence(found.p_value, "clusters, tail fitted" if found.fitted else "clusters")
