"""Distances of two samples of numbers that are sorted already: exact, in time linear in their rows."""

from __future__ import annotations

from .arrays import Floats, np

__all__ = ["largest_gap", "moved"]


def largest_gap(first: Floats, second: Floats) -> float:
    """Kolmogorov and Smirnov's D = max |F − G| of two sorted samples, ties included; scipy `ks_2samp`."""
    n, m = first.size, second.size
    upto = np.searchsorted(first, second, side="right") / n
    before = np.searchsorted(first, second, side="left") / n
    steps = np.arange(m + 1) / m
    # G jumps at each value of the second sample, and F only moves between: its extremes lie at their ends. Among equal
    # values the last has the true G and the first the true G before, and the others lie between these.
    last = np.concatenate([second[1:] != second[:-1], [True]])
    new = np.concatenate([[True], second[1:] != second[:-1]])
    at = np.abs(upto[last] - steps[1:][last]).max()
    left = np.abs(before[new] - steps[:-1][new]).max()
    return float(max(at, left, 1 - upto[-1]))


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
