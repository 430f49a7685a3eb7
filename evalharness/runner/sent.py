"""What was sent and never answered: how many requests a resumed run sends again.

The response store knows what was answered. A run that is killed had requests in flight besides: the server may have
answered them, and counted them, and nobody kept the answers. They are sent again when the run is resumed, and the
record should say how many they are. So each run writes down the key of a request before it hands it out, in a file of
its own beside the store, which goes when the record is sealed; a file that is still there tells of a run that ended
otherwise.

Keys are written into pages of the file that are mapped, which costs no call of the system, and without a sync: what the
process wrote outlives its death, not that of the machine. The count is then too low; no answer hangs on it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from evalharness.core.alive import hold, is_abandoned, owned_name, release
from evalharness.core.errors import StoreError
from evalharness.core.protocols import Model
from evalharness.core.spool import Lazy
from evalharness.core.types import Request, Response
from evalharness.models.concurrent import ConcurrentModel

from .book import ResponseBook

__all__ = ["SentJournal"]

_KEY_BYTES: Final = 32
# The file grows by so much at a time, which must be what every system can map.
_PIECE_BYTES: Final = 64 * 1024
_FORGOTTEN_AFTER_S: Final = 30 * 86_400.0


class SentJournal:
    """The keys that this run hands out, and those that runs which did not finish handed out before."""

    def __init__(self, store: Path) -> None:
        self._name = f"{store.name}-sent"
        self._folder = store.parent
        self._path = self._folder / owned_name(self._name, "keys")
        self._file: int | None = None
        self._piece: mmap.mmap | None = None
        self._at = 0
        self._held: int | None = None
        self._left: dict[Path, list[str]] = {}

    def __enter__(self) -> Self:
        for path in sorted(self._folder.glob(f".{self._name}.*.keys")):
            if is_abandoned(path):
                self._read(path)
        for path in sorted(self._folder.glob(f".{self._name}.*.ended")):
            self._read(path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        release(self._held)
        if self._piece is not None:
            self._piece.close()
        if self._file is not None:
            os.close(self._file)
            # A run that was stopped in good order, in a process that may live on; after `forget` there is nothing.
            with contextlib.suppress(OSError):
                self._path.rename(self._path.with_suffix(".ended"))
        self._file = self._piece = self._held = None

    def watching(self, models: Mapping[str, Model]) -> dict[str, Model]:
        """`models`, those that ask one request after another with each written down as it is handed out."""
        return {
            name: _Watched(model, self) if isinstance(model, ConcurrentModel) else model
            for name, model in models.items()
        }

    def write(self, key: str) -> None:
        """Note that the request with this key is about to be sent.

        Raises:
            StoreError: it cannot be written.
        """
        if self._piece is None or self._at == _PIECE_BYTES:
            self._piece, self._at = self._grown(), 0
        self._piece[self._at : self._at + _KEY_BYTES] = bytes.fromhex(key)
        self._at += _KEY_BYTES

    def _grown(self) -> mmap.mmap:
        """The next piece of the file, mapped."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                self._held = hold(self._path)
            end = os.lseek(self._file, 0, os.SEEK_END)
            # Written, not only made longer: a full disk must be an error here, not the end of the process later.
            zeros = memoryview(bytes(_PIECE_BYTES))
            while zeros:
                zeros = zeros[os.write(self._file, zeros) :]
            return mmap.mmap(self._file, _PIECE_BYTES, offset=end)
        except OSError as error:
            raise StoreError(
                f"{self._path}, the list of requests that were sent, cannot be written: {error.strerror or error}; "
                "answers so far are kept: make room, or choose another folder with --reports, and run again"
            ) from error

    def n_sent_again(self, book: ResponseBook) -> int:
        """How many sendings of the requests in `book` there were beyond the first of each, over all unfinished runs."""
        import numpy as np

        keys = [key for left in self._left.values() for key in left]
        if not keys:
            return 0
        numbers = book.index.numbers(keys)
        numbers = numbers[numbers >= 0]
        before = np.bincount(numbers, minlength=len(book.index))
        now = ~book.was_stored
        return int((before + now - 1)[before > 0].sum())

    def forget(self, *books: ResponseBook) -> None:
        """The record is sealed: drop this run's list, and those of unfinished runs that it has made up for."""
        import numpy as np

        if self._file is not None:
            self._path.unlink(missing_ok=True)
        for path, keys in self._left.items():
            # The list of another suite is left to its own next run, but not for ever.
            with contextlib.suppress(OSError):  # another run of the same suite may have dropped it
                old = time.time() - path.stat().st_mtime > _FORGOTTEN_AFTER_S
                known = np.zeros(len(keys), dtype=bool)
                for book in books:
                    known |= book.index.numbers(keys) >= 0
                if old or known.all():
                    path.unlink()

    def _read(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError:
            return
        keys = [data[at : at + _KEY_BYTES] for at in range(0, len(data) - _KEY_BYTES + 1, _KEY_BYTES)]
        # The last one may have been cut off, and what was not reached is zero.
        self._left[path] = [key.hex() for key in keys if any(key)]


class _Noted(Lazy[Request]):
    """`requests`, each of which is written down when it is taken."""

    def __init__(self, requests: Sequence[Request], journal: SentJournal) -> None:
        self._requests = requests
        self._journal = journal

    def __len__(self) -> int:
        return len(self._requests)

    def item(self, place: int) -> Request:
        request = self._requests[place]
        self._journal.write(request.key)
        return request

    def __iter__(self) -> Iterator[Request]:
        for request in self._requests:
            self._journal.write(request.key)
            yield request


class _Watched:
    """A model whose requests are written down as it takes them; in all else the model itself."""

    def __init__(self, model: ConcurrentModel, journal: SentJournal) -> None:
        self._model = model
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._model.generate(_Noted(requests, self._journal))

    def loglikelihood(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._model.loglikelihood(_Noted(requests, self._journal))

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._model.loglikelihood_rolling(_Noted(requests, self._journal))

    def classify(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._model.classify(_Noted(requests, self._journal))
