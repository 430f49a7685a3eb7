"""The power of the exact paired test: how likely the counts of gains and losses are that it lets pass.

What passes is found first, for each number of losses the fewest gains with which the very test of `paired_exact` shows
that no more than the margin is lost; then the chance of such counts is summed over the trinomial distribution. Where
few pairs differ, this is up to 10 points from every normal formula, since counts are whole and their tails are skewed.
"""

from __future__ import annotations

import math
from functools import lru_cache

from .arrays import Ints, np
from .paired_exact import PairedProportions, power_of_pairs, score_of_margin, trinomial
from .tails import normal_quantile

__all__ = ["fewest_gains", "power_of_exact_pairs"]

# Of more pairs that differ the test is next to that of the normal tail, and of many more its power that of the formula.
_EXACT, _COUNTED = 100, 4_000
# Between so many numbers of losses, what the exact tail adds to the normal one is interpolated.
_NODES = 24
_REACH = 5.0


def power_of_exact_pairs(
    n: int,
    margin: float,
    discordance: float,
    *,
    alpha: float = 0.05,
    difference: float = 0.0,
    both: bool = False,
) -> float:
    """The share of tests of `n` pairs that show a difference above −margin, where it truly is `difference`.

    `discordance` is the share of pairs that differ. `both`: that show a difference within ±margin.
    """
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    if n * discordance > _COUNTED:
        power = power_of_pairs(n, margin, discordance, alpha=alpha, difference=difference)
        if not both:
            return power
        return max(power + power_of_pairs(n, margin, discordance, alpha=alpha, difference=-difference) - 1, 0.0)
    gains, losses = _counts(n, gain), _counts(n, loss)
    passing = gains[:, None] >= fewest_gains(n, margin, alpha, int(losses[0]), int(losses[-1]))[None, :]
    if both:
        passing &= losses[None, :] >= fewest_gains(n, margin, alpha, int(gains[0]), int(gains[-1]))[:, None]
    chance = trinomial(gains[:, None].astype(np.float64), losses[None, :].astype(np.float64), n, gain, loss)
    return float(min(chance[passing].sum(), 1.0))


def fewest_gains(n: int, margin: float, alpha: float, first: int, last: int) -> Ints:
    """(last − first + 1,) for each number of losses the fewest gains of `n` pairs that pass at `alpha`; n + 1 for none.

    Passing is `PairedProportions(gains, losses, n).at_least(-margin) <= alpha`.
    """
    losses = np.arange(first, last + 1, dtype=np.int64)
    guessed = _by_score(n, margin, alpha, losses)
    if last > _EXACT:
        return guessed
    nodes = np.unique(np.linspace(0, len(losses) - 1, min(_NODES, len(losses))).round().astype(np.int64))
    exact = [_exactly(n, margin, alpha, int(losses[i]), int(guessed[i])) for i in nodes]
    added = np.interp(np.arange(len(losses)), nodes, np.array(exact) - guessed[nodes])
    return np.minimum(guessed + np.round(added).astype(np.int64), n + 1)


def _by_score(n: int, margin: float, alpha: float, losses: Ints) -> Ints:
    """As `fewest_gains`, by the normal tail of the score."""
    least = normal_quantile(1 - alpha)
    low, high = np.full(len(losses), -1), n - losses + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        shown = score_of_margin(np.maximum(middle, 0).astype(np.float64), losses.astype(np.float64), n, -margin)
        reached = (shown >= least) & (middle >= 0)
        wide = high - low > 1
        low, high = np.where(wide & ~reached, middle, low), np.where(wide & reached, middle, high)
    return np.where(high > n - losses, n + 1, high).astype(np.int64)


@lru_cache(maxsize=20_000)
def _exactly(n: int, margin: float, alpha: float, losses: int, guess: int) -> int:
    def passes(gains: int) -> bool:
        return PairedProportions(gains, losses, n).at_least(-margin) <= alpha

    gains = min(guess, n - losses)
    if passes(gains):
        while gains > 0 and passes(gains - 1):
            gains -= 1
        return gains
    while gains < n - losses:
        gains += 1
        if passes(gains):
            return gains
    return n + 1


def _counts(n: int, probability: float) -> Ints:
    """The counts that a binomial has but for a chance of some 1e-6."""
    mean, reach = n * probability, _REACH * math.sqrt(n * probability * (1 - probability))
    slack = 4 if probability > 0 else 0
    return np.arange(
        max(0, math.floor(mean - reach - slack)), min(n, math.ceil(mean + reach + slack)) + 1, dtype=np.int64
    )
