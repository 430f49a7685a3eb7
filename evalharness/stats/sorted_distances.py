"""Distances of two samples of numbers that are sorted already: exact, in time linear in their rows."""

from __future__ import annotations

from .arrays import Floats, np

__all__ = ["largest_gap", "moved"]

# Rows that are looked at together: a whole window of them would take eighty bytes a row.
_BLOCK = 1 << 16


def largest_gap(first: Floats, second: Floats) -> float:
    """Kolmogorov and Smirnov's D = max |F − G| of two sorted samples, ties included; scipy `ks_2samp`."""
    n, m = first.size, second.size
    found = 0.0
    for start in range(0, m, _BLOCK):
        block = second[start : start + _BLOCK]
        upto = np.searchsorted(first, block, side="right") / n
        before = np.searchsorted(first, block, side="left") / n
        steps = np.arange(start, start + block.size + 1) / m
        # G jumps at each value of the second sample, and F only moves between: its extremes lie at their ends. Among
        # equal values the last has the true G and the first the true G before, and the others lie between these.
        after, earlier = second[start + 1 : start + 1 + _BLOCK], second[max(start - 1, 0) : start + block.size - 1]
        last, new = np.ones(block.size, dtype=bool), np.ones(block.size, dtype=bool)
        last[: after.size] = block[: after.size] != after
        new[block.size - earlier.size :] = block[block.size - earlier.size :] != earlier
        at = np.abs(upto[last] - steps[1:][last]).max(initial=0.0)
        left = np.abs(before[new] - steps[:-1][new]).max(initial=0.0)
        found = max(found, float(at), float(left))
    return max(found, 1.0 - float(np.searchsorted(first, second[-1], side="right")) / n)


def moved(first: Floats, second: Floats) -> float:
    """W₁ = ∫ |F − G| of two sorted samples: how far a row moves in the mean; scipy `wasserstein_distance`."""
    n, m = first.size, second.size
    if n == m:
        return float(np.abs(first - second).mean())
    values = np.sort(np.concatenate([first, second]), kind="stable")
    steps = np.diff(values)
    gaps = (
        np.searchsorted(first, values[:-1], side="right") / n - np.searchsorted(second, values[:-1], side="right") / m
    )
    return float(np.abs(gaps) @ steps)
