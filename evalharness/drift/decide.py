"""From p-values and effects to findings: corrected over the columns and segments of a window, evidence beside effect.

The segments of a column and the column as a whole are one family. Columns are selected by the p-value of their family
(Simes), and within a selected family lines are held against a level that shrinks by the share of columns selected:
the hierarchical procedure of Benjamini and Bogomolov (J. R. Stat. Soc. B 76, 2014). Where nothing drifts, the chance
that any line is called drift is at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.drifting import DriftFinding
from ..stats.arrays import Floats
from ..stats.multiple import benjamini_hochberg, benjamini_yekutieli, holm
from .policy import Correction, Policy

__all__ = ["adjusted", "decided"]


@dataclass(frozen=True, slots=True)
class _Family:
    lines: tuple[int, ...]
    within: Floats
    """The lines' own adjusted p-values."""

    @property
    def p_value(self) -> float:
        """Whether anything in the family has changed: the smallest of the adjusted ones (for `bh`, Simes')."""
        return float(self.within.min())


def adjusted(p_values: Sequence[float], families: Sequence[str], *, alpha: float, correction: Correction) -> Floats:
    """The p-values (n,) after correction over all lines; `families` names the column of each. NaN is left alone.

    A line is significant at `alpha` where its result is at most that.
    """
    p = np.asarray(p_values, dtype=np.float64)
    done: Floats = np.full(p.shape, math.nan)
    if correction == "none":
        return p.copy()
    correct = {"bh": benjamini_hochberg, "by": benjamini_yekutieli, "holm": holm}[correction]
    if correction == "holm":
        told = np.flatnonzero(~np.isnan(p))
        if told.size:
            done[told] = holm(p[told])
        return done
    made = []
    for name in dict.fromkeys(families):
        lines = tuple(i for i, family in enumerate(families) if family == name and not math.isnan(p[i]))
        if lines:
            made.append(_Family(lines, correct(p[list(lines)])))
    if not made:
        return done
    over = correct([family.p_value for family in made])
    selected = max(int((over <= alpha).sum()), 1)
    for family, of_family in zip(made, over, strict=True):
        shrunk = np.minimum(family.within * len(made) / selected, 1.0)
        done[list(family.lines)] = np.maximum(shrunk, of_family) if len(family.lines) > 1 else of_family
    return done


def decided(lines: Sequence[DriftFinding], policy: Policy) -> tuple[DriftFinding, ...]:
    """The findings with their adjusted p-values, states and reasons."""
    q = adjusted(
        [line.p_value for line in lines],
        [line.column for line in lines],
        alpha=policy.alpha,
        correction=policy.correction,
    )
    return tuple(_decided(line, float(value), policy) for line, value in zip(lines, q, strict=True))


def _decided(line: DriftFinding, q: float, policy: Policy) -> DriftFinding:
    line = replace(line, q_value=q)
    if line.state == "too_few":
        return line
    evidence = q <= policy.alpha
    effect = abs(line.effect) >= line.effect_threshold
    size = f"{line.effect_name} {line.effect:.3g}"
    if evidence and effect:
        reason = f"{size} is at least {line.effect_threshold:.3g}, and p is {_p(q)}"
        return replace(line, state="drift", reason=reason)
    if evidence:
        reason = f"p is {_p(q)}, but {size} is below {line.effect_threshold:.3g}, from which on it counts"
        return replace(line, state="small", reason=reason)
    reason = f"p is {_p(q)}, above {policy.alpha:g}"
    if line.smallest_effect > line.effect_threshold:
        reason += (
            f"; so many rows would find {line.smallest_effect:.3g} four times in five, not the threshold of "
            f"{line.effect_threshold:.3g}"
        )
    return replace(line, state="no_drift", reason=reason)


def _p(value: float) -> str:
    if math.isnan(value):
        return "not known"
    return f"{value:.2g}" if value >= 1e-4 else "below 0.0001"
