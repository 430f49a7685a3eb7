"""Windows over a long text in which every token is predicted exactly once, with as much context as fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Window", "rolling_windows"]


class Window(NamedTuple):
    """Read `inputs`; its last `n_scored` positions predict `text[start : start + n_scored]`."""

    inputs: tuple[int, ...]
    start: int
    n_scored: int


def rolling_windows(text: Sequence[int], *, prefix: int, max_length: int) -> Iterator[Window]:
    """The windows of `text`, each of at most `max_length` inputs; none for no tokens.

    The first one reads `prefix` and then the text; each later one predicts the next `max_length` tokens after its
    first input, and the last one is moved to the left so that it is full as well. This is lm-eval's
    `get_rolling_token_windows` with `context_len=1`.
    """
    n_tokens = len(text)
    done = min(max_length, n_tokens)
    if done:
        yield Window((prefix, *text[: done - 1]), 0, done)
    while done < n_tokens:
        n_scored = min(max_length, n_tokens - done)
        end = done + n_scored
        yield Window(tuple(text[end - max_length - 1 : end - 1]), done, n_scored)
        done = end
