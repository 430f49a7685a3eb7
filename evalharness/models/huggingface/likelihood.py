"""Log-likelihoods of a causal model: as a prefix tree where that gives the same figures, the plain way elsewhere."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalharness.core.types import Json, LogLikelihood

from .attention import UnsupportedModelError
from .hardware import free_bytes
from .head import Head
from .memory import BatchSize, Failure, Outcome, run_batches
from .metering import Meter
from .prefix import PrefixScorer
from .probe import longest_tree, why_not
from .rows import Row
from .scoring import CausalScorer

__all__ = ["CausalLikelihood", "plain_way"]

RowOutcome = Outcome[Row, list[LogLikelihood]]


def plain_way(rows: Sequence[Row], *, size: BatchSize, run: Any) -> Iterator[list[RowOutcome]]:
    """The outcome of each row, from padded batches of rows."""
    return run_batches(rows, length=lambda row: row.length, size=size, run=run)


def _is_sound(outcome: RowOutcome) -> bool:
    return not isinstance(outcome.result, Failure) and not any(math.isnan(found.total) for found in outcome.result)


class CausalLikelihood:
    """Scores rows; `force_plain` is the reason for never taking the tree, None to let a trial decide."""

    def __init__(self, model: Any, *, plain: CausalScorer, device: str, force_plain: str | None = None) -> None:
        self._model = model
        self._plain = plain
        self._device = device
        self._reason = force_plain
        self._tree: PrefixScorer | None = None
        self._limit: int | None = None
        self._tried = force_plain is not None
        self._used = BatchSize()
        self._bytes_per_token = 0
        self._n_plain_rows = 0
        self._n_tokens = 0

    def __call__(self, rows: Sequence[Row], *, size: BatchSize, plain_size: BatchSize) -> Iterator[list[RowOutcome]]:
        """The outcome of each row; `size` bounds the tokens of a stretch of the tree, `plain_size` a padded batch."""
        self._n_tokens += sum(row.length for row in rows)
        tree = self._tree_or_none() if rows else None
        for each in (size, plain_size):
            if each.bytes_per_token is None and self._bytes_per_token:
                each.bound(self._bytes_per_token, free=free_bytes(self._device))
        self._used = plain_size if tree is None else size
        if tree is None:
            yield from self._plainly(rows, plain_size)
            return
        fits = [row for row in rows if self._limit is None or row.length <= self._limit]
        others = [row for row in rows if self._limit is not None and row.length > self._limit]
        for outcomes in tree(fits, size=size) if fits else ():
            good = [outcome for outcome in outcomes if _is_sound(outcome)]
            # Rows of one tree can spoil one another: the plain way finds out which row it is that fails.
            others += [outcome.item for outcome in outcomes if not _is_sound(outcome)]
            if good:
                yield good
        if others:
            yield from self._plainly(others, plain_size)

    def shares(self, length: int) -> bool:
        """Whether sequences of that many tokens are computed as a tree; the first to ask waits for the trial."""
        return self._tree_or_none() is not None and (self._limit is None or length <= self._limit)

    def reset(self) -> None:
        """Give back what is held of the rows before."""
        if self._tree is not None:
            self._tree.reset()

    def report(self) -> Mapping[str, Json]:
        """What was computed, in tokens, padding included: what a record says of the work.

        `tokens_distinct` are those of the prefix tree, `tokens_unshared` those of all rows, each for itself.
        """
        if not self._n_tokens:
            return {}
        tree = self._tree
        way = "plain" if tree is None else "prefix tree" if not self._n_plain_rows else "prefix tree and plain"
        report: dict[str, Json] = {"way": way, "tokens_unshared": self._n_tokens}
        if self._reason is not None:
            report["why_plain"] = self._reason
        report["tokens_computed"] = self._plain.n_computed + (tree.n_computed if tree is not None else 0)
        if tree is not None and not self._n_plain_rows:
            report["tokens_distinct"] = tree.n_distinct
        return report | self._used.report()

    def _plainly(self, rows: Sequence[Row], size: BatchSize) -> Iterator[list[RowOutcome]]:
        self._n_plain_rows += len(rows)
        return plain_way(rows, size=size, run=self._plain)

    def _tree_or_none(self) -> PrefixScorer | None:
        if not self._tried:
            self._tried = True
            try:
                self._tree = self._trial()
            except UnsupportedModelError as error:
                self._reason = str(error)
        return self._tree

    def _trial(self) -> PrefixScorer:
        config = self._model.config
        self._limit = longest_tree(config)
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        head = Head(self._model)
        trial = PrefixScorer(self._model, device=self._device, block_rows=4, head=head)
        dtype = str(next(self._model.parameters()).dtype).removeprefix("torch.")
        before = self._plain.n_computed
        plain = functools.partial(plain_way, run=self._plain)
        meter = Meter(self._model, device=self._device)
        reason = why_not(trial, plain, n_vocabulary=int(text.vocab_size), dtype=dtype, meter=meter)
        self._bytes_per_token = meter.bytes_per_token
        self._plain.n_computed = before
        if reason is not None:
            raise UnsupportedModelError(reason)
        return PrefixScorer(self._model, device=self._device, head=head)
