"""Which names came before, in 16 bytes of memory each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Keys = NDArray[np.bytes_]

__all__ = ["Seen"]

_BYTES = 15  # 120 bits of a digest tell any number of names apart


class Seen:
    """The names of a stream, kept as sorted runs of digests.

    A run is merged with the one before it as soon as it is as long: n names make log2(n) runs at most, each name is
    moved log2(n) times, and memory is 16 bytes a name, 32 while the longest runs are merged.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, names: Sequence[str]) -> list[bool]:
        """Whether each of `names` is new: not among those that were added before, nor earlier in `names`."""
        import numpy as np

        if not names:
            return []
        packed = np.array([_packed(name) for name in names], dtype=f"S{_BYTES + 1}")
        fresh, first = np.unique(packed, return_index=True)
        known = np.zeros(len(fresh), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, fresh), len(run) - 1)
            known |= run[at] == fresh
        new = np.zeros(len(names), dtype=bool)
        new[first[~known]] = True
        self._append(fresh[~known])
        answer: list[bool] = new.tolist()
        return answer

    def _append(self, run: Keys) -> None:
        import numpy as np

        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort()
        self._runs.append(run)


def _packed(name: str) -> bytes:
    # NumPy takes zeros at the end for nothing: there is none.
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest() + b"\1"
