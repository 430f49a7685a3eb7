"""Which of G random groups a cluster, a text or a vector falls into: by its content, so that chunks agree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from ..stats.arrays import Floats, Ints

__all__ = ["group_of", "name_codes", "row_codes", "text_codes"]


def group_of(codes: Ints, groups: int) -> Ints:
    """(n,) a group in 0 … groups − 1 for each code: its bits mixed (splitmix64), so that no order of codes shows."""
    x = np.asarray(codes).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Ints = ((x ^ (x >> np.uint64(31))) % np.uint64(groups)).astype(np.int64)
    return mixed


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def name_codes(names: Iterable[str]) -> Ints:
    """(m,) 64 bits of the hash of each name, the same in every process and chunk."""
    return np.fromiter((_hash(name) for name in names), dtype=np.uint64).astype(np.int64)


text_codes = name_codes


def row_codes(values: Floats) -> Ints:
    """(n,) a code of each row (n, d) by its bits: equal rows have equal codes."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    odd = np.random.default_rng(0).integers(0, 2**63, bits.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    found: Ints = (bits * odd).sum(axis=1, dtype=np.uint64).astype(np.int64)
    return found
