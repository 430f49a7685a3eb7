"""The one-sided test of a difference of two paired proportions against a margin, exact in the two counts.

Of n pairs, G are right only in the first run and L only in the second; the difference is (G − L)/n. The score
statistic (Tango 1998) orders what could have been seen, and its tail is summed over the trinomial distribution of (G,
L), since the normal approximation errs where few pairs differ: at n = 135 no loss at all would "show" that less than
2 % are lost, which happens with a chance of 6.5 % where exactly 2 % are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .arrays import Floats, np
from .one_sided import bisected
from .tails import normal_probability, normal_quantile

__all__ = ["MANY", "PairedProportions", "power_of_pairs", "restricted_share", "score_of_margin", "trinomial"]

# From so many differing pairs on, what the normal tail of the score leaves out is below a tenth of its p-value's noise.
MANY = 1_000
_REACH = 8.0
_SLACK = 1e-9


def restricted_share(gains: Any, losses: Any, n: float, margin: float) -> Any:
    """The likeliest share of losses where shares of gains and losses differ by `margin`; scalars or arrays.

    The larger root of 2n·q² + ((2n − G + L)·δ − G − L)·q − L·δ(1 − δ) = 0. Source: Tango, Statistics in Medicine 17
    (1998) 891-908.
    """
    half = (2 * n - gains + losses) * margin - gains - losses
    return (np.sqrt(np.maximum(half * half + 8 * n * losses * margin * (1 - margin), 0.0)) - half) / (4 * n)


def score_of_margin(gains: Any, losses: Any, n: float, margin: float) -> Any:
    """How far (G − L)/n lies above `margin`, in standard errors where `margin` is the truth; scalars or arrays."""
    share = restricted_share(gains, losses, n, margin)
    variance = n * (2 * share + margin * (1 - margin))
    gap = gains - losses - n * margin
    with np.errstate(divide="ignore", invalid="ignore"):
        found = gap / np.sqrt(np.maximum(variance, 0.0))
    return np.where(variance > 0, found, np.where(np.abs(gap) < _SLACK, 0.0, np.copysign(np.inf, gap)))


@dataclass(frozen=True, slots=True)
class PairedProportions:
    """`gains` and `losses` of `n` pairs; the figure is (gains − losses)/n.

        at_least(δ) = P(score(G, L; δ) ≥ score seen),  (G, L, rest) ~ trinomial(n; q̂ + δ, q̂, rest)

    with q̂ the likeliest share of losses where the difference is δ. From 1,000 differing pairs on, the score's normal
    tail stands for the sum. Source: Lloyd and Moldovan 2008 (Stat Med 27:3540), who call it the estimated exact
    p-value; its error keeps to alpha where the asymptotic test's does not (`benchmarks/gate_error.py`).
    """

    gains: float
    losses: float
    n: float

    def at_least(self, limit: float) -> float:
        """The p-value of "the first run is better by less than `limit`"."""
        if limit <= -1:
            return 0.0
        if limit >= 1:
            return 1.0
        return _p_value(round(self.gains), round(self.losses), round(self.n), float(limit))

    def at_most(self, limit: float) -> float:
        """The p-value of "the first run is better by more than `limit`"."""
        return self._mirrored().at_least(-limit)

    def lower(self, alpha: float) -> float:
        """The largest difference that `at_least` shows at level 1 − alpha."""
        point = (self.gains - self.losses) / self.n
        return bisected(lambda limit: self.at_least(limit) <= alpha, -1.0, point, steps=34)

    def upper(self, alpha: float) -> float:
        """As `lower`, with the runs exchanged."""
        return -self._mirrored().lower(alpha)

    def scaled(self, factor: float) -> PairedProportions:
        """Counts times `factor`, rounded."""
        return PairedProportions(
            round(self.gains * factor), round(self.losses * factor), max(round(self.n * factor), 1)
        )

    def _mirrored(self) -> PairedProportions:
        return PairedProportions(self.losses, self.gains, self.n)


def power_of_pairs(
    n: float, margin: float, discordance: float, *, alpha: float = 0.05, difference: float = 0.0
) -> float:
    """The share of tests of `n` pairs that show a difference above −margin, where it truly is `difference`.

        Φ((√n·(margin + difference) − z_{1−α}·√V₀)/√V₁),  V₁ = discordance − difference²

    with V₀ the variance that the test assumes: that of the likeliest shares whose difference is −margin. Where few
    pairs differ it is the larger one: planning with V₁ alone (`stats.power.pairs_for_margin`) promises 80 % where 2 %
    differ and the margin is 1 point, and no test that keeps its error has more than 76 %.
    """
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    share = float(restricted_share(gain, loss, 1.0, -margin))
    null = 2 * share - margin * (1 + margin)
    spread = math.sqrt(max(discordance - difference**2, 0.0))
    reach = math.sqrt(n) * (margin + difference) - normal_quantile(1 - alpha) * math.sqrt(max(null, 0.0))
    return normal_probability(reach / spread) if spread > 0 else float(reach > 0)


@lru_cache(maxsize=4096)
def _p_value(gains: int, losses: int, n: int, margin: float) -> float:
    seen = float(score_of_margin(gains, losses, n, margin))
    if gains + losses > MANY:
        return normal_probability(-seen)
    share = float(restricted_share(gains, losses, n, margin))
    share = min(max(share, 0.0, -margin), max((1 - margin) / 2, 0.0))
    return _tail(seen, n, margin, share)


def _tail(seen: float, n: int, margin: float, share: float) -> float:
    """P(score ≥ seen) where gains have the probability `share` + `margin` and losses `share`."""
    gain, loss = min(max(share + margin, 0.0), 1.0), share
    gains, losses = _likely(n, gain)[:, None], _likely(n, loss)[None, :]
    chance = trinomial(gains, losses, n, gain, loss)
    score = score_of_margin(gains, losses, n, margin)
    return float(min(chance[score >= seen - _SLACK].sum(), 1.0))


def _likely(n: int, probability: float) -> Floats:
    """The counts that a binomial has at all, but for a chance of 1e-12 or so."""
    mean = n * probability
    reach = _REACH * math.sqrt(mean * (1 - probability)) + (_REACH + 4 if probability > 0 else 0)
    return np.arange(max(0, math.floor(mean - reach)), min(n, math.ceil(mean + reach)) + 1, dtype=np.float64)


def trinomial(gains: Floats, losses: Floats, n: int, gain: float, loss: float) -> Floats:
    """The chance of each pair of counts among `n`, whose single chances are `gain` and `loss`; 0 for more than n."""
    rest = n - gains - losses
    stay = max(1 - gain - loss, 0.0)
    logs = _log_factorials(n)
    possible = rest >= 0
    index = np.where(possible, rest, 0).astype(np.int64)
    total = logs[n] - logs[gains.astype(np.int64)] - logs[losses.astype(np.int64)] - logs[index]
    for count, probability in ((gains, gain), (losses, loss), (np.where(possible, rest, 0.0), stay)):
        total = total + (np.where(count == 0, 0.0, -np.inf) if probability <= 0 else count * math.log(probability))
    return np.where(possible, np.exp(total), 0.0)


@lru_cache(maxsize=4)
def _log_factorials(n: int) -> Floats:
    found = np.zeros(n + 1)
    np.cumsum(np.log(np.arange(1, n + 1, dtype=np.float64)), out=found[1:])
    return found
