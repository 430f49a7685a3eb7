"""Sequences that live on the disk, so that memory does not grow with the number of rows, samples and requests.

A `Spool` is written once, at its end, and read as often as is needed, in order or at any place. A short one is a list.
Of a longer one the items are pickled into one temporary file that all spools of the process share; the file goes when
the last of them does. It is made where `tempfile` makes its files (`TMPDIR`), has no name and is read by nobody else.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
import weakref
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby, pairwise, repeat
from typing import NamedTuple, TypeVar, overload

from .errors import RunError

__all__ = ["Joined", "Lazy", "Picked", "Scratch", "Spool"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

# Items that are kept as they are, and what they may come to: small runs need not pay for what lets large ones fit.
_LIVE_ITEMS = 2_048
_LIVE_BYTES = 4 * 2**20
# One item of so many is measured.
_MEASURED = 32
# Written in pieces of about this size; what never comes to one stays in memory, as bytes.
_PIECE_BYTES = 64 * 1024
_END = "I"  # where an item ends in its piece: four bytes


class Scratch:
    """Bytes in a temporary file, found again by where they were put."""

    _shared: weakref.ref[Scratch] | None = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        # A file of any number of readers at any place: each reads with an offset of its own where the system can.
        self._file = tempfile.TemporaryFile(prefix="evalharness-", buffering=0)  # noqa: SIM115 - closed with its last user
        weakref.finalize(self, self._file.close)
        self._size = 0
        self._lock = threading.Lock()

    @classmethod
    def shared(cls) -> Scratch:
        """The file of all spools that are alive, made if there is none."""
        with cls._guard:
            found = None if cls._shared is None else cls._shared()
            if found is None:
                found = cls()
                cls._shared = weakref.ref(found)
            return found

    def put(self, data: bytes | bytearray | memoryview) -> int:
        """Write `data`; returns where it begins.

        Raises:
            RunError: the disk is full, or the folder of temporary files cannot be written.
        """
        with self._lock:
            start = self._size
            try:
                self._file.seek(start)
                left = memoryview(data)
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                raise RunError(
                    f"the folder of temporary files {tempfile.gettempdir()} cannot be written: {error}; "
                    f"make room there, or set TMPDIR to another folder"
                ) from error
            self._size = start + memoryview(data).nbytes
            return start

    def get(self, start: int, size: int) -> bytes:
        """The `size` bytes that begin at `start`."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


class Lazy(Sequence[T_co], ABC):
    """A sequence whose items are made as they are looked at; equal to any sequence of the same items."""

    @abstractmethod
    def item(self, place: int) -> T_co:
        """The item at `place`, which lies between 0 and the length."""

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        if isinstance(index, slice):
            return Picked(self, array("Q", range(len(self))[index]))
        return self.item(range(len(self))[index])

    def __iter__(self) -> Iterator[T_co]:
        return map(self.item, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return False
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class _Ends(NamedTuple):
    """Of a piece: the place of its first item, where its items begin in the file, and where each ends after that."""

    first: int
    start: int
    ends: array[int]


class Spool(Lazy[T]):
    """A sequence that is appended to and then read.

    Items are written in pieces, each behind a table of where its items end; in memory stay a few bytes a piece, and the
    table of the piece that was read last.
    """

    def __init__(self, items: Iterable[T] = (), *, live_bytes: int | None = None) -> None:
        """Hold `items`; up to about `live_bytes` of them are kept as they are (none: 0)."""
        self._most_live = _LIVE_BYTES if live_bytes is None else live_bytes
        self._live: list[T] | None = []
        self._live_bytes = 0  # by those that were measured
        # Of each piece that was written: the place of its first item, and where it begins in the file.
        self._firsts = array("Q")
        self._starts = array("Q")
        self._n_written = 0
        # The piece that is not written yet, and where its items end in it.
        self._piece = bytearray()
        self._ends = array(_END)
        self._read = _Ends(0, 0, array(_END))
        self._scratch: Scratch | None = None
        self.extend(items)

    def append(self, item: T) -> None:
        """Add `item` at the end; it must not be changed afterwards."""
        if self._live is None:
            self._pickle(item)
            return
        self._live.append(item)
        if len(self._live) % _MEASURED == 1:
            self._live_bytes += _MEASURED * len(pickle.dumps(item, pickle.HIGHEST_PROTOCOL))
        if len(self._live) > _LIVE_ITEMS or self._live_bytes > self._most_live:
            live, self._live = self._live, None
            for one in live:
                self._pickle(one)

    def _pickle(self, item: T) -> None:
        self._piece += pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        self._ends.append(len(self._piece))
        if len(self._piece) >= _PIECE_BYTES:
            self._write()

    def extend(self, items: Iterable[T]) -> None:
        """Add `items` at the end."""
        for item in items:
            self.append(item)

    def _write(self) -> None:
        start = self._file.put(self._ends.tobytes() + self._piece)
        self._firsts.append(self._n_written)
        self._starts.append(start)
        self._n_written += len(self._ends)
        self._piece, self._ends = bytearray(), array(_END)

    def __len__(self) -> int:
        return self._n_written + len(self._ends) if self._live is None else len(self._live)

    def item(self, place: int) -> T:
        if self._live is not None:
            return self._live[place]
        if place >= self._n_written:
            at = place - self._n_written
            data = bytes(memoryview(self._piece)[self._ends[at - 1] if at else 0 : self._ends[at]])
        else:
            read = self._read
            if not read.first <= place < read.first + len(read.ends):
                read = self._read = self._ends_at(place)
            at = place - read.first
            begin = read.ends[at - 1] if at else 0
            data = self._file.get(read.start + begin, read.ends[at] - begin)
        found: T = pickle.loads(data)  # noqa: S301 - bytes of our own, from a file that nobody else can open
        return found

    def __iter__(self) -> Iterator[T]:
        n, place = len(self), 0
        if self._live is None:
            for number in range(len(self._firsts)):
                piece = self._ends_at(self._firsts[number])
                data = memoryview(self._file.get(piece.start, piece.ends[-1]))
                for begin, end in pairwise(chain((0,), piece.ends)):
                    yield pickle.loads(data[begin:end])  # noqa: S301 - as in `item`
                place += len(piece.ends)
        while place < n:
            yield self.item(place)
            place += 1

    @property
    def _file(self) -> Scratch:
        if self._scratch is None:
            self._scratch = Scratch.shared()
        return self._scratch

    def _ends_at(self, place: int) -> _Ends:
        """Of the written piece that the item at `place` is in, where its items lie."""
        number = bisect_right(self._firsts, place) - 1
        first, start = self._firsts[number], self._starts[number]
        after = self._firsts[number + 1] if number + 1 < len(self._firsts) else self._n_written
        ends = array(_END)
        ends.frombytes(self._file.get(start, ends.itemsize * (after - first)))
        return _Ends(first, start + ends.itemsize * len(ends), ends)


class Picked(Lazy[T_co]):
    """The items of `whole` at `places`, in that order; a place may come several times."""

    def __init__(self, whole: Sequence[T_co], places: Sequence[int]) -> None:
        self._whole = whole
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def item(self, place: int) -> T_co:
        return self._whole[self._places[place]]

    def __iter__(self) -> Iterator[T_co]:
        # The repeats of a sample stand together: it is read once.
        for place, again in groupby(self._places):
            yield from repeat(self._whole[place], sum(1 for _ in again))


class Joined(Lazy[T_co]):
    """Sequences one after the other, as one."""

    def __init__(self, parts: Iterable[Sequence[T_co]]) -> None:
        self._parts = tuple(part for part in parts if len(part))
        self._ends = tuple(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def item(self, place: int) -> T_co:
        part = bisect_right(self._ends, place)
        return self._parts[part][place - (self._ends[part - 1] if part else 0)]

    def __iter__(self) -> Iterator[T_co]:
        return chain.from_iterable(self._parts)
