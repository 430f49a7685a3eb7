"""The prefix tree: each distinct token once, and every token sees those above it and no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.models.huggingface.tree import TokenTree, Walk

SEQUENCES = st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=9), min_size=1, max_size=12)
HELD = st.lists(st.integers(1, 2), max_size=6)


def prefixes(tree: TokenTree, sequences: list[list[int]]) -> dict[int, tuple[int, ...]]:
    """By place in the layout: the whole of the tokens from the root to there."""
    found = {}
    for k, index in enumerate(tree.order):
        sequence = tuple(sequences[index])
        for depth in range(tree.shared[k], len(sequence)):
            found[int(tree.starts[k]) + depth - int(tree.shared[k])] = sequence[: depth + 1]
    return found


@given(SEQUENCES)
def test_each_distinct_token_stands_once(sequences: list[list[int]]) -> None:
    tree = TokenTree(sequences)
    distinct = {tuple(s[: n + 1]) for s in sequences for n in range(len(s))}
    assert len(tree) == len(distinct)
    laid = prefixes(tree, sequences)
    assert set(laid.values()) == distinct
    assert [laid[at][-1] for at in range(len(tree))] == tree.ids.tolist()
    assert [len(laid[at]) - 1 for at in range(len(tree))] == tree.depths.tolist()


@given(SEQUENCES, HELD, st.integers(1, 7), st.integers(1, 20))
def test_a_walk_shows_every_token_its_own_prefix(
    sequences: list[list[int]], held: list[int], rows: int, stretch: int
) -> None:
    """The stack is played with the prefixes themselves: what a row of a mask shows must be the row's own prefixes."""
    tree = TokenTree(sequences, held=np.array(held, dtype=np.int64))
    laid = prefixes(tree, sequences)
    stack = {column: tuple(held[: column + 1]) for column in range(len(held))}
    walk = Walk(tree)

    def move(moves: object) -> None:
        for target, source, n in moves:  # type: ignore[attr-defined]
            taken = [stack[source + i] for i in range(n)]
            stack.update((target + i, value) for i, value in enumerate(taken))

    for start in range(0, len(tree), stretch):
        for block in walk.blocks(start, min(start + stretch, len(tree)), rows=rows):
            move(block.moves)
            stack.update((block.path + i, laid[block.start + i]) for i in range(block.end - block.start))
            for row in range(block.end - block.start):
                prefix = laid[block.start + row]
                seen = [stack[column] for column in np.flatnonzero(block.mask[row])]
                assert sorted(seen) == sorted(prefix[: n + 1] for n in range(len(prefix)))
                assert [block.columns[column] for column in np.flatnonzero(block.mask[row])] == [
                    len(stack[column]) - 1 for column in np.flatnonzero(block.mask[row])
                ]
    move(walk.settle())
    last = sequences[tree.order[-1]]
    assert [stack[column] for column in range(len(last))] == [tuple(last[: n + 1]) for n in range(len(last))]


@given(SEQUENCES, HELD)
def test_places_find_the_tokens(sequences: list[list[int]], held: list[int]) -> None:
    tree = TokenTree(sequences, held=np.array(held, dtype=np.int64))
    laid = prefixes(tree, sequences)
    everything = [range(len(s)) for s in sequences]
    for sequence, places in zip(sequences, tree.places(everything), strict=True):
        for depth, place in enumerate(places):
            if place < 0:
                assert held[: depth + 1] == sequence[: depth + 1]
            else:
                assert laid[int(place)] == tuple(sequence[: depth + 1])


def test_no_sequence_is_no_tree() -> None:
    tree = TokenTree([])
    assert len(tree) == 0
    assert tree.places([]) == []
    assert Walk(tree).settle() == ()


@pytest.mark.parametrize("token", [0, 255, 256, 65_536, 2**31])
def test_ids_of_any_size_sort_and_come_back(token: int) -> None:
    tree = TokenTree([[token, 1], [token, 2], [1, token]])
    assert sorted(tree.ids.tolist()) == sorted([token, 1, 2, 1, token])
