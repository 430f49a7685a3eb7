"""Sequences of tokens as one prefix tree, laid out so that each distinct token stands once.

The sequences are sorted; of each one only what it does not share with the one before is written down. So the tokens
lie in depth-first order: all that follow a token in its subtree stand directly behind it, and walking along the layout
with one stack (the tokens on the way from the root to here) visits the whole tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Move", "TokenTree", "Walk"]

Ints = NDArray[np.int64]


class TokenTree:
    """The prefix tree of `sequences`; what they share with `held`, tokens already known, is left out.

    `ids` and `depths` (n_tokens,) are the tokens in depth-first order and how many stand before each; `order` gives
    the sequences sorted; of the sorted sequence k the tokens from depth `shared[k]` on stand at `starts[k]`.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], *, held: Ints | None = None) -> None:
        arrays = [np.asarray(sequence, dtype=">u4") for sequence in sequences]
        # Big-endian bytes compare as the numbers do, and much faster than tuples.
        keys = [array.tobytes() for array in arrays]
        self.order = sorted(range(len(keys)), key=keys.__getitem__)
        n = len(self.order)
        self.shared = np.zeros(n, dtype=np.int64)
        self.starts = np.zeros(n, dtype=np.int64)
        self.lengths = np.array([len(arrays[i]) for i in self.order], dtype=np.int64)
        before = np.zeros(0, dtype=">u4") if held is None else held.astype(">u4")
        pieces: list[NDArray[Any]] = []
        depths: list[Ints] = []
        total = 0
        for k, index in enumerate(self.order):
            tokens = arrays[index]
            shared = _common(before, tokens)
            self.shared[k], self.starts[k] = shared, total
            pieces.append(tokens[shared:])
            depths.append(np.arange(shared, len(tokens)))
            total += len(tokens) - shared
            before = tokens
        self.ids: Ints = np.concatenate(pieces).astype(np.int64) if pieces else np.zeros(0, dtype=np.int64)
        self.depths: Ints = np.concatenate(depths) if depths else np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, positions: Sequence[Sequence[int]]) -> list[Ints]:
        """Where the tokens at `positions[i]` of each sequence i stand in the layout; -1 for tokens that were held."""
        path = np.full(int(self.lengths.max(initial=0)), -1, dtype=np.int64)
        found: list[Ints] = [np.zeros(0, dtype=np.int64)] * len(self.order)
        for k, index in enumerate(self.order):
            start, shared, length = self.starts[k], self.shared[k], self.lengths[k]
            path[shared:length] = np.arange(start, start + length - shared)
            found[index] = path[np.asarray(positions[index], dtype=np.int64)]
        return found


def _common(a: NDArray[Any], b: NDArray[Any]) -> int:
    n = min(len(a), len(b))
    differ = a[:n] != b[:n]
    return int(differ.argmax()) if differ.any() else n


class Move(NamedTuple):
    """Columns [source, source + n) of the stack go to [target, target + n), to the left of where they were."""

    target: int
    source: int
    n: int


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens [start, end) of the layout, which look at the stack together.

    Before it, `moves` make the first `path` columns of the stack the tokens above `start`; the block's own go behind
    them. `mask` (end − start, path + end − start) says who sees whom: a token sees those above it and itself.
    `columns` are the depths of the stack's columns.
    """

    start: int
    end: int
    path: int
    moves: tuple[Move, ...]
    mask: NDArray[np.bool_]
    columns: Ints


@dataclass(slots=True)
class Walk:
    """Goes along the layout of `tree` and says, block by block, what the stack must hold.

    The stack begins with the `held` tokens of the tree in its columns, in order.
    """

    tree: TokenTree
    _above: Ints = field(init=False)  # by depth: the token last seen there
    _holds: Ints = field(init=False)  # by column: the token that the stack has there; negative: held from before
    _last: tuple[int, int] = (0, 0)  # where the block before began, and the columns in front of it

    def __post_init__(self) -> None:
        deepest = int(self.tree.lengths.max(initial=0))
        self._above = -1 - np.arange(deepest, dtype=np.int64)
        self._holds = self._above.copy()

    def blocks(self, start: int, end: int, *, rows: int) -> Iterator[Block]:
        """The blocks of at most `rows` tokens for the stretch [start, end); stretches must be asked for in order."""
        for at in range(start, end, rows):
            yield self._block(at, min(at + rows, end))

    def settle(self) -> tuple[Move, ...]:
        """The moves that leave the whole of the last sequence in the first columns, for a next tree that holds it."""
        last = int(self.tree.lengths[-1]) if len(self.tree.order) else 0
        moves = self._moves(self._above[:last])
        self._holds[:last] = self._above[:last]
        return moves

    def _block(self, start: int, end: int) -> Block:
        tree = self.tree
        path = int(tree.depths[start])
        above = self._above[:path]
        moves = self._moves(above)
        self._holds[:path] = above
        self._last = (start, path)
        mask, columns = self._mask(start, end, path)
        # Of several at one depth the last counts: it is the one that later tokens can stand below.
        self._above[tree.depths[start:end]] = np.arange(start, end)
        return Block(start, end, path, moves, mask, columns)

    def _moves(self, above: Ints) -> tuple[Move, ...]:
        targets = np.flatnonzero(self._holds[: len(above)] != above)
        if not len(targets):
            return ()
        # What is not in its column yet is in the block before: a token above this one that stood before that block
        # stands above all of that block too, and is in its column since then.
        start, path = self._last
        sources = above[targets] - start + path
        # Columns that go the same way together are one move.
        cuts = np.flatnonzero((np.diff(targets) != 1) | (np.diff(sources) != 1)) + 1
        parts = zip(np.split(targets, cuts), np.split(sources, cuts), strict=True)
        # A column that is right already by place: the first run of a block goes on where its path ended.
        return tuple(
            Move(int(target[0]), int(source[0]), len(target)) for target, source in parts if target[0] != source[0]
        )

    def _mask(self, start: int, end: int, path: int) -> tuple[NDArray[np.bool_], Ints]:
        tree = self.tree
        n = end - start
        columns = np.concatenate([np.arange(path), tree.depths[start:end]])
        mask = np.zeros((n, path + n), dtype=bool)
        # Of what stands in column c, later sequences share it if all of them on the way share more than its depth.
        limit = np.full(path + n, np.iinfo(np.int64).max)
        first = int(np.searchsorted(tree.starts, start, side="right")) - 1
        k, at = first, start
        while at < end:
            run_end = min(end, int(tree.starts[k] + tree.lengths[k] - tree.shared[k]))
            low, high = at - start, run_end - start
            if k > first:
                np.minimum(limit[: path + low], tree.shared[k], out=limit[: path + low])
            if high > low:
                mask[low:high, : path + low] = columns[: path + low] < limit[: path + low]
                mask[low:high, path + low : path + high] = np.tri(high - low, dtype=bool)
            at = max(at, run_end)
            k += 1
        return mask, columns
