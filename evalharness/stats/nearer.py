"""One-sided tests of how much nearer to a value one figure is than another, from tests of their difference and sum."""

from __future__ import annotations

from dataclasses import dataclass

from .one_sided import OneSided

__all__ = ["Nearer"]


@dataclass(frozen=True, slots=True)
class Nearer:
    """The tests of d = |b| − |c|, from those of b − c (`apart`) and of −b − c (`mirrored`).

        d ≥ L  where  c ≤ |b| − L  and  −c ≤ |b| − L;  the first where  b − c ≥ L  or  −b − c ≥ L,  and so on

    Both of two conditions hold at the larger of their p-values (the intersection-union test: Berger 1982). One of two
    holds at twice the smaller (Bonferroni): which of them the data speak for is not known before. So a rule passes
    wrongly with a chance of alpha at most, wherever the figures are, also where b is near 0 and its sign is chance.
    Where the signs are beyond doubt the bounds are those of the plain difference at half of alpha.

    b may be a multiple of a figure, (1 + r)·b: then `apart` and `mirrored` are of that.
    """

    apart: OneSided
    mirrored: OneSided

    def at_least(self, limit: float) -> float:
        """The p-value of "b is not farther from 0 than c by as much"."""
        above = min(self.apart.at_least(limit), self.mirrored.at_least(limit))
        below = min(self.apart.at_most(-limit), self.mirrored.at_most(-limit))
        return min(1.0, 2 * max(above, below))

    def at_most(self, limit: float) -> float:
        """The p-value of "b is farther from 0 than c by more"."""
        above = min(self.apart.at_most(limit), self.mirrored.at_least(-limit))
        below = min(self.mirrored.at_most(limit), self.apart.at_least(-limit))
        return min(1.0, 2 * max(above, below))

    def lower(self, alpha: float) -> float:
        """The lower bound of d at level 1 − alpha."""
        half = alpha / 2
        above = max(self.apart.lower(half), self.mirrored.lower(half))
        below = max(-self.apart.upper(half), -self.mirrored.upper(half))
        return min(above, below)

    def upper(self, alpha: float) -> float:
        """The upper bound of d at level 1 − alpha."""
        half = alpha / 2
        above = min(self.apart.upper(half), -self.mirrored.lower(half))
        below = min(self.mirrored.upper(half), -self.apart.lower(half))
        return max(above, below)

    def scaled(self, factor: float) -> Nearer:
        """Both with as many times the samples."""
        return Nearer(self.apart.scaled(factor), self.mirrored.scaled(factor))
