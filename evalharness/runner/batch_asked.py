"""Which of the requests are in which batch, in a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from evalharness.core.keyindex import KeyIndex
from evalharness.core.types import Request

from .batch_ledger import OpenBatch

__all__ = ["Asked"]


class Asked:
    """What is asked for: which batch each request is in, in how many it was, and whether it is answered."""

    def __init__(self, requests: Sequence[Request]) -> None:
        import numpy as np

        self.requests = requests
        self.index = KeyIndex(request.key for request in requests)
        # A run that is stopped hands on no more requests: those that are not in the index are not asked.
        self.place_of = np.empty(len(self.index), dtype=np.int64)
        self.place_of[self.index.number_of] = np.arange(len(self.index.number_of))
        self.batch_of = np.zeros(len(self.index), dtype=np.int64)
        """By number: the number of the batch that the request is in, 0 for none."""
        self.n_tries = np.zeros(len(self.index), dtype=np.int16)
        self.is_done = np.zeros(len(self.index), dtype=bool)

    def request(self, number: int) -> Request:
        """The request with this number."""
        return self.requests[int(self.place_of[number])]

    def put(self, batch: OpenBatch, keys: Sequence[str]) -> None:
        """The requests with these keys are in `batch`, too."""
        numbers = self.index.numbers(keys)
        numbers = numbers[numbers >= 0]
        self.batch_of[numbers] = batch.number
        self.n_tries[numbers] += 1

    def left_in(self, batch: OpenBatch) -> array[int]:
        """The numbers of those in `batch` that are not done."""
        return array("q", ((self.batch_of == batch.number) & ~self.is_done).nonzero()[0].tolist())

    @property
    def n_unsent(self) -> int:
        """How many requests are in no batch and not done."""
        return int(((self.batch_of == 0) & ~self.is_done).sum())

    def unsent(self) -> Iterator[Request]:
        """The requests that are in no batch, in their order."""
        wanted = self.place_of[(self.batch_of == 0) & ~self.is_done]
        wanted.sort()
        return (self.requests[int(place)] for place in wanted)
