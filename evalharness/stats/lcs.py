"""Longest common subsequences, bit-parallel: one machine word step where the table has a row.

Column j of the table t[i][j] (length of the LCS of a[:i] and b[:j]) is kept as the bits of one integer: bit i−1 is 0
where t[i][j] = t[i−1][j] + 1 (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

__all__ = ["lcs_indices", "lcs_length", "lcs_union"]


def _masks(sequence: Sequence[Hashable]) -> dict[Hashable, int]:
    masks: dict[Hashable, int] = {}
    bit = 1
    for item in sequence:
        masks[item] = masks.get(item, 0) | bit
        bit <<= 1
    return masks


def lcs_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence; 0 where either is empty."""
    masks = _masks(first)
    full = (1 << len(first)) - 1
    column = full
    for item in second:
        mask = masks.get(item)
        if mask is not None:
            matched = column & mask
            column = (column + matched) | (column - matched)
    return len(first) - (column & full).bit_count()


def lcs_indices(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[int]:
    """Ascending indices into `first` of one longest common subsequence: the one that rouge-score picks."""
    return lcs_union(first, [second])


def lcs_union(first: Sequence[Hashable], others: Iterable[Sequence[Hashable]]) -> list[int]:
    """Ascending indices into `first` that are in its longest common subsequence with any of `others`: see `_walked`."""
    masks, n = _masks(first), len(first)
    union = 0
    for other in others:
        union |= _walked(masks, n, other)
    return [i for i in range(n) if union >> i & 1]


def _walked(masks: dict[Hashable, int], n: int, second: Sequence[Hashable]) -> int:
    """The bits of the subsequence that rouge-score picks, of a first sequence of `n` items with these `masks`.

    It walks back from the ends: a match is taken; else the step goes along `second` where t[i][j−1] > t[i−1][j], and
    along `first` otherwise. Without a match t[i][j] = max(t[i][j−1], t[i−1][j]), so that condition is
    t[i][j] > t[i−1][j], which is a stored bit of 0: the table itself is not needed. In column j the walk goes down to
    the next match or 0 at once, the highest bit that is left of both.
    """
    column = (1 << n) - 1
    steps: list[tuple[int, int]] = []
    is_match = True
    for item in second:
        mask = masks.get(item)
        if mask is not None:
            matched = column & mask
            column = (column + matched) | (column - matched)
            steps.append((mask, mask | ~column))
        elif is_match:
            # Of a run of columns without a match the first stops the walk where all others would.
            steps.append((0, ~column))
        is_match = mask is not None
    found, below = 0, (1 << n) - 1
    for mask, stops in reversed(steps):
        left = stops & below
        if not left:
            break
        bit = 1 << (left.bit_length() - 1)
        if bit & mask:
            found |= bit
            below = bit - 1
        else:
            below = 2 * bit - 1
    return found
