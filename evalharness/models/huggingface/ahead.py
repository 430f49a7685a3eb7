"""Work of the host done while the device computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["one_ahead"]

T = TypeVar("T")
_END = object()


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """The items, in order, the next of which is made on a thread of its own while the one before is worked on.

    What making an item raises is raised in its place.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="evalharness-ahead") as pool:
        coming = pool.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, source, _END)
            yield item  # type: ignore[misc]
