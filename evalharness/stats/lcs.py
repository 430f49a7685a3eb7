"""Longest common subsequences, bit-parallel: one machine word step where the table has a row.

Column j of the table t[i][j] (length of the LCS of a[:i] and b[:j]) is kept as the bits of one integer: bit i−1 is 0
where t[i][j] = t[i−1][j] + 1 (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["lcs_indices", "lcs_length"]


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
    """Ascending indices into `first` of one longest common subsequence: the one that rouge-score picks.

    It walks back from the ends: a match is taken; else the step goes along `second` where t[i][j−1] > t[i−1][j], and
    along `first` otherwise. Without a match t[i][j] = max(t[i][j−1], t[i−1][j]), so that condition is
    t[i][j] > t[i−1][j], which is the stored bit: the table itself is not needed.
    """
    masks = _masks(first)
    column = (1 << len(first)) - 1
    columns: list[int] = []
    for item in second:
        mask = masks.get(item)
        if mask is not None:
            matched = column & mask
            column = (column + matched) | (column - matched)
        columns.append(column)
    i, j = len(first), len(second)
    indices: list[int] = []
    while i and j:
        if first[i - 1] == second[j - 1]:
            i -= 1
            j -= 1
            indices.append(i)
        elif not (columns[j - 1] >> (i - 1)) & 1:
            j -= 1
        else:
            i -= 1
    indices.reverse()
    return indices
