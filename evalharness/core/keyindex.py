"""Numbers for many keys, in 24 bytes of memory each."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["KeyIndex"]

_BYTES = 15  # of the sha256 of a key: 120 bits tell any number of keys apart


class KeyIndex:
    """Numbers the different ones of `keys` 0, 1, … in no order of note.

    `first` are the places of the first of each kind among `keys`, ascending; `number_of[place]` is a key's number.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        import numpy as np

        packed = np.fromiter(map(_packed, keys), dtype=f"S{_BYTES + 1}")
        self._keys, first, numbers = np.unique(packed, return_index=True, return_inverse=True)
        self.first: NDArray[np.int32] = np.sort(first).astype(np.int32)
        self.number_of: NDArray[np.int32] = numbers.astype(np.int32)

    def __len__(self) -> int:
        return len(self._keys)

    def numbers(self, keys: Sequence[str]) -> Ints:
        """The number of each of `keys`, -1 for one that is not known."""
        import numpy as np

        wanted = np.array(list(map(_packed, keys)), dtype=self._keys.dtype)
        if not len(self._keys):
            return np.full(len(wanted), -1)
        found = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[found] == wanted, found, -1)

    def number(self, key: str) -> int:
        """The number of `key`, -1 if it is not known."""
        wanted = _packed(key)
        # Of one key, NumPy takes longer to begin than this to end.
        at = bisect_left(self._keys, wanted)
        return at if at < len(self._keys) and self._keys[at] == wanted else -1


def _packed(key: str) -> bytes:
    # NumPy takes zeros at the end for nothing: there is none.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:_BYTES] + b"\1"
