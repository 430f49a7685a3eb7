"""The responses of a run by request key, on the disk: a few bytes a request stay in memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.core.keyindex import KeyIndex
from evalharness.core.spool import Picked, Spool
from evalharness.core.types import FAILED_STATES, Json, Response, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["ResponseBook"]

_MOST_NAMES = 10_000  # a server that gives each reply a name of its own is not followed further
_LONGEST_NAME = 200
_TAKEN = 500  # responses that are handed on at once


class ResponseBook(Mapping[str, Response]):
    """Responses to requests whose keys are known beforehand, numbered by `index`; the first response to a key holds."""

    def __init__(self, keys: Iterable[str]) -> None:
        import numpy as np

        self.index = KeyIndex(keys)
        self._places = np.full(len(self.index), -1, dtype=np.int32)
        self.was_stored = np.zeros(len(self.index), dtype=bool)
        """By number: whether the response came from the store."""
        self.returned = np.zeros(len(self.index), dtype=np.uint16)
        """By number: the place in `returned_names` of what the reply names as its author, 0 where it names nobody."""
        self.returned_names: list[tuple[str, str]] = [("", "")]
        self._codes: dict[tuple[str, str], int] = {}
        self._responses: Spool[Response] = Spool()
        self.states: Counter[Status] = Counter()
        self.n_from_store = self.n_retries = self.input_tokens = self.output_tokens = 0

    @property
    def n_failed(self) -> int:
        """How many responses have no usable answer."""
        return sum(self.states[state] for state in FAILED_STATES)

    def add(self, responses: Iterable[Response], *, from_store: bool = False) -> None:
        """Keep `responses`; one to a key that has one already, or that was not asked for, is let go."""
        coming = list(responses)
        for response, number in zip(coming, self.index.numbers([r.key for r in coming]).tolist(), strict=True):
            if number < 0 or self._places[number] >= 0:
                continue
            self._places[number] = len(self._responses)
            self.was_stored[number] = from_store
            self._responses.append(response)
            if response.meta:
                self.returned[number] = self._code(response.meta)
            self.states[response.status] += 1
            self.n_from_store += from_store
            self.n_retries += response.n_retries
            self.input_tokens += response.input_tokens or 0
            self.output_tokens += response.output_tokens or 0

    def _code(self, meta: Mapping[str, Json]) -> int:
        names = (_name(meta.get("model")), _name(meta.get("system_fingerprint")))
        if names == ("", ""):
            return 0
        code = self._codes.get(names)
        if code is None:
            if len(self.returned_names) == _MOST_NAMES:
                return _MOST_NAMES - 1
            code = self._codes[names] = len(self.returned_names)
            self.returned_names.append(names)
        return code

    def numbered(self, numbers: NDArray[np.int32]) -> Iterator[Response]:
        """The responses with these numbers, all of which there are."""
        return (self._responses[int(place)] for place in self._places[numbers])

    def in_order(self, start: int, n: int) -> Sequence[Response]:
        """The responses to the `n` keys from the place `start` on, all of which have one."""
        places = self._places[self.index.number_of[start : start + n]]
        if (places < 0).any():
            raise KeyError("a request has no response")
        return Picked(self._responses, array("i", places.tobytes()))

    def at(self, places: Ints) -> Sequence[Response]:
        """The responses to the keys at `places`, all of which have one."""
        found = self._places[self.index.number_of[places]]
        if (found < 0).any():
            raise KeyError("a request has no response")
        return Picked(self._responses, array("i", found.tobytes()))

    def lacking(self, places: Ints) -> Ints:
        """Those of `places` whose key has no response yet."""
        found: Ints = places[self._places[self.index.number_of[places]] < 0]
        return found

    def take(self, other: ResponseBook) -> None:
        """Add the responses of `other`, which knows of each whether it came from the store."""
        some: list[Response] = []
        for place, response in enumerate(other._responses, start=1):
            some.append(response)
            if len(some) == _TAKEN or place == len(other):
                stored = other.was_stored[other.index.numbers([r.key for r in some])].tolist()
                for flag in (True, False):
                    self.add((r for r, own in zip(some, stored, strict=True) if own is flag), from_store=flag)
                some = []

    def is_from_store(self, key: str) -> bool:
        """Whether the response to `key` came from the store."""
        number = self.index.number(key) if self.n_from_store else -1
        return number >= 0 and bool(self.was_stored[number])

    def __getitem__(self, key: str) -> Response:
        number = self.index.number(key)
        place = -1 if number < 0 else int(self._places[number])
        if place < 0:
            raise KeyError(key)
        return self._responses[place]

    def __contains__(self, key: Any) -> bool:
        number = self.index.number(key)
        return number >= 0 and bool(self._places[number] >= 0)

    def __iter__(self) -> Iterator[str]:
        return (response.key for response in self._responses)

    def __len__(self) -> int:
        return len(self._responses)


def _name(said: Json) -> str:
    return "" if said is None else str(said)[:_LONGEST_NAME]
