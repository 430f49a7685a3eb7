"""Work cut into batches that fit: sizes that shrink when memory ends, and a failure that stays with its own item."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from evalharness.core.errors import ModelError
from evalharness.core.memory import trim_memory
from evalharness.core.types import Json

__all__ = [
    "BatchSize",
    "Failure",
    "Outcome",
    "free_memory",
    "is_out_of_memory",
    "keep_memory",
    "raise_if_lost",
    "run_batches",
]

# M_MMAP_THRESHOLD: the largest piece that glibc takes from its heap at all. M_TRIM_THRESHOLD: what may be free at the
# heap's end. M_ARENA_MAX: heaps.
_KEEPING = ((-3, 32 * 2**20), (-1, 2**31 - 1), (-8, 1))

T = TypeVar("T")
R = TypeVar("R")

_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, ROCm, MPS
    "can't allocate memory",  # CPU: DefaultCPUAllocator
    "cannot allocate memory",
    "not enough memory",  # CPU, Windows
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "unable to allocate",
)
# A budget of fewer tokens is not set by measuring: only memory that ends says that so few do not fit.
_FEWEST_TOKENS = 32
# After one of these every later call on the device fails as well: the backend as a whole is lost.
_DEVICE_LOST = ("device-side assert", "illegal memory access", "unspecified launch failure", "an illegal instruction")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory did not suffice: `MemoryError`, torch's own type, or its many RuntimeErrors."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


@dataclass(slots=True)
class BatchSize:
    """How much goes into one batch: at most `rows` items, and at most `tokens` of padded length (None: no limit).

    One item always fits. Halved when memory ends, and never raised again: what ended it once would end it again.
    `bytes_per_token` is what a token needs beyond the weights, where that has been measured.
    """

    rows: int | None = None
    tokens: int | None = None
    bytes_per_token: int | None = None

    def fits(self, n_rows: int, longest: int) -> bool:
        """Whether `n_rows` rows, padded to `longest` tokens, may go together."""
        if n_rows <= 1:
            return True
        return (self.rows is None or n_rows <= self.rows) and (self.tokens is None or n_rows * longest <= self.tokens)

    def bound(self, bytes_per_token: int, *, free: int | None) -> None:
        """Let `tokens` take half of the `free` bytes at most, at `bytes_per_token` each.

        What does not fit becomes the next smaller power of two, so that a little more or less memory does not change
        what is computed together, and with it the last bits of the results.
        """
        if bytes_per_token <= 0:
            return
        self.bytes_per_token = max(bytes_per_token, self.bytes_per_token or 0)
        if self.tokens is not None and free is not None and self.tokens * self.bytes_per_token > free // 2:
            self.tokens = max(_FEWEST_TOKENS, 1 << (free // 2 // self.bytes_per_token).bit_length() >> 1)

    def report(self) -> dict[str, Json]:
        """What a record says of it."""
        if self.tokens is None:
            return {}
        measured = {} if self.bytes_per_token is None else {"bytes_per_token": self.bytes_per_token}
        return {"token_budget": self.tokens, **measured}

    def shrink(self, n_rows: int, longest: int) -> None:
        """Make room for half of a batch of this shape at most."""
        self.rows = max(1, n_rows // 2)
        if self.tokens is not None:
            self.tokens = max(1, min(self.tokens, n_rows * longest // 2))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no result."""

    message: str


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """An item, its result or failure, and its share of the seconds that its batch took (batch time / batch rows)."""

    item: T
    result: R | Failure
    seconds: float


def run_batches(
    items: Sequence[T], *, length: Callable[[T], int], size: BatchSize, run: Callable[[Sequence[T]], Sequence[R]]
) -> Iterator[list[Outcome[T, R]]]:
    """The outcome of every item, a batch at a time, the longest first, so that memory ends early if it does.

    When a batch runs out of memory, `size` shrinks to half of it and its items are batched anew. A batch that fails
    otherwise is cut in halves until the items that fail alone are found; the others are answered.

    Raises:
        ModelError: the device is lost.
    """
    ready: deque[list[T]] = deque()
    waiting = deque(sorted(items, key=length, reverse=True))
    while ready or waiting:
        batch = ready.popleft() if ready else _take(waiting, length, size)
        longest = max(length(item) for item in batch)
        started = time.perf_counter()
        try:
            results = run(batch)
        except Exception as error:  # noqa: BLE001 - the per-request boundary: recorded for the item that fails alone
            # The traceback holds the tensors of the failed batch alive: only its message leaves this block.
            message, memory_ended = _told(error), is_out_of_memory(error)
        else:
            share = (time.perf_counter() - started) / len(batch)
            yield [Outcome(item, result, share) for item, result in zip(batch, results, strict=True)]
            continue
        raise_if_lost(message)
        if memory_ended:
            free_memory()
        if len(batch) == 1:
            share = time.perf_counter() - started
            what = f"one request alone does not fit into memory ({longest} tokens): " if memory_ended else ""
            yield [Outcome(batch[0], Failure(what + message), share)]
            continue
        if memory_ended:
            size.shrink(len(batch), longest)
            waiting.extendleft(reversed(batch))
        else:
            middle = (len(batch) + 1) // 2
            ready.extendleft([batch[middle:], batch[:middle]])


def _told(error: Exception) -> str:
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, IndexError):
        message += (
            " (perhaps a token or a position that the model does not have: the tokenizer must be its own, and "
            "max_length no more than its positions)"
        )
    return message


def raise_if_lost(message: str) -> None:
    """Raise a `ModelError` if `message` says that nothing can be computed on the device any more."""
    if any(sign in message.lower() for sign in _DEVICE_LOST):
        raise ModelError(f"the device failed and cannot go on: {message}")


def _take(waiting: deque[T], length: Callable[[T], int], size: BatchSize) -> list[T]:
    batch = [waiting.popleft()]
    longest = length(batch[0])
    while waiting and size.fits(len(batch) + 1, longest):
        batch.append(waiting.popleft())
    return batch


def keep_memory() -> None:
    """Let the C library keep what is freed for what comes next; nothing happens where it is not glibc.

    By its own rules it maps each larger piece anew and hands it back at once. The system clears a page at each first
    touch, which takes as long as computing what stands in it: a third of the time of a pass over some hundred tokens.
    What is kept goes back with `trim_memory`. One heap serves all threads: one each, and what one keeps is of no use to
    the others.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is None:
        return
    for option, value in _KEEPING:
        set_option(option, value)


def free_memory() -> None:
    """Hand unused memory back, to the device too."""
    gc.collect()
    trim_memory()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
