"""Several rules, looked at several times, with one error for all of it. Pure: p-values in, states out.

A rule is tested in both directions, each with an error of its own: "it holds" and "it does not hold". At each look its
p-value is held against the boundary of a group-sequential design (Lan and DeMets 1983), whose looks together err with
no more than the level of the rule. Over the rules that level is Holm's: of m rules each starts with α/m, and whenever
one is decided the others have α over those that are left. That is the shortcut of a closed test, in which every
intersection of hypotheses is tested by Bonferroni over group-sequential tests (Glimm, Maurer and Bretz 2010;
Maurer and Bretz 2013): a level that rises later applies to the looks before, too, and what is decided stays decided.

Futility does not bind: a rule below its futility bound is no longer likely to be passed, and the run may end, but if it
goes on the rule can still be decided. So whatever is done about it, no error grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from ..stats.sequential import boundaries, futility
from ..stats.tails import normal_probability, normal_quantile

__all__ = ["Crossing", "Design", "LookedRule", "LookedRules", "Spending", "Standing"]

Spending = Literal["obrien-fleming", "pocock"]
Standing = Literal["pass", "fail", "given up", "open"]

# A look that adds less than this share of the samples brings nothing to test, and boundaries want looks apart.
_LEAST_STEP = 2e-3
# Futility bounds are for a candidate that the whole run would pass with this probability.
_POWER = 0.8


@dataclass(frozen=True, eq=False)
class Design:
    """When one rule is looked at, as shares of its samples, and how its error is spent."""

    fractions: tuple[float, ...]
    spending: Spending
    alpha: float
    gives_up: bool = True

    @cached_property
    def _steps(self) -> tuple[list[float], list[int]]:
        """The shares that differ, and the place of each look among them; -1 for a look without samples."""
        shares: list[float] = []
        places = []
        for share in self.fractions:
            if share > (shares[-1] if shares else 0.0) + _LEAST_STEP:
                shares.append(1.0 if share > 1.0 - _LEAST_STEP else share)
            places.append(len(shares) - 1)
        return shares, places

    def is_new(self, look: int) -> bool:
        """Whether there are samples at this look which there were not at the one before."""
        places = self._steps[1]
        return places[look] != (places[look - 1] if look else -1)

    def level(self, look: int, among: int = 1) -> float:
        """The one-sided p-value that decides at `look`, for one of `among` rules that share the error."""
        place = self._steps[1][look]
        return 0.0 if place < 0 else self._levels(among)[place]

    def futile_below(self, look: int, among: int = 1) -> float:
        """The z below which the rule is given up at `look`; minus infinity where it never is."""
        shares, places = self._steps
        last = places[look] == len(shares) - 1
        if not self.gives_up or last or places[look] < 0:
            return -math.inf
        return float(self._bounds(among)[places[look]])

    def _levels(self, among: int) -> list[float]:
        return _levels(self.spending, tuple(self._steps[0]), self.alpha / among)

    def _bounds(self, among: int) -> list[float]:
        return _bounds(self.spending, tuple(self._steps[0]), self.alpha / among)


@lru_cache(maxsize=1_024)
def _levels(spending: Spending, shares: tuple[float, ...], alpha: float) -> list[float]:
    return [normal_probability(-float(z)) for z in boundaries(spending, shares, alpha)]


@lru_cache(maxsize=1_024)
def _bounds(spending: Spending, shares: tuple[float, ...], alpha: float) -> list[float]:
    return [float(z) for z in futility(spending, shares, alpha, _POWER)]


class LookedRule(NamedTuple):
    """One rule at one look: the p-values of "it does not hold" (small: it holds) and of "it holds"."""

    p_pass: float
    p_fail: float


class Crossing(NamedTuple):
    """A look, counted from 0, and the p-value that decides there."""

    look: int
    level: float


_Way = Literal["pass", "fail"]
_WAYS: tuple[_Way, _Way] = ("fail", "pass")


class LookedRules:
    """Follows rules over their looks; `correction` none gives each rule the whole error."""

    def __init__(self, designs: Sequence[Design], *, correction: Literal["holm", "none"] = "holm") -> None:
        self.designs = tuple(designs)
        self._holm = correction == "holm"
        self._n = len(designs)
        # By direction and rule: the look at which its p-value was first below the level of one among s, by s.
        self._crossed: dict[_Way, list[dict[int, int]]] = {way: [{} for _ in designs] for way in _WAYS}
        # By direction, of each rule that was decided: at which look, and among how many.
        self._decided: dict[_Way, dict[int, tuple[int, int]]] = {way: {} for way in _WAYS}
        self._futile = [False] * self._n
        self.n_looks = 0

    def look(self, tested: Sequence[LookedRule]) -> list[Standing]:
        """The standing of each rule after the next look, whose p-values are `tested`, in the order of the designs."""
        look = self.n_looks
        self.n_looks += 1
        for place, (design, found) in enumerate(zip(self.designs, tested, strict=True)):
            if design.is_new(look):
                self._note(place, design, look, found)
        for way in _WAYS:
            self._step_down(way)
        return self.standing

    def _note(self, place: int, design: Design, look: int, found: LookedRule) -> None:
        for way, p in zip(_WAYS, (found.p_fail, found.p_pass), strict=True):
            crossed = self._crossed[way][place]
            for among in range(1, self._most + 1):
                # NaN is below nothing.
                if among not in crossed and p <= design.level(look, among):
                    crossed[among] = look
        self._futile[place] = _favourable_z(found) < design.futile_below(look, self.among("pass"))

    @property
    def _most(self) -> int:
        return max(self._n, 1) if self._holm else 1

    def among(self, way: _Way) -> int:
        """Among how many rules the error is shared now, in this direction."""
        return max(self._n - len(self._decided[way]), 1) if self._holm else 1

    def _step_down(self, way: _Way) -> None:
        decided = self._decided[way]
        while True:
            among = self.among(way)
            new = [p for p in range(self._n) if p not in decided and among in self._crossed[way][p]]
            if not new:
                return
            for place in new:
                decided[place] = (self.n_looks - 1, among)

    @property
    def standing(self) -> list[Standing]:
        """Where each rule stands now."""
        return [self._standing(place) for place in range(self._n)]

    def _standing(self, place: int) -> Standing:
        # A rule cannot hold and not hold: the first to be shown stays, and at one look the refusal.
        shown = [(self._decided[way][place][0], way) for way in _WAYS if place in self._decided[way]]
        if shown:
            return min(shown)[1]
        return "given up" if self._futile[place] else "open"

    def crossing(self, place: int) -> Crossing:
        """Where a rule was decided: the look whose p-value was low enough, and the level there.

        Of one that was not, the last look, and the level that it would have needed to pass.
        """
        state = self._standing(place)
        if state == "pass" or state == "fail":
            among = self._decided[state][place][1]
            look = self._crossed[state][place][among]
        else:
            among, look = self.among("pass"), self.n_looks - 1
        return Crossing(look, self.designs[place].level(look, among))


def _favourable_z(found: LookedRule) -> float:
    """How far, in standard errors, the figure is on the good side of its limit; infinite where that cannot be told.

    The kinder of what the two p-values say: where a test is careful (few samples, nothing varies) neither is small,
    and a rule must not be given up because too little is known.
    """
    if math.isnan(found.p_pass) or math.isnan(found.p_fail):
        return math.inf
    return max(-_quantile(found.p_pass), _quantile(found.p_fail))


def _quantile(p: float) -> float:
    return normal_quantile(p) if 0 < p < 1 else (-math.inf if p <= 0 else math.inf)
