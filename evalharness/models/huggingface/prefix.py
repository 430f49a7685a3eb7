"""Log-likelihoods of rows with every shared prefix computed once: no padding, no token twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evalharness.core.types import LogLikelihood

from .head import Head
from .memory import BatchSize, Failure, Outcome, free_memory, is_out_of_memory, raise_if_lost
from .rows import Row
from .transfer import to_device
from .tree import TokenTree, Walk
from .tree_attention import TreeAttention, rows_of_block

__all__ = ["PrefixScorer"]

Ints = NDArray[np.int64]


@dataclass(slots=True)
class _Found:
    """What is known of the rows so far: one cell for each alternative of each row."""

    total: NDArray[np.float64]
    greedy: NDArray[np.bool_]
    left: Ints  # by row: positions that have not been looked up
    seconds: NDArray[np.float64]


@dataclass(slots=True)
class _Lookups:
    """What is asked of the layout, in its order: the log-probability of `target` after token `place`, for `cell`."""

    place: Ints
    target: Ints
    cell: Ints
    row: Ints
    first_cell: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, rows: Sequence[Row], tree: TokenTree) -> _Lookups:
        places = tree.places([row.positions for row in rows])
        place, target, cell, owner, first = [], [], [], [], []
        n_cells = 0
        for index, (row, found) in enumerate(zip(rows, places, strict=True)):
            n = len(row.targets)
            first.append(n_cells)
            place.append(np.repeat(found, n))
            target.append(np.array(row.targets, dtype=np.int64).T.reshape(-1))
            cell.append(np.tile(np.arange(n_cells, n_cells + n), len(found)))
            owner.append(np.full(n * len(found), index))
            n_cells += n
        joined = np.concatenate(place)
        order = np.argsort(joined, kind="stable")
        return cls(
            joined[order],
            np.concatenate(target)[order],
            np.concatenate(cell)[order],
            np.concatenate(owner)[order],
            np.array([*first, n_cells], dtype=np.int64),
        )


class PrefixScorer:
    """Scores rows of a causal model as one prefix tree; `head` is its last layer, where that has been tried already.

    `block_rows` tokens attend together (default: what suits the device).

    Raises:
        UnsupportedModelError: the model's attention cannot be made to see a tree.
    """

    def __init__(self, model: Any, *, device: str, block_rows: int | None = None, head: Head | None = None) -> None:
        self._model = model
        self._device = device
        self._block_rows = block_rows or rows_of_block(device)
        self._attention = TreeAttention(model)
        self._head = head or Head(model)
        self._held: Ints = np.zeros(0, dtype=np.int64)
        self.n_computed = 0
        self.n_distinct = 0

    def reset(self) -> None:
        """Forget the prefix that is held from the rows before, and give its memory back."""
        self._held = np.zeros(0, dtype=np.int64)
        self._attention.reset()

    def __call__(self, rows: Sequence[Row], *, size: BatchSize) -> Iterator[list[Outcome[Row, list[LogLikelihood]]]]:
        """The outcome of each row as soon as its last token is computed; `size.tokens` is how many go together.

        When memory ends, `size` shrinks to half and the rows that have no outcome yet are begun anew. A row that
        fails for another reason fails with all that are still open: only the plain way can tell which one it is.
        """
        open_rows = list(rows)
        while open_rows:
            done: list[Row] = []
            failure: tuple[str, bool] | None = None
            walk = self._walk(open_rows, size)
            while True:
                try:
                    finished = next(walk, None)
                except Exception as error:  # noqa: BLE001 - the per-request boundary: recorded for the rows that fail
                    failure = f"{type(error).__name__}: {error}", is_out_of_memory(error)
                    break
                if finished is None:
                    break
                done += [outcome.item for outcome in finished]
                yield finished
            if failure is None:
                return
            message, memory_ended = failure
            raise_if_lost(message)
            self.reset()
            finished_ids = {id(row) for row in done}
            open_rows = [row for row in open_rows if id(row) not in finished_ids]
            tokens = size.tokens or 1
            if not memory_ended or tokens <= 1:
                yield [Outcome(row, Failure(message), 0.0) for row in open_rows]
                return
            free_memory()
            size.tokens = max(1, tokens // 2)

    def _walk(self, rows: Sequence[Row], size: BatchSize) -> Iterator[list[Outcome[Row, list[LogLikelihood]]]]:
        # What is looked up after a token must be computed now, even where the token is held.
        usable = min(row.positions[0] for row in rows)
        tree = TokenTree([row.inputs for row in rows], held=self._held[:usable])
        lookups = _Lookups.of(rows, tree)
        walk = Walk(tree)
        n_cells = int(lookups.first_cell[-1])
        found = _Found(
            np.zeros(n_cells),
            np.ones(n_cells, dtype=bool),
            np.bincount(lookups.row, minlength=len(rows)).astype(np.int64),
            np.zeros(len(rows)),
        )
        self.n_distinct += len(tree)
        start = 0
        while start < len(tree):
            end = min(start + (size.tokens or len(tree)), len(tree))
            began = time.perf_counter()
            low, high = np.searchsorted(lookups.place, [start, end])
            here = slice(int(low), int(high))
            self._compute(tree, walk, start, end, lookups, here, found)
            touched = np.unique(lookups.row[here])
            if len(touched):
                found.seconds[touched] += (time.perf_counter() - began) / len(touched)
            finished = touched[found.left[touched] == 0]
            if len(finished):
                yield [self._outcome(rows, lookups, found, int(index)) for index in finished]
            start = end
        self._attention.move(walk.settle())
        self._held = np.asarray(rows[tree.order[-1]].inputs, dtype=np.int64)

    def _compute(
        self, tree: TokenTree, walk: Walk, start: int, end: int, lookups: _Lookups, here: slice, found: _Found
    ) -> None:
        """Run the tokens [start, end) through the model and take down what is asked of them."""
        blocks = list(walk.blocks(start, end, rows=self._block_rows))
        sent = to_device(torch.from_numpy(np.stack([tree.ids[start:end], tree.depths[start:end]])), self._device)
        inputs = {"input_ids": sent[:1], "position_ids": sent[1:], "use_cache": False}
        places, nth = np.unique(lookups.place[here], return_inverse=True)
        # A stretch of which nothing is asked still has to go through the layers: one position stands for it.
        at_places = torch.from_numpy(places - start if len(places) else np.zeros(1, dtype=np.int64))
        columns = to_device(at_places, self._device)
        asked = torch.from_numpy(np.stack([nth, lookups.target[here]]))
        values, best = [], []
        with torch.inference_mode(), self._attention.over(blocks):
            at = 0
            for piece in self._head.logits(inputs, torch.zeros_like(columns), columns):
                # Sent once, to where the logits are: of a model on several GPUs not where its inputs are.
                asked = to_device(asked, piece.device)
                low, high = map(int, np.searchsorted(nth, [at, at + piece.shape[0]]))
                rows, targets = asked[0, low:high] - at, asked[1, low:high]
                # log softmax = logit − logsumexp: the softmax of the whole vocabulary is never written down.
                values.append(piece[rows, targets] - piece.logsumexp(dim=-1)[rows])
                best.append(piece.argmax(dim=-1)[rows] == targets)
                at += piece.shape[0]
            # Together, since the host waits here for the device: once a stretch.
            total, greedy = torch.stack([torch.cat(values), torch.cat(best).float()]).cpu().numpy()
        self.n_computed += end - start
        np.add.at(found.total, lookups.cell[here], total.astype(np.float64))
        np.logical_and.at(found.greedy, lookups.cell[here], greedy > 0)
        np.subtract.at(found.left, lookups.row[here], 1)

    @staticmethod
    def _outcome(
        rows: Sequence[Row], lookups: _Lookups, found: _Found, index: int
    ) -> Outcome[Row, list[LogLikelihood]]:
        row = rows[index]
        cells = range(int(lookups.first_cell[index]), int(lookups.first_cell[index + 1]))
        result = [
            LogLikelihood(float(found.total[cell]), len(target), bool(found.greedy[cell]))
            for cell, target in zip(cells, row.targets, strict=True)
        ]
        return Outcome(row, result, float(found.seconds[index]))
