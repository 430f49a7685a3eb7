"""The tokens that two texts share, and the rows that score those alone."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from .rows import Row
from .tokens import Encoded, RequestError, Split

__all__ = ["shared_causal_rows", "shared_masked_rows", "shared_places"]


def shared_places(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    """The places (in `first`, in `second`) of the tokens that the two share, in order.

    The equal stretches that `difflib.SequenceMatcher` finds between the token ids, as in the code of CrowS-Pairs
    (Nangia et al. 2020, section 3.1). Not the longest common subsequence: what is found is an alignment.
    """
    blocks = SequenceMatcher(None, first, second).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]


def shared_masked_rows(parts: Sequence[tuple[Split, Sequence[int]]]) -> list[Row]:
    """One row for each shared token of either text, masked alone; each part with its context as it is read."""
    texts = [(*part.before, *context, *part.continuation, *part.after) for part, context in parts]
    begins = [len(part.before) + len(context) for part, context in parts]
    rows: list[Row] = []
    for slot, places in enumerate(_scored(texts, begins, [len(part.continuation) for part, _ in parts])):
        rows += [Row(texts[slot], (at,), ((texts[slot][at],),), (slot,)) for at in places]
    return rows


def shared_causal_rows(pairs: Sequence[Encoded]) -> tuple[Row, ...]:
    """One row for each text: its shared tokens given all that stands to the left of each."""
    texts = [(*pair.context, *pair.continuation) for pair in pairs]
    begins = [len(pair.context) for pair in pairs]
    rows = []
    for slot, places in enumerate(_scored(texts, begins, [len(pair.continuation) for pair in pairs])):
        if places:
            text = texts[slot]
            # What stands at a place is predicted one before it; nothing behind the last one is read.
            before = tuple(at - 1 for at in places)
            rows.append(Row(text[: places[-1]], before, (tuple(text[at] for at in places),), (slot,)))
    return tuple(rows)


def _scored(texts: Sequence[Sequence[int]], begins: Sequence[int], lengths: Sequence[int]) -> tuple[list[int], ...]:
    """The shared places of each of the two texts that lie in both their continuations."""
    if len(texts) != 2:
        raise RequestError(f"the tokens that choices share are those of two, and there are {len(texts)}")
    ends = [begin + length for begin, length in zip(begins, lengths, strict=True)]
    found: tuple[list[int], ...] = ([], [])
    # The special tokens and the context take part in the alignment, as in the published code; they are not scored.
    for pair in shared_places(*texts):
        if all(begins[slot] <= at < ends[slot] for slot, at in enumerate(pair)):
            for slot, at in enumerate(pair):
                found[slot].append(at)
    return found
