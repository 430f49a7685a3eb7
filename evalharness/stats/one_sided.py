"""One-sided tests of a figure against a limit, each with the bounds that are its inversion.

A gate asks "is the figure at least L?". Each class here answers with the p-value of "it is not", and with the bound
that the same test gives: `at_least(L) <= alpha` exactly where `lower(alpha) >= L`; so too `at_most` and `upper`. What
two-sided intervals get right on the average of both sides, a release decision needs on its one side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from .beta import beta_probability
from .tails import normal_probability, normal_quantile, t_probability, t_quantile

__all__ = [
    "ClusteredProportion",
    "Envelope",
    "Infinite",
    "LessCertain",
    "MostlyOne",
    "OneSided",
    "Proportion",
    "Scaled",
    "SkewedMean",
    "Within",
    "bisected",
    "power_of_share",
    "proportion_lower",
]


class OneSided(Protocol):
    """A figure's evidence for one side at a time."""

    def at_least(self, limit: float) -> float:
        """The p-value of "the figure is below `limit`": small where it is at least that."""
        ...

    def at_most(self, limit: float) -> float:
        """The p-value of "the figure is above `limit`"."""
        ...

    def lower(self, alpha: float) -> float:
        """The lower bound at level 1 − alpha: the largest limit whose `at_least` is no more than alpha."""
        ...

    def upper(self, alpha: float) -> float:
        """The upper bound at level 1 − alpha."""
        ...

    def scaled(self, factor: float) -> OneSided:
        """What `factor` times as many samples would say, if they came in the same shares."""
        ...


def bisected(holds: Callable[[float], bool], inside: float, outside: float, *, steps: int = 60) -> float:
    """The point between `inside`, where `holds`, and `outside`, where it does not, up to which it holds."""
    for _ in range(steps):
        middle = (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


def proportion_lower(successes: float, n: float, alpha: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a proportion: P(X ≥ successes) = alpha there; 0 for none."""
    if successes <= 0:
        return 0.0
    return bisected(lambda p: beta_probability(p, successes, n - successes + 1) <= alpha, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Infinite:
    """Nothing is known: no limit is excluded on either side."""

    def at_least(self, limit: float) -> float:
        """1."""
        return 0.0 if limit == -math.inf else 1.0

    def at_most(self, limit: float) -> float:
        """1."""
        return 0.0 if limit == math.inf else 1.0

    def lower(self, alpha: float) -> float:
        """Minus infinity."""
        return -math.inf

    def upper(self, alpha: float) -> float:
        """Infinity."""
        return math.inf

    def scaled(self, factor: float) -> Infinite:
        """The same."""
        return self


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of `n` independent 0/1 answers: the exact binomial test.

        at_least(L) = P(X ≥ successes | n, L) = I_L(successes, n − successes + 1)

    Its bounds are Clopper and Pearson's, one-sided. Error never exceeds alpha, for any n and share; no test that does
    not toss a coin and keeps its error at every share decides more. Source: Clopper and Pearson 1934; agrees with
    `scipy.stats.binomtest`.
    """

    successes: float
    n: float

    def at_least(self, limit: float) -> float:
        """P(X ≥ successes) at the share `limit`."""
        if limit <= 0:
            return 0.0
        if limit > 1 or self.successes <= 0:
            return 1.0
        return beta_probability(limit, self.successes, self.n - self.successes + 1)

    def at_most(self, limit: float) -> float:
        """P(X ≤ successes) at the share `limit`."""
        return Proportion(self.n - self.successes, self.n).at_least(1 - limit)

    def lower(self, alpha: float) -> float:
        """Clopper and Pearson's lower bound."""
        return proportion_lower(self.successes, self.n, alpha)

    def upper(self, alpha: float) -> float:
        """Clopper and Pearson's upper bound."""
        return 1 - proportion_lower(self.n - self.successes, self.n, alpha)

    def scaled(self, factor: float) -> Proportion:
        """Counts times `factor`, rounded."""
        n = round(self.n * factor)
        return Proportion(round(self.successes / self.n * n), n)


def power_of_share(n: int, truth: float, limit: float, *, alpha: float = 0.05) -> float:
    """The chance that `n` answers, right with the probability `truth`, show by the exact test a share at `limit`.

    That it is at least the limit where the truth lies above, at most where it lies below. Counts are whole, so that
    this is up to a few points less than the normal approximation says (`stats.power.power_of_proportion`).
    """
    if truth < limit:
        truth, limit = 1 - truth, 1 - limit
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if Proportion(middle, n).at_least(limit) <= alpha else (middle, high)
    return Proportion(high, n).at_least(truth) if Proportion(high, n).at_least(limit) <= alpha else 0.0


@dataclass(frozen=True, slots=True)
class ClusteredProportion:
    """A share of 0/1 answers in clusters, at the effective sample size: the less certain of two tests.

    The exact binomial test of `share` in `n_effective` answers, and the score test with Student's t of `n_telling`
    degrees of freedom: the first holds where few answers are wrong, the second where few clusters tell the spread.
    `n_telling` counts the clusters that have an answer of the rarer kind (at most C − 1): of 20 clusters of which one
    has a single wrong answer, all that is known of how wrong answers gather is that one. Source of the effective size:
    Korn and Graubard 1998 (see `stats.intervals.cluster_wilson`).
    """

    share: float
    n_effective: float
    n_telling: float

    def _exact(self) -> Proportion:
        return Proportion(self.share * self.n_effective, self.n_effective)

    def at_least(self, limit: float) -> float:
        """The larger p-value of the two tests."""
        if limit <= 0:
            return 0.0
        if limit >= 1:
            return 1.0
        score = (self.share - limit) / math.sqrt(limit * (1 - limit) / self.n_effective)
        return max(self._exact().at_least(limit), t_probability(-score, max(self.n_telling, 1)))

    def at_most(self, limit: float) -> float:
        """As `at_least`, of the share of the others."""
        return self._mirrored().at_least(1 - limit)

    def lower(self, alpha: float) -> float:
        """The lower bound of the two tests."""
        t, n = t_quantile(1 - alpha, max(self.n_telling, 1)), self.n_effective
        half = t * math.sqrt(self.share * (1 - self.share) / n + t * t / (4 * n * n))
        score = (self.share + t * t / (2 * n) - half) / (1 + t * t / n) if self.share > 0 else 0.0
        return max(min(score, self._exact().lower(alpha)), 0.0)

    def upper(self, alpha: float) -> float:
        """As `lower`, of the share of the others."""
        return 1 - self._mirrored().lower(alpha)

    def _mirrored(self) -> ClusteredProportion:
        return replace(self, share=1 - self.share)

    def scaled(self, factor: float) -> ClusteredProportion:
        """More clusters of the same kind."""
        return replace(self, n_effective=self.n_effective * factor, n_telling=self.n_telling * factor)


@dataclass(frozen=True, slots=True)
class SkewedMean:
    """A mean of `n` independent units (samples, or clusters) whose standard error is `error` and skewness `skew`.

    The less certain of Student's t test and Hall's transformed one, which mends what skewness does to t:

        T = (mean − L)/error,  T' = √n·((1 + γT/3√n)³ − 1)/γ + γ/(6√n),  p = P(t(n − 1) > min(T, T'))

    t alone errs by about γ(2z² + 1)φ(z)/6√n on the side of the long tail (7 % instead of 5 % for n = 30, γ = 1).
    Taking the less certain one keeps what t has where the skewness of a small sample is mostly noise. Source: Hall
    1992, "On the removal of skewness by transformation" (J R Stat Soc B 54:221); Zhou and Gao 2000 (Am Stat 54:100)
    compare one-sided intervals.
    """

    mean: float
    error: float
    skew: float
    n: float
    freedom: float | None = None
    """Of t, where clusters of different sizes leave fewer than n − 1 degrees of freedom."""

    def at_least(self, limit: float) -> float:
        """The larger p-value of t and of Hall's transformation."""
        if limit == -math.inf:
            return 0.0
        t = (self.mean - limit) / self.error
        return t_probability(-min(t, self._transformed(t)), self._freedom)

    def at_most(self, limit: float) -> float:
        """As `at_least`, of the mirrored values."""
        return self._mirrored().at_least(-limit)

    def lower(self, alpha: float) -> float:
        """The lower one of both tests' bounds."""
        t = t_quantile(1 - alpha, self._freedom)
        return self.mean - self.error * max(t, self._restored(t))

    def upper(self, alpha: float) -> float:
        """As `lower`, of the mirrored values."""
        return -self._mirrored().lower(alpha)

    def scaled(self, factor: float) -> SkewedMean:
        """The standard error shrinks by the square root of `factor`."""
        freedom = None if self.freedom is None else self.freedom * factor
        return replace(self, error=self.error / math.sqrt(factor), n=self.n * factor, freedom=freedom)

    @property
    def _freedom(self) -> float:
        return max(self.n - 1 if self.freedom is None else self.freedom, 1.0)

    def _mirrored(self) -> SkewedMean:
        return replace(self, mean=-self.mean, skew=-self.skew)

    def _transformed(self, t: float) -> float:
        root, skew = math.sqrt(self.n), self.skew
        if abs(skew) < 1e-9:
            return t
        return root * ((1 + skew * t / (3 * root)) ** 3 - 1) / skew + skew / (6 * root)

    def _restored(self, t: float) -> float:
        root, skew = math.sqrt(self.n), self.skew
        if abs(skew) < 1e-9:
            return t
        return 3 * root / skew * (math.cbrt(1 + skew * (t / root - skew / (6 * self.n))) - 1)


@dataclass(frozen=True, slots=True)
class MostlyOne:
    """A mean of values within [`worst`, `best`] of which all but a few are `mode`: what may lie unseen decides.

        mean ≥ mode − (mode − worst)·P(value < mode),  so  at_least(L) = P(X ≤ n_below | n, (mode − L)/(mode − worst))

    No spread can be learnt from so few that differ, and none at all from values that are all equal, where every other
    interval has no width. This one is exact in the binomial count and takes the worst for each value that differs, so
    that its error never exceeds alpha: ten identical pairs of a metric within [0, 1] exclude a loss of 0.26, no less.
    With `few` values that differ, or more, the test `beyond` would be made instead.
    """

    mode: float
    worst: float
    best: float
    n_below: float
    n_above: float
    n: float
    few: float = math.inf
    beyond: OneSided | None = None

    def at_least(self, limit: float) -> float:
        """The p-value of "so many lie below the mode that the mean is below `limit`"."""
        if limit <= self.worst:
            return 0.0
        if limit >= self.mode:
            return 1.0
        share = (self.mode - limit) / (self.mode - self.worst) if math.isfinite(self.worst) else 0.0
        return Proportion(self.n_below, self.n).at_most(share)

    def at_most(self, limit: float) -> float:
        """As `at_least`, of the mirrored values."""
        return self._mirrored().at_least(-limit)

    def lower(self, alpha: float) -> float:
        """The mode less all that those below it may be away."""
        if self.worst == self.mode:
            return self.mode
        return self.mode - (self.mode - self.worst) * Proportion(self.n_below, self.n).upper(alpha)

    def upper(self, alpha: float) -> float:
        """As `lower`, of the mirrored values."""
        return -self._mirrored().lower(alpha)

    def scaled(self, factor: float) -> OneSided:
        """Counts times `factor`, rounded; where `few` values differ in four of five such draws, what `beyond` says."""
        below, above, n = (round(count * factor) for count in (self.n_below, self.n_above, self.n))
        # Of as many as are expected anew, a Poisson count, 80 % of draws have these or more.
        fresh = (self.n_below + self.n_above) * max(factor - 1, 0.0)
        likely = self.n_below + self.n_above + fresh - 0.84 * math.sqrt(fresh)
        if self.beyond is not None and likely >= self.few:
            return self.beyond.scaled(factor)
        return replace(self, n_below=below, n_above=above, n=n)

    def _mirrored(self) -> MostlyOne:
        return MostlyOne(-self.mode, -self.best, -self.worst, self.n_above, self.n_below, self.n)


@dataclass(frozen=True, slots=True)
class Scaled:
    """What bounds of another origin would say of more samples: a normal figure whose sides have their own error.

    Stands for intervals that cannot be had anew (of a record, whose rows are not there) and for those of resampling,
    where the question is how many samples would settle it.
    """

    value: float
    error_below: float
    error_above: float

    def at_least(self, limit: float) -> float:
        """P(Z > (value − limit)/error)."""
        return _normal_tail(self.value - limit, self.error_below)

    def at_most(self, limit: float) -> float:
        """P(Z > (limit − value)/error)."""
        return _normal_tail(limit - self.value, self.error_above)

    def lower(self, alpha: float) -> float:
        """The value less z errors."""
        return self.value - normal_quantile(1 - alpha) * self.error_below

    def upper(self, alpha: float) -> float:
        """The value and z errors."""
        return self.value + normal_quantile(1 - alpha) * self.error_above

    def scaled(self, factor: float) -> Scaled:
        """Errors shrink by the square root of `factor`."""
        root = math.sqrt(factor)
        return replace(self, error_below=self.error_below / root, error_above=self.error_above / root)


@dataclass(frozen=True, slots=True)
class Within:
    """A figure that lies within [`low`, `high`] by its definition, whatever a test would say of it."""

    kernel: OneSided
    low: float
    high: float

    def at_least(self, limit: float) -> float:
        """0 for what every value fulfils."""
        return 0.0 if limit <= self.low else self.kernel.at_least(limit)

    def at_most(self, limit: float) -> float:
        """0 for what every value fulfils."""
        return 0.0 if limit >= self.high else self.kernel.at_most(limit)

    def lower(self, alpha: float) -> float:
        """No lower than `low`."""
        return max(self.kernel.lower(alpha), self.low)

    def upper(self, alpha: float) -> float:
        """No higher than `high`."""
        return min(self.kernel.upper(alpha), self.high)

    def scaled(self, factor: float) -> Within:
        """The same bounds."""
        return replace(self, kernel=self.kernel.scaled(factor))


@dataclass(frozen=True, slots=True)
class LessCertain:
    """Of two tests of one figure on each side the one that says less: its error is that of the better one."""

    one: OneSided
    other: OneSided

    def at_least(self, limit: float) -> float:
        """The larger p-value."""
        return max(self.one.at_least(limit), self.other.at_least(limit))

    def at_most(self, limit: float) -> float:
        """The larger p-value."""
        return max(self.one.at_most(limit), self.other.at_most(limit))

    def lower(self, alpha: float) -> float:
        """The lower bound of the two."""
        return min(self.one.lower(alpha), self.other.lower(alpha))

    def upper(self, alpha: float) -> float:
        """The upper bound of the two."""
        return max(self.one.upper(alpha), self.other.upper(alpha))

    def scaled(self, factor: float) -> LessCertain:
        """Both."""
        return LessCertain(self.one.scaled(factor), self.other.scaled(factor))


@dataclass(frozen=True, slots=True)
class Envelope:
    """What holds whatever missing values are: the lower side of `low`, which has their worst, the upper of `high`."""

    low: OneSided
    high: OneSided

    def at_least(self, limit: float) -> float:
        """That of the worst case."""
        return self.low.at_least(limit)

    def at_most(self, limit: float) -> float:
        """That of the best case."""
        return self.high.at_most(limit)

    def lower(self, alpha: float) -> float:
        """That of the worst case."""
        return self.low.lower(alpha)

    def upper(self, alpha: float) -> float:
        """That of the best case."""
        return self.high.upper(alpha)

    def scaled(self, factor: float) -> Envelope:
        """Both, with as large a share missing."""
        return Envelope(self.low.scaled(factor), self.high.scaled(factor))


def _normal_tail(gap: float, error: float) -> float:
    # No width is no evidence.
    if not error > 0 or not math.isfinite(error):
        return 1.0
    return normal_probability(-gap / error) if math.isfinite(gap) else (0.0 if gap > 0 else 1.0)
