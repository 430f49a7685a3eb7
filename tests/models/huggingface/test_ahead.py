"""The next item is made while this one is worked on, and what making it raises comes in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from evalharness.models.huggingface.ahead import one_ahead


def test_order_and_overlap() -> None:
    made: list[int] = []
    next_made = threading.Event()

    def items() -> Iterator[int]:
        for n in range(4):
            made.append(n)
            if len(made) > 1:
                next_made.set()
            yield n

    seen = []
    for n in one_ahead(items()):
        # The item after this one is being made while this one is worked on.
        assert n == 3 or next_made.wait(5)
        seen.append(n)
    assert seen == made == [0, 1, 2, 3]


def test_a_fault_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second one")

    found = one_ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="the second one"):
        next(found)


def test_closing_early_leaves_no_thread() -> None:
    found = one_ahead(range(100))
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("evalharness-ahead")]
    assert list(one_ahead([])) == []
