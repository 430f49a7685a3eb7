"""Decoding with rows that come and go: a text that ends makes room for the next one at once.

Prompts are read as a prefix tree (what they share is computed once), then each text has a slot and gets a token a
step. Nothing is padded but the attention of shorter texts, and no text is carried on after its end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from .decoding import Decoding, Ending
from .head import Head
from .memory import trim_memory
from .slots import SlotAttention
from .transfer import to_device
from .tree import Block, TokenTree, Walk
from .tree_attention import Capture, TreeAttention

__all__ = ["ContinuousDecoder"]

_BLOCK_ROWS = 128


@dataclass(slots=True)
class _Prompts:
    """The prompts as a tree, and how far it has been read."""

    rows: Sequence[Decoding]
    tree: TokenTree
    walk: Walk
    ends: deque[tuple[int, int]]  # (place of the last token, index of the row), in the order of the tree
    at: int = 0
    deferred: list[Decoding] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Sequence[Decoding]) -> _Prompts:
        tree = TokenTree([row.ids for row in rows])
        places = tree.places([[len(row.ids) - 1] for row in rows])
        ends = deque(sorted((int(place[0]), index) for index, place in enumerate(places)))
        return cls(rows, tree, Walk(tree), ends)

    def stretch(self, *, tokens: int, rows: int) -> tuple[int, int, list[tuple[int, Decoding]]]:
        """The next tokens [start, end), at most `tokens`, that complete at most `rows` prompts, and those prompts.

        Of equal prompts, those for which there is no room are put off: they are read again, when all others are done.
        """
        start, end = self.at, min(self.at + tokens, len(self.tree))
        done: list[tuple[int, Decoding]] = []
        while self.ends and len(done) < rows and self.ends[0][0] < end:
            place, index = self.ends.popleft()
            done.append((place, self.rows[index]))
        while done and self.ends and self.ends[0][0] == done[-1][0]:
            self.deferred.append(self.rows[self.ends.popleft()[1]])
        if len(done) == rows and self.ends and self.ends[0][0] < end:
            # Those that are left over must not have been computed: their keys would be gone when a slot is free.
            end = self.ends[0][0]
        self.at = end
        return start, end, done


class Finished(NamedTuple):
    """A text that has ended, and its share of the time."""

    row: Decoding
    seconds: float


@dataclass(slots=True)
class _Active:
    """What is in the slots."""

    rows: list[Decoding] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)  # the last one of each, not read yet
    seconds: list[float] = field(default_factory=list)

    def drop(self, index: int) -> None:
        """Forget one; the last one takes its place, as in the slots."""
        self.rows[index], self.tokens[index] = self.rows[-1], self.tokens[-1]
        self.seconds[index] = self.seconds[-1]
        del self.rows[-1], self.tokens[-1], self.seconds[-1]


class ContinuousDecoder:
    """Generates with a causal model; `head` is its last layer, where that has been tried already.

    Raises:
        UnsupportedModelError: the model's attention cannot be taken over.
    """

    def __init__(self, model: Any, ending: Ending, *, device: str, head: Head | None = None) -> None:
        self._model = model
        self._ending = ending
        self._device = device
        self._head = head or Head(model)
        self._tree = TreeAttention(model)
        self.n_computed = 0

    def __call__(self, rows: Sequence[Decoding], *, n_slots: int, tokens: int) -> Iterator[list[Finished]]:
        """Each row as soon as it has ended, its text in `new`; `tokens` bounds what is read of prompts at once.

        What fails, fails as a whole: rows that have not been handed out are the caller's to begin anew.
        """
        for row in rows:
            row.begin()
        prompts, active = _Prompts.of(rows), _Active()
        slots = SlotAttention(self._model, n_slots=n_slots, columns=max((row.length for row in rows), default=0))
        try:
            while prompts.ends or prompts.deferred or active.rows:
                ended: list[Finished] = []
                if not prompts.ends and prompts.deferred:
                    prompts = _Prompts.of(prompts.deferred)
                # Reading in larger portions is cheaper: new texts come in when a quarter of the slots is free.
                if prompts.ends and len(active.rows) <= n_slots - max(1, n_slots // 4):
                    while prompts.ends and len(active.rows) < n_slots:
                        ended += self._read(prompts, slots, active, n_slots=n_slots, tokens=tokens)
                    if self._device == "cpu":
                        trim_memory()
                    if not prompts.ends:
                        # Nobody reads below what is held of the prompts any more.
                        self._tree.reset()
                if active.rows:
                    ended += self._step(slots, active)
                if ended:
                    yield ended
        finally:
            self._tree.reset()

    def _read(
        self, prompts: _Prompts, slots: SlotAttention, active: _Active, *, n_slots: int, tokens: int
    ) -> list[Finished]:
        """Read a stretch of the prompts; those that are complete get a slot and their first token."""
        began = time.perf_counter()
        start, end, done = prompts.stretch(tokens=tokens, rows=n_slots - len(active.rows))
        if start == end:
            return []
        blocks = list(prompts.walk.blocks(start, end, rows=_BLOCK_ROWS))
        first = len(active.rows)
        captures: dict[int, list[Capture]] = {}
        for nth, (place, _) in enumerate(done):
            index, row = _located(blocks, place)
            captures.setdefault(index, []).append(Capture(row, _putter(slots, first + nth)))
        tree = prompts.tree
        sent = to_device(torch.from_numpy(np.stack([tree.ids[start:end], tree.depths[start:end]])), self._device)
        inputs = {"input_ids": sent[:1], "position_ids": sent[1:], "use_cache": False}
        columns = to_device(torch.tensor([place - start for place, _ in done] or [0]), self._device)
        with torch.inference_mode(), self._tree.over(blocks, captures):
            logits = _joined(self._head.logits(inputs, torch.zeros_like(columns), columns))
        self.n_computed += end - start
        rows = [row for _, row in done]
        slots.lengths += [len(row.ids) for row in rows]
        active.rows += rows
        active.tokens += [0] * len(rows)
        active.seconds += [0.0] * len(rows)
        return self._advance(slots, active, logits[: len(rows)], range(first, len(active.rows)), began)

    def _step(self, slots: SlotAttention, active: _Active) -> list[Finished]:
        """One token for every text."""
        began = time.perf_counter()
        n = len(active.rows)
        with torch.inference_mode(), slots.step() as positions:
            sent = to_device(torch.tensor([active.tokens, positions]), self._device)[:, :, None]
            inputs = {"input_ids": sent[0], "position_ids": sent[1], "use_cache": False}
            at = torch.arange(n, device=self._device)
            logits = _joined(self._head.logits(inputs, at, torch.zeros_like(at)))
        self.n_computed += n
        return self._advance(slots, active, logits, range(n), began)

    def _advance(
        self, slots: SlotAttention, active: _Active, logits: torch.Tensor, at: range, began: float
    ) -> list[Finished]:
        """Give the texts in the slots `at` their next token, by `logits`; those that end with it leave."""
        if not len(at):
            return []
        likeliest = _likeliest(logits)
        if any(active.rows[index].stream is not None for index in at):
            # What is drawn is drawn on the host: one transfer for all rows.
            logits = logits.cpu()
        ended: list[int] = []
        for index, scores, token in zip(at, logits, likeliest, strict=True):
            row = active.rows[index]
            active.tokens[index] = row.choose(scores, token)
            if self._ending.add(row, active.tokens[index]):
                ended.append(index)
        share = (time.perf_counter() - began) / len(at)
        for index in at:
            active.seconds[index] += share
        finished = []
        with torch.inference_mode():
            for index in reversed(ended):
                finished.append(Finished(active.rows[index], active.seconds[index]))
                slots.drop(index)
                active.drop(index)
        return finished


def _likeliest(logits: torch.Tensor) -> list[int]:
    """The likeliest token of each of the (n, vocabulary) `logits`.

    Raises:
        ArithmeticError: some are not numbers; through a mask, too, such keys reach the texts beside theirs.
    """
    # On a CPU NumPy finds the largest in a quarter of the time. For both NaN is the largest of all.
    best = torch.from_numpy(logits.numpy().argmax(axis=-1)) if logits.device.type == "cpu" else logits.argmax(dim=-1)
    if bool(logits.gather(1, best[:, None]).isnan().any()):
        raise ArithmeticError("the model computed NaN")
    return best.tolist()


def _joined(slices: Iterator[torch.Tensor]) -> torch.Tensor:
    found = list(slices)
    return found[0] if len(found) == 1 else torch.cat(found)


def _located(blocks: Sequence[Block], place: int) -> tuple[int, int]:
    """The index of the block that holds `place`, and the row of it."""
    starts = np.array([block.start for block in blocks])
    index = int(np.searchsorted(starts, place, side="right")) - 1
    return index, place - blocks[index].start


def _putter(slots: SlotAttention, slot: int) -> Any:
    def put(layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        slots.put(slot, layer, keys, values)

    return put
