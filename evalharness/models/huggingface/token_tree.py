"""The log-probability of every token of lists of ids, with every shared prefix computed once.

What `token_logprobs.TokenScorer` gives, from one prefix tree in place of padded batches: the likeliest tokens at a
place depend on the tokens before it alone, so that lists which share them share those, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .head import Head
from .memory import BatchSize
from .token_logprobs import TokenScores, WantedScores, n_inputs
from .transfer import to_device
from .tree import TokenTree, Walk
from .tree_attention import TreeAttention, rows_of_block

__all__ = ["TreeTokenScorer"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(slots=True)
class _Asked:
    """What is asked of the layout, in its order: after token `place`, the log-probability of `target`.

    `row` and `at` say for which list, and for which of its places. `rank` counts the distinct places.
    """

    place: Ints
    target: Ints
    row: Ints
    at: Ints
    rank: Ints

    @classmethod
    def of(cls, batch: Sequence[WantedScores], spans: Sequence[range], tree: TokenTree) -> _Asked:
        places = np.concatenate(tree.places(spans))
        order = np.argsort(places, kind="stable")
        targets = [
            wanted.ids[at + 1] if at + 1 < len(wanted.ids) else 0
            for wanted, span in zip(batch, spans, strict=True)
            for at in span
        ]
        rows = np.repeat(np.arange(len(batch)), [len(span) for span in spans])
        at = np.concatenate([np.arange(len(span)) for span in spans])
        rank = np.unique(places[order], return_inverse=True)[1]
        return cls(places[order], np.array(targets, dtype=np.int64)[order], rows[order], at[order], rank)


class TreeTokenScorer:
    """Scores lists of ids with a causal model as one prefix tree.

    Raises:
        UnsupportedModelError: the model's attention cannot be made to see a tree.
    """

    def __init__(self, model: Any, *, device: str, block_rows: int | None = None) -> None:
        self._device = device
        self._block_rows = block_rows or rows_of_block(device)
        self._attention = TreeAttention(model)
        self._head = Head(model)
        self.n_computed = 0

    def __call__(self, batch: Sequence[WantedScores], *, size: BatchSize) -> Iterator[list[tuple[int, TokenScores]]]:
        """(place in `batch`, scores) of each list as soon as its last token is computed; whatever fails is raised.

        `size.tokens` is how many go through the model together.
        """
        spans = [range(wanted.first, n_inputs(wanted)) for wanted in batch]
        empty = [index for index, span in enumerate(spans) if not span]
        if empty:
            yield [(index, TokenScores((), ())) for index in empty]
        rows = [index for index, span in enumerate(spans) if span]
        if not rows:
            return
        try:
            for finished in self._walk([batch[i] for i in rows], [spans[i] for i in rows], size.tokens):
                yield [(rows[index], scores) for index, scores in finished]
        finally:
            self._attention.reset()

    def _walk(
        self, batch: Sequence[WantedScores], spans: Sequence[range], at_once: int | None
    ) -> Iterator[list[tuple[int, TokenScores]]]:
        tree = TokenTree([wanted.ids[: n_inputs(wanted)] for wanted in batch])
        asked = _Asked.of(batch, spans, tree)
        n_top = max(1, *(wanted.top for wanted in batch), 1)
        own: Floats = np.zeros(len(asked.place), dtype=np.float32)
        n_places = int(asked.rank[-1]) + 1
        # -1 stays where there are fewer tokens than are asked for.
        ids: Ints = np.full((n_places, n_top), -1, dtype=np.int64)
        values: Floats = np.zeros((n_places, n_top), dtype=np.float32)
        left = np.bincount(asked.row, minlength=len(batch))
        # Of each list, where its places stand among what is asked, in its own order.
        mine = np.split(np.lexsort((asked.at, asked.row)), np.cumsum(left)[:-1])
        walk = Walk(tree)
        for start in range(0, len(tree), at_once or len(tree)):
            end = min(start + (at_once or len(tree)), len(tree))
            low, high = (int(cut) for cut in np.searchsorted(asked.place, [start, end]))
            here = slice(low, high)
            self._compute(tree, walk, (start, end), asked, here, n_top, (own, ids, values))
            np.subtract.at(left, asked.row[here], 1)
            touched = np.unique(asked.row[here])
            finished = [int(row) for row in touched if not left[row]]
            if finished:
                yield [
                    (row, _scores(batch[row], spans[row], own[mine[row]], asked.rank[mine[row]], ids, values))
                    for row in finished
                ]

    def _compute(
        self,
        tree: TokenTree,
        walk: Walk,
        stretch: tuple[int, int],
        asked: _Asked,
        here: slice,
        n_top: int,
        into: tuple[Floats, Ints, Floats],
    ) -> None:
        """Run the tokens of `stretch` through the model and take down what is asked of them."""
        start, end = stretch
        own, ids, values = into
        blocks = list(walk.blocks(start, end, rows=self._block_rows))
        sent = to_device(torch.from_numpy(np.stack([tree.ids[start:end], tree.depths[start:end]])), self._device)
        inputs = {"input_ids": sent[:1], "position_ids": sent[1:], "use_cache": False}
        places = np.unique(asked.place[here])
        # A stretch of which nothing is asked still has to go through the layers: one position stands for it.
        columns = to_device(torch.from_numpy(places - start if len(places) else np.zeros(1, np.int64)), self._device)
        self.n_computed += end - start
        first = int(asked.rank[here.start]) if len(places) else 0
        nth = asked.rank[here] - first
        with torch.inference_mode(), self._attention.over(blocks):
            done = 0
            for piece in self._head.logits(inputs, torch.zeros_like(columns), columns):
                if not len(places):
                    break
                low, high = (int(cut) for cut in np.searchsorted(nth, [done, done + piece.shape[0]]))
                rows = torch.from_numpy(nth[low:high] - done).to(piece.device)
                targets = torch.from_numpy(asked.target[here][low:high]).to(piece.device)
                # log softmax = logit - logsumexp. The rank-1 token and a target that is the same give the same float.
                total = piece.logsumexp(dim=-1, keepdim=True)
                best = piece.topk(min(n_top, piece.shape[1]), dim=-1)
                cells = slice(first + done, first + done + piece.shape[0])
                own[here.start + low : here.start + high] = (piece[rows, targets] - total[rows, 0]).cpu().numpy()
                ids[cells, : best.indices.shape[1]] = best.indices.cpu().numpy()
                values[cells, : best.indices.shape[1]] = (best.values - total).cpu().numpy()
                done += piece.shape[0]


def _scores(wanted: WantedScores, span: range, own: Floats, ranks: Ints, ids: Ints, values: Floats) -> TokenScores:
    n_top = max(1, wanted.top)
    known = [place + 1 < len(wanted.ids) for place in span]
    return TokenScores(
        logprobs=tuple(value for value, there in zip(own.tolist(), known, strict=True) if there),
        top=tuple(
            tuple(
                (token, value)
                for token, value in zip(ids[rank, :n_top].tolist(), values[rank, :n_top].tolist(), strict=True)
                if token >= 0
            )
            for rank in ranks
        ),
    )
