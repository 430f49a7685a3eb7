"""Bounded summaries of names without end: which new ones are frequent, and how many distinct ones there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .groups import name_codes

__all__ = ["Hashes", "distinct_estimate", "frequent", "smallest_hashes"]

Hashes: TypeAlias = NDArray[np.uint64]


def frequent(counts: Mapping[str, int], more: Mapping[str, int], size: int) -> dict[str, int]:
    """The sum of two counters, cut to `size` names by Misra and Gries.

    No count is too high, and each too low by at most (all that was ever counted)/(size + 1); exact as long as there
    are no more than `size` names.

    Source: Agarwal et al. 2012, Mergeable summaries, section 2.
    """
    both = dict(counts)
    for name, n in more.items():
        both[name] = both.get(name, 0) + n
    if len(both) <= size:
        return both
    cut = sorted(both.values(), reverse=True)[size]
    return {name: n - cut for name, n in both.items() if n > cut}


def smallest_hashes(hashes: Hashes, names: Iterable[str], size: int) -> Hashes:
    """The `size` smallest distinct 64-bit hashes of what was kept and of `names`, sorted (as uint64)."""
    new = name_codes(names).astype(np.uint64)
    found: Hashes = np.unique(np.concatenate([hashes, new]))[:size]
    return found


def distinct_estimate(hashes: Hashes, size: int) -> float:
    """How many distinct names there were: (size − 1)/(the largest hash kept, as a share of all hashes).

    Exact below `size`; its relative standard error is 1/sqrt(size − 2). Source: Bar-Yossef et al. 2002; Beyer et al.
    2007 for the unbiased form.
    """
    if hashes.size < size:
        return float(hashes.size)
    return (size - 1) / (float(hashes[-1]) / 2.0**64)
