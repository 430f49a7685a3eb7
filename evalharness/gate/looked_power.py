"""The power of right and wrong answers in a run that stops when decided: of runs drawn, and looked at as the gate does.

Each of the looks lets certain counts pass, and gives others up (`compare.sequential`). Which, the gate's own tests say;
how many runs meet such a count before they end is counted over 10,000 that are drawn from a seed, so that a power is
known to half a point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..stats.arrays import Bools, Ints
from ..stats.paired_exact import restricted_share
from ..stats.paired_power import fewest_gains
from ..stats.tails import binomial_at_most, normal_probability

__all__ = ["Look", "Looks", "runs_passed"]

_DRAWS = 10_000
# Of larger runs the boundaries' own formula, for normal figures, is as near.
_MOST_DIFFERING, _MOST_ANSWERS = 2_000, 50_000


@dataclass(frozen=True, slots=True)
class Look:
    """The part of the samples that is in, the p-value that passes, and the z below which a rule is given up."""

    share: float
    level: float
    futile_below: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks in their order, and what `formula` says of a normal figure so many standard errors beyond its limit."""

    looks: tuple[Look, ...]
    formula: Callable[[float], float]

    def power_of_share(self, n: int, truth: float, limit: float) -> float:
        """As `stats.one_sided.power_of_share`, over all looks."""
        if truth < limit:
            truth, limit = 1 - truth, 1 - limit
        if n > _MOST_ANSWERS:
            return self.formula((truth - limit) / math.sqrt(limit * (1 - limit) / n))
        ends = self._ends(n)
        counts = np.random.default_rng(n).binomial(np.diff(ends, prepend=0), truth, (_DRAWS, len(ends))).cumsum(axis=1)

        def decided(look: int) -> tuple[Bools, Bools]:
            below = np.concatenate([[0.0], binomial_at_most(ends[look], limit), [1.0]])
            at, count = self.looks[look], counts[:, look]
            return 1 - below[count] <= at.level, below[count + 1] < normal_probability(at.futile_below)

        return runs_passed(decided, len(ends))

    def power_of_pairs(self, n: int, margin: float, discordance: float, difference: float, *, both: bool) -> float:
        """As `stats.paired_power.power_of_exact_pairs`, over all looks."""
        gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
        if n * discordance > _MOST_DIFFERING:
            return self._by_formula(n, margin, discordance, difference, both=both)
        ends, rng = self._ends(n), np.random.default_rng(n)
        steps = np.diff(ends, prepend=0)
        drawn = np.stack([rng.multinomial(step, [gain, loss, 1 - gain - loss], _DRAWS) for step in steps], axis=1)
        counts = drawn[:, :, :2].cumsum(axis=1)

        def decided(look: int) -> tuple[Bools, Bools]:
            at, m = self.looks[look], ends[look]
            ways = [(counts[:, look, 0], counts[:, look, 1])]
            ways += [(ways[0][1], ways[0][0])] if both else []
            passed, futile = np.ones(_DRAWS, dtype=bool), np.zeros(_DRAWS, dtype=bool)
            for gains, losses in ways:
                passed &= gains >= _fewest(m, margin, at.level, losses)
                # That the rule holds is what the mirrored test excludes.
                hopeless = normal_probability(at.futile_below)
                if hopeless > 0:
                    futile |= losses >= _fewest(m, -margin, hopeless, gains)
            return passed, futile

        return runs_passed(decided, len(ends))

    def _ends(self, n: int) -> list[int]:
        return [max(round(look.share * n), 1) for look in self.looks]

    def _by_formula(self, n: int, margin: float, discordance: float, difference: float, *, both: bool) -> float:
        # What the test assumes at its margin, as `power_of_pairs` has it for a single look.
        share = float(restricted_share((discordance + difference) / 2, (discordance - difference) / 2, 1.0, -margin))
        null = 2 * share - margin * (1 + margin)
        power = self.formula((margin + difference) / math.sqrt(max((discordance + null) / 2, 1e-12) / n))
        return max(2 * power - 1, 0.0) if both else power


def _fewest(n: int, margin: float, alpha: float, losses: Ints) -> Ints:
    """The fewest gains that pass beside each of `losses`; beyond n where no level is left."""
    if alpha <= 0:
        return np.full(len(losses), n + 1)
    first = int(losses.min())
    found: Ints = fewest_gains(n, margin, alpha, first, int(losses.max()))[losses - first]
    return found


def runs_passed(decided: Callable[[int], tuple[Bools, Bools]], n_looks: int) -> float:
    """The share of runs that pass at any look before they are given up.

    `decided` says at a look, for each run, whether its rule passes and whether it is given up.
    """
    passed: Bools | None = None
    going: Bools | None = None
    for look in range(n_looks):
        held, futile = decided(look)
        if passed is None or going is None:
            passed, going = held, ~(held | futile)
        else:
            passed, going = passed | (going & held), going & ~(held | futile)
    return 0.0 if passed is None else float(passed.mean())
