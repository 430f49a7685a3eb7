"""The power of the gate's own tests of right and wrong answers: by the counts that pass, not by normal formulas.

At 160 pairs of which 8 % differ, the normal formula promises 72 % for a margin of 5 points; the gate passes 68 %. So a
plan asks the tests that the gate will use which counts they let pass, and how likely those are. Counts are whole and
the power goes up in steps, so that the samples needed are known to a percent or so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..core.protocols import Array, Metric
from ..stats.one_sided import bisected, power_of_share
from ..stats.paired_power import power_of_exact_pairs
from ..stats.power import pairs_for_margin, samples_for_proportion
from ..stats.tails import normal_probability, normal_quantile
from ..suite.schema import Rule
from .looked_power import Looks
from .spread import Spread

__all__ = [
    "POWER",
    "Found",
    "PairsPower",
    "SharePower",
    "found_pairs",
    "found_quantile",
    "found_share",
]

POWER = 0.8
_MOST_SAMPLES = 10_000_000
# The middles of seven equal parts of a normal distribution.
_SEVENTHS = tuple(normal_quantile((2 * i + 1) / 14) for i in range(7))
# A margin is told to a ten-thousandth or so.
_STEPS = 14


class Found(NamedTuple):
    """What the samples of a rule can see, their power, and how many have the power that is asked for."""

    detectable: float | None = None
    power: float | None = None
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class SharePower:
    """Of a share of 0/1 answers held against `limit` at `alpha`.

    `design` is how many times as many samples clusters need: the test is that of n/design answers. `looks` are those
    of a run that stops when decided.
    """

    limit: float
    alpha: float
    design: float = 1.0
    looks: Looks | None = None

    def power(self, n: int, truth: float) -> float:
        """The chance that `n` answers show the share, truly `truth`, to be on its side of the limit."""
        effective = max(round(n / self.design), 1)
        if self.looks is not None and 0 < truth < 1:
            return self.looks.power_of_share(effective, truth, self.limit)
        return power_of_share(effective, truth, self.limit, alpha=self.alpha)

    def detectable(self, n: int, power: float, *, above: bool) -> float | None:
        """How far beyond the limit the truth must lie for this power; None where even 1 (or 0) would not be seen."""
        far, sign = (1 - self.limit, 1) if above else (self.limit, -1)
        if self.power(n, self.limit + sign * far) < power:
            return None
        steps = 60 if self.looks is None else _STEPS
        return bisected(lambda distance: self.power(n, self.limit + sign * distance) >= power, far, 0.0, steps=steps)


@dataclass(frozen=True, slots=True)
class PairsPower:
    """Of pairs of 0/1 answers of which the share `discordance` differ, at `alpha`, the candidate as good.

    `both`: that it is neither worse nor better by more than the margin. `away`, of a share that is best at one half, is
    how far the baseline's lies from it, infinite where that is not known: the gate then makes two tests at half of
    alpha (`stats.nearer`). Near one half this is a little less than there is.
    """

    discordance: float
    alpha: float
    both: bool = False
    looks: Looks | None = None
    away: float | None = None

    def power(self, n: int, margin: float) -> float:
        """The chance that `n` pairs show no loss of more than `margin`."""
        if self.away is None:
            return self._power(n, margin, self.discordance, 0.0)
        # Not farther on its own side, by the difference; nor on the other side, by that or by the sum of both shares,
        # whose variance is what pairs that agree have.
        half = self._at_half
        other = replace(half, both=False).power(n, margin)
        sums = 1 - 4 * self.away**2 - self.discordance
        if sums <= 0:
            other = 1.0
        else:
            z = (margin + 2 * self.away) / math.sqrt(sums / n)
            other = max(other, normal_probability(z + normal_quantile(half.alpha)))
        return max(half.power(n, margin) + other - 1, 0.0)

    @property
    def _at_half(self) -> PairsPower:
        looks = self.looks
        if looks is not None:
            looks = replace(looks, looks=tuple(replace(look, level=look.level / 2) for look in looks.looks))
        return replace(self, alpha=self.alpha / 2, looks=looks, away=None)

    def _power(self, n: int, margin: float, discordance: float, difference: float) -> float:
        if self.looks is not None:
            return self.looks.power_of_pairs(n, margin, discordance, difference, both=self.both)
        return power_of_exact_pairs(n, margin, discordance, alpha=self.alpha, difference=difference, both=self.both)

    def detectable(self, n: int, power: float) -> float | None:
        """The least margin that is shown with this power; None where none is."""
        if self.power(n, 1.0) < power:
            return None
        return bisected(lambda margin: self.power(n, margin) >= power, 1.0, 0.0, steps=_STEPS)

    def gain(self, n: int, power: float) -> float | None:
        """The least improvement that is shown to be one with this power; None where none is."""
        if self.away is not None:
            return self._at_half.gain(n, power)

        def is_shown(gain: float) -> bool:
            differ = min(max(self.discordance, gain), 1.0)
            return self._power(n, 0.0, differ, gain) >= power

        return bisected(is_shown, 1.0, 0.0, steps=_STEPS) if is_shown(1.0) else None


def found_share(
    rule: Rule, spread: Spread, n: int, alpha: float, least: int | None, *, looks: Looks | None = None
) -> Found:
    """Of a share of right answers held against a limit; `least` samples are needed whatever the power."""
    test, above = SharePower(rule.number, alpha, spread.design, looks), rule.kind == "at_least"
    detectable = test.detectable(n, POWER, above=above)
    truth = spread.expected
    if truth is None:
        return Found(detectable)
    if (truth <= rule.number) if above else (truth >= rule.number):
        return Found(detectable, 0.0)  # of the order of alpha, or less
    return Found(detectable, test.power(n, truth), _needed(test, truth, least))


def found_pairs(
    rule: Rule,
    spread: Spread,
    n: int,
    alpha: float,
    distance: float | None,
    least: int | None,
    *,
    looks: Looks | None = None,
    best: float | None = None,
) -> Found:
    """Of pairs of right and wrong answers: the candidate is as good, and `distance` the loss that is allowed.

    `best` is the value that is best of a share that may lie on either side of it.
    """
    differ = min(spread.variance, 1.0) if spread.discordance is None else spread.discordance
    away = None
    if best is not None:
        away = math.inf if spread.baseline_value is None else abs(spread.baseline_value - best)
    test = PairsPower(differ, alpha, rule.kind == "equivalent", looks, away)
    if distance is None:
        return Found(test.gain(n, POWER))

    def power_of(m: int) -> float:
        if best is None or rule.kind != "max_relative_drop" or spread.baseline_value is None:
            return test.power(m, distance)
        # What is allowed is a share of a distance that is measured, too, on the same pairs: of two runs that are alike
        # the baseline's errors and those of the difference have half of the difference's variance in common.
        r, before = rule.number, spread.baseline_value
        error = math.sqrt((r * r * before * (1 - before) + r * differ) / m)
        return sum(test.power(m, max(distance + error * z, 0.0)) for z in _SEVENTHS) / len(_SEVENTHS)

    detectable, power = test.detectable(n, POWER), power_of(n)
    if distance <= 0:
        return Found(detectable, power)
    asked = (1 + POWER) / 2 if test.both else POWER
    guess = max(pairs_for_margin(distance, differ, alpha=alpha, power=asked), least or 0)
    return Found(detectable, power, _at_least(_bisected_samples(guess, power_of), least))


def _bisected_samples(guess: int, power_at: Callable[[int], float]) -> int | None:
    """About the fewest samples with the power that is asked for, to half a percent; None for too many."""
    low, high = 1, max(guess, 2)
    while power_at(high) < POWER:
        low, high = high, high + max(1, high // 8)
        if high > _MOST_SAMPLES:
            return None
    low = max(low, high // 2)
    if power_at(low) >= POWER:
        low = 1
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= POWER else (middle, high)
    return high


def found_quantile(
    rule: Rule,
    metric: Metric,
    values: Array,
    n: int,
    alpha: float,
    least: int | None,
    *,
    looks: Looks | None = None,
) -> Found:
    """Of a quantile held against a limit, if answers come as the sorted `values` of an earlier run did.

    The gate tests whether the share of answers within the limit is the quantile's, so that this is the power of a
    share. `detectable` is how far the quantile lies beyond where the share that is detected does.
    """
    q, below = float(getattr(metric, "q")), rule.kind == "at_most"  # noqa: B009
    test = SharePower(q, alpha, looks=looks)
    share = test.detectable(n, POWER, above=below)
    detectable = None
    if share is not None:
        own, seen = np.quantile(values, [q, q + share if below else q - share])
        detectable = abs(float(seen - own))
    truth = float(np.searchsorted(values, rule.number, side="right" if below else "left")) / len(values)
    if (truth <= q) if below else (truth >= q):
        return Found(detectable, 0.0)
    return Found(detectable, test.power(n, truth), _needed(test, truth, least))


def _needed(test: SharePower, truth: float, least: int | None) -> int | None:
    guess = samples_for_proportion(truth, test.limit, alpha=test.alpha, power=POWER) * test.design
    found = _bisected_samples(max(math.ceil(guess), least or 0), lambda n: test.power(n, truth))
    return _at_least(found, least)


def _at_least(found: int | None, least: int | None) -> int | None:
    return None if found is None else max(found, least or 0)
