"""The responses of a run by request key, on the disk: a few bytes a request stay in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evalharness.core.spool import Spool
from evalharness.core.types import FAILED_STATES, Response, Status

__all__ = ["ResponseBook"]

_DIGITS = 32  # of the sha256 of a key: 128 bits tell any number of keys apart


class ResponseBook(Mapping[str, Response]):
    """Responses to requests whose keys are known beforehand; the first response to a key holds.

    `first` are the places of the first request with each key, in order; `slot_of[place]` is the key's number.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        import numpy as np

        packed = np.fromiter(map(_packed, keys), dtype=f"S{_DIGITS}")
        self._keys, first, slots = np.unique(packed, return_index=True, return_inverse=True)
        self.first = np.sort(first)
        self.slot_of = slots.astype(np.int32)
        self._places = np.full(len(self._keys), -1, dtype=np.int64)
        self._from_store = np.zeros(len(self._keys), dtype=bool)
        self._responses: Spool[Response] = Spool()
        self.states: Counter[Status] = Counter()
        self.n_retries = self.input_tokens = self.output_tokens = 0

    @property
    def n_keys(self) -> int:
        """How many different keys there are."""
        return len(self._keys)

    @property
    def n_from_store(self) -> int:
        """How many responses came from the store."""
        return int(self._from_store.sum())

    @property
    def n_failed(self) -> int:
        """How many responses have no usable answer."""
        return sum(self.states[state] for state in FAILED_STATES)

    def slot(self, key: str) -> int | None:
        """The number of `key`, None for a key that was not asked for."""
        import numpy as np

        wanted = np.array([_packed(key)], dtype=self._keys.dtype)
        slot = int(np.searchsorted(self._keys, wanted)[0])
        return slot if slot < len(self._keys) and self._keys[slot] == wanted[0] else None

    def add(self, responses: Iterable[Response], *, from_store: bool = False) -> None:
        """Keep `responses`; one to a key that has one already, or that was not asked for, is let go."""
        for response in responses:
            slot = self.slot(response.key)
            if slot is None or self._places[slot] >= 0:
                continue
            self._places[slot] = len(self._responses)
            self._from_store[slot] = from_store
            self._responses.append(response)
            self.states[response.status] += 1
            self.n_retries += response.n_retries
            self.input_tokens += response.input_tokens or 0
            self.output_tokens += response.output_tokens or 0

    def is_from_store(self, key: str) -> bool:
        """Whether the response to `key` came from the store."""
        slot = self.slot(key)
        return slot is not None and bool(self._from_store[slot])

    def __getitem__(self, key: str) -> Response:
        slot = self.slot(key)
        place = -1 if slot is None else int(self._places[slot])
        if place < 0:
            raise KeyError(key)
        return self._responses[place]

    def __contains__(self, key: Any) -> bool:
        slot = self.slot(key)
        return slot is not None and bool(self._places[slot] >= 0)

    def __iter__(self) -> Iterator[str]:
        return (response.key for response in self._responses)

    def __len__(self) -> int:
        return len(self._responses)


def _packed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS].encode()
