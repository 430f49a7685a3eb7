"""The classifier two-sample test: can a model tell the windows apart?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from evalharness.core.drifting import ColumnKind
from evalharness.stats.arrays import Floats, np

from ..base import Outcome, Rows
from ..evidence import evidence
from ..shared import shared_counts
from .kernel import in_order, units_of
from .order import error_scale, nothing, superiority, z_sum

__all__ = ["Classifier"]

# Rows a window that the classifier learns from; beyond, it hardly learns more.
_MOST = 20_000
_LEAST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """The classifier two-sample test: a discriminant learns on half of the rows which window they are from.

        effect = AUC on the other half − ½

    The discriminant is linear in the columns and their squares, with a ridge: (S + λI)⁻¹·(mean of the current −
    mean of the reference). Clusters lie whole in one half. Evidence is that of Mann and Whitney's statistic of the
    discriminant on the rows that it has not seen, by permutation, one-sided.

    Options:
        effect: AUC − ½ from which on a change counts. The default 0.05 is a shift by 0.18 standard deviations along the
            discriminant.
        ridge: λ in units of the mean variance.

    Source: Lopez-Paz and Oquab 2017; Friedman 2004.
    """

    effect: float = 0.05
    ridge: float = 0.1

    name: ClassVar[str] = "classifier"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("embedding", "numeric")
    on: ClassVar[Literal["state", "rows"]] = "rows"
    takes: ClassVar[tuple[type[Any], ...]] = (Rows,)
    effect_name: ClassVar[str] = "AUC − ½"

    def compare(self, reference: Any, current: Any, *, seed: int) -> Outcome:
        if not (reference.n > 0 and current.n > 0):
            return nothing()
        first, second = _halves(reference, seed), _halves(current, seed + 1)
        if min(len(first[0].values), len(first[1].values), len(second[0].values), len(second[1].values)) < _LEAST // 2:
            return nothing(f"fewer than {_LEAST} rows or clusters in a window")
        score = _discriminant(_design(first[0].values), _design(second[0].values), self.ridge)
        x = Rows(_scored(first[1].values, score), first[1].clusters)
        y = Rows(_scored(second[1].values, score), second[1].clusters)
        shared = shared_counts(x, y, seed=seed)

        def auc(a: Floats, b: Floats) -> Floats:
            p, q = a / a.sum(axis=-1, keepdims=True), b / b.sum(axis=-1, keepdims=True)
            found: Floats = (q * (np.cumsum(p, axis=-1) - p / 2)).sum(axis=-1)
            return found

        found = evidence(shared.x, shared.y, auc, seed=seed + 2, units=shared.units)
        effect, low, high = superiority(shared)
        return Outcome(effect + 0.5, found.p_value, effect, low, high, {"law": found.law})

    def smallest_effect(
        self, n_reference: float, n_current: float, alpha: float, *, design: float = 1.0, bins: int = 20
    ) -> float:
        # Half of the rows are left for the test.
        return z_sum(min(2 * alpha, 1.0 - 1e-9)) * error_scale(n_reference / 2, n_current / 2, design) / math.sqrt(12)


def _halves(window: Rows, seed: int) -> tuple[Rows, Rows]:
    """What is learnt from and what is tested on, whole clusters each, without regard to the order of the rows."""
    values, clusters = in_order(window)
    units = units_of(len(values), clusters, seed, most=len(values))
    learns = np.random.default_rng(seed).permutation(int(units.max()) + 1) % 2 == 0
    first = learns[units]
    return (
        Rows(values[first], None if clusters is None else clusters[first]),
        Rows(values[~first], None if clusters is None else clusters[~first]),
    )


def _design(values: Floats) -> Floats:
    """Columns and their squares."""
    return np.concatenate([values, values * values], axis=1)


def _discriminant(first: Floats, second: Floats, ridge: float) -> tuple[Floats, Floats, Floats]:
    """The centre and the scale of the columns, and the weights of the discriminant."""
    # In the order of the values: every so many of them, not the first.
    first, second = (side[:: -(-len(side) // _MOST)] for side in (first, second))
    pooled = np.concatenate([first, second])
    centre, scale = pooled.mean(axis=0), pooled.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    a, b = (first - centre) / scale, (second - centre) / scale
    gap = b.mean(axis=0) - a.mean(axis=0)
    inner = (np.cov(a, rowvar=False, bias=True) + np.cov(b, rowvar=False, bias=True)) / 2
    inner = np.atleast_2d(inner) + ridge * np.eye(gap.size)
    return centre, scale, np.linalg.solve(inner, gap)


def _scored(values: Floats, score: tuple[Floats, Floats, Floats]) -> Floats:
    centre, scale, weights = score
    found: Floats = (_design(values) - centre) / scale @ weights
    return found
