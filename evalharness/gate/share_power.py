"""The power of the gate's own tests of right and wrong answers: by the counts that pass, not by normal formulas.

At 160 pairs of which 8 % differ, the normal formula promises 72 % for a margin of 5 points; the gate passes 68 %. So a
plan asks the tests that the gate will use which counts they let pass, and how likely those are. Counts are whole and
the power goes up in steps, so that the samples needed are known to a percent or so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core.protocols import Array, Metric
from ..stats.one_sided import bisected, power_of_share
from ..stats.paired_power import power_of_exact_pairs
from ..stats.power import pairs_for_margin, samples_for_proportion
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

    `both`: that it is neither worse nor better by more than the margin.
    """

    discordance: float
    alpha: float
    both: bool = False
    looks: Looks | None = None

    def power(self, n: int, margin: float) -> float:
        """The chance that `n` pairs show no loss of more than `margin`."""
        return self._power(n, margin, self.discordance, 0.0)

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
) -> Found:
    """Of pairs of right and wrong answers: the candidate is as good, and `distance` the loss that is allowed."""
    differ = min(spread.variance, 1.0) if spread.discordance is None else spread.discordance
    test = PairsPower(differ, alpha, rule.kind == "equivalent", looks)
    if distance is None:
        return Found(test.gain(n, POWER))
    detectable, power = test.detectable(n, POWER), test.power(n, distance)
    if distance <= 0:
        return Found(detectable, power)
    asked = (1 + POWER) / 2 if test.both else POWER
    guess = max(pairs_for_margin(distance, differ, alpha=alpha, power=asked), least or 0)
    return Found(detectable, power, _at_least(_bisected_samples(guess, lambda m: test.power(m, distance)), least))


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
