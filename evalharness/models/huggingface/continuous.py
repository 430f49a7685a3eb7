"""Decoding with rows that come and go: a text that ends makes room for the next one at once.

Prompts are read as a prefix tree (what they share is computed once), then each text has a slot and gets a token a
step. Nothing is padded but the attention of shorter texts, and no text is carried on after its end.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from evalharness.core.memory import trim_memory

from .attention import AttentionRule, AttentionSwitch, UnsupportedModelError
from .decoding import Decoding, Ending
from .head import Head
from .slots import SlotAttention
from .transfer import to_device
from .tree import Block, TokenTree, Walk
from .tree_attention import Capture, TreeAttention, rows_of_block

__all__ = ["ContinuousDecoder"]


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
    _reading: float = 0.0  # seconds spent on prompts that are not complete

    def add(self, rows: Sequence[Decoding]) -> None:
        """Take `rows` in, behind the others."""
        self.rows += rows
        self.tokens += [0] * len(rows)
        self.seconds += [0.0] * len(rows)

    def spend(self, seconds: float, *, n_stepped: int, n_read: int) -> None:
        """Share the time of a pass out, by tokens: one of each of the first `n_stepped` texts, `n_read` of prompts.

        The prompts' part is that of the texts that are new with this pass.
        """
        share = seconds / (n_stepped + n_read)
        self._reading += share * n_read
        n_new = len(self.rows) - n_stepped
        for index in range(n_stepped):
            self.seconds[index] += share
        for index in range(n_stepped, len(self.rows)):
            self.seconds[index] += self._reading / n_new
        if n_new:
            self._reading = 0.0

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
        self._block_rows = rows_of_block(device)
        self._head = head or Head(model)
        self._switch = AttentionSwitch(model)
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
                if not prompts.ends and prompts.deferred:
                    prompts = _Prompts.of(prompts.deferred)
                reads = bool(prompts.ends)
                if ended := self._pass(prompts, slots, active, n_free=n_slots - len(active.rows), tokens=tokens):
                    yield ended
                if reads and not prompts.ends:
                    # Nobody reads below what is held of the prompts any more.
                    self._tree.reset()
                    if self._device == "cpu":
                        trim_memory()
        finally:
            self._tree.reset()

    def _pass(
        self, prompts: _Prompts, slots: SlotAttention, active: _Active, *, n_free: int, tokens: int
    ) -> list[Finished]:
        """One pass of the model over the last token of every text, and behind them a stretch of the prompts.

        Together, since reading the weights takes most of the time for either alone. Prompts that are complete get a
        slot and their first token.
        """
        began = time.perf_counter()
        n = len(active.rows)
        start, end, done = prompts.stretch(tokens=tokens, rows=n_free) if n_free else (0, 0, [])
        tree = prompts.tree
        blocks = list(prompts.walk.blocks(start, end, rows=self._block_rows)) if end > start else []
        captures: dict[int, list[Capture]] = {}
        for nth, (place, _) in enumerate(done):
            index, row = _located(blocks, place)
            captures.setdefault(index, []).append(Capture(row, _putter(slots, n + nth)))
        with contextlib.ExitStack() as attention:
            positions = attention.enter_context(slots.step())
            attention.enter_context(self._tree.over(blocks, captures))
            attention.enter_context(self._switch.using(_Both(slots, self._tree, n)))
            ids = np.concatenate([np.array(active.tokens, dtype=np.int64), tree.ids[start:end]])
            depths = np.concatenate([np.array(positions, dtype=np.int64), tree.depths[start:end]])
            sent = to_device(torch.from_numpy(np.stack([ids, depths])), self._device)
            inputs = {"input_ids": sent[:1], "position_ids": sent[1:], "use_cache": False}
            # Of a stretch that ends within a prompt nothing is looked at, but the model must make something.
            at = [*range(n), *(n + place - start for place, _ in done)] or [0]
            columns = to_device(torch.tensor(at), self._device)
            with torch.inference_mode():
                logits = _joined(self._head.logits(inputs, torch.zeros_like(columns), columns))
        self.n_computed += n + end - start
        active.add([row for _, row in done])
        slots.lengths += [len(row.ids) for _, row in done]
        ended = self._choose(active, logits[: len(active.rows)])
        active.spend(time.perf_counter() - began, n_stepped=n, n_read=end - start)
        finished = []
        with torch.inference_mode():
            for index in reversed(ended):
                finished.append(Finished(active.rows[index], active.seconds[index]))
                slots.drop(index)
                active.drop(index)
        return finished

    def _choose(self, active: _Active, logits: torch.Tensor) -> list[int]:
        """Give every text its next token, by `logits`; the places of those that end with it."""
        if not active.rows:
            return []
        likeliest = _likeliest(logits)
        if any(row.stream is not None for row in active.rows):
            # What is drawn is drawn on the host: one transfer for all rows.
            logits = logits.cpu()
        active.tokens = [row.choose(*found) for row, *found in zip(active.rows, logits, likeliest, strict=True)]
        return [
            index
            for index, (row, token) in enumerate(zip(active.rows, active.tokens, strict=True))
            if self._ending.add(row, token)
        ]


class _Both:
    """Attention of a row whose first `n` tokens are one of each slot, and whose others are a stretch of the tree."""

    def __init__(self, slots: SlotAttention, tree: TreeAttention, n: int) -> None:
        self._slots = slots
        self._tree = tree
        self._n = n

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: AttentionRule
    ) -> torch.Tensor:
        """(1, tokens, heads, width) what they see."""
        if query.shape[0] != 1:
            raise UnsupportedModelError("it changes the batch before it attends")
        n = self._n
        seen: list[torch.Tensor] = []
        if n:
            q, k, v = (tensor[:, :, :n].transpose(0, 2) for tensor in (query, key, value))
            seen.append(self._slots(q, k, v, rule).transpose(0, 1))
        if n < query.shape[2]:
            seen.append(self._tree(query[:, :, n:], key[:, :, n:], value[:, :, n:], rule))
        return seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)


def _likeliest(logits: torch.Tensor) -> list[int]:
    """The likeliest token of each of the (n, vocabulary) `logits`.

    Raises:
        ArithmeticError: some are not numbers; through a mask, too, such keys reach the texts beside theirs.
    """
    # On a CPU NumPy finds the largest in a quarter of the time. For both NaN is the largest of all.
    best = torch.from_numpy(logits.numpy().argmax(axis=-1)) if logits.device.type == "cpu" else logits.argmax(dim=-1)
    if bool(logits.gather(1, best[:, None]).isnan().any()):
        raise ArithmeticError("the model computed NaN")
    found: list[int] = best.tolist()
    return found


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
