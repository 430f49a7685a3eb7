"""Whether rows of unequal length may share a batch: asked of the model itself, not of a list of names.

Most models are told by a mask to pass over the padding behind shorter rows. One that is not (FNet mixes all columns,
Funnel pools them, ConvBERT's convolutions and ProphetNet's n-grams reach into it) says something else of a text beside
a longer one than alone: there, only rows of one length go together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from evalharness.core.types import Json, LogLikelihood

from .memory import BatchSize, Outcome, raise_if_lost, run_batches
from .probe import tolerance_of
from .rows import Row
from .tokens import Tokens

__all__ = ["PaddedBatches", "encoder_decoder_probes", "made_up_texts", "masked_probes", "row_batches"]

T = TypeVar("T")
R = TypeVar("R")

# What is computed alone and in a batch differs by the order of its sums only: by 1e-5 in float32.
_FLOAT32 = 2e-4


def made_up_texts(model: Any) -> list[tuple[int, ...]]:
    """Token ids of three lengths, from the middle of the vocabulary."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    n = int(config.vocab_size)
    random = np.random.default_rng(0)
    return [tuple(int(token) for token in random.integers(n // 8, max(n // 8 + 2, n // 2), k)) for k in (3, 5, 12)]


class PaddedBatches(Generic[T, R]):
    """The outcomes of `run`, in padded batches where a trial shows that padding changes nothing.

    `shape` is what must be equal of rows that are not padded, `probes` gives rows for the trial, and `apart` says how
    much two results of one row differ, in log-probabilities or logits.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Sequence[R]],
        *,
        model: Any,
        shape: Callable[[T], tuple[int, ...]],
        probes: Callable[[], Sequence[T]],
        apart: Callable[[R, R], float],
    ) -> None:
        self._run = run
        self._model = model
        self._shape = shape
        self._probes = probes
        self._apart = apart
        self._minds: float | None = None  # how much padding changes, where it changes anything
        self._tried = False

    def __call__(self, rows: Sequence[T], *, size: BatchSize) -> Iterator[list[Outcome[T, R]]]:
        """The outcome of every row, a batch at a time."""
        if not self._tried and len({self._shape(row) for row in rows}) > 1:
            self._tried = True
            self._minds = self._difference()
        ordered = sorted(rows, key=self._shape, reverse=True)
        alike = [ordered] if self._minds is None else [list(g) for _, g in itertools.groupby(ordered, self._shape)]
        for part in alike:
            yield from run_batches(part, length=lambda row: sum(self._shape(row)), size=size, run=self._run)

    def report(self) -> Mapping[str, Json]:
        """What a record says of it: nothing where all lengths go together."""
        if self._minds is None:
            return {}
        return {"why_one_length": f"on a trial padding changed what the model says by {self._minds:.2g}"}

    def _difference(self) -> float | None:
        """How much padding changes the results of a few rows; None where rounding explains it."""
        tolerance = tolerance_of(self._model)
        tolerance = min(tolerance, _FLOAT32) if tolerance < 0.01 else tolerance
        try:
            probes = self._probes()
            together = self._run(probes)
            alone = [self._run([probe])[0] for probe in probes]
        except Exception as error:  # noqa: BLE001 - whatever a trial cannot do, the requests themselves will show
            raise_if_lost(f"{type(error).__name__}: {error}")
            return None
        worst = max(self._apart(a, b) for a, b in zip(together, alone, strict=True))
        return worst if worst > tolerance else None


def row_batches(
    run: Callable[[Sequence[Row]], Sequence[list[LogLikelihood]]], *, model: Any, probes: Callable[[], Sequence[Row]]
) -> PaddedBatches[Row, list[LogLikelihood]]:
    """Batches of likelihood rows, of which `run` computes one."""
    return PaddedBatches(
        run,
        model=model,
        shape=lambda row: (len(row.source), len(row.inputs)),
        probes=probes,
        apart=lambda a, b: max(abs(x.total - y.total) / x.n_tokens for x, y in zip(a, b, strict=True)),
    )


def encoder_decoder_probes(model: Any, tokens: Tokens, *, begin: tuple[int, ...]) -> list[Row]:
    """A short target after a long source, and the other way round."""
    texts = made_up_texts(model)
    return [
        Row(
            inputs=(*begin, *target[:-1]),
            positions=tuple(range(len(begin) - 1, len(begin) - 1 + len(target))),
            targets=(target,),
            slots=(0,),
            source=(*tokens.before, *source, *tokens.after),
        )
        for source, target in zip(texts, reversed(texts), strict=True)
    ]


def masked_probes(model: Any, tokens: Tokens) -> list[Row]:
    """Texts of three lengths whose last token is masked, the one that is nearest to the padding."""
    rows = []
    for text in made_up_texts(model):
        inputs = (*tokens.before, *text, *tokens.after)
        at = len(tokens.before) + len(text) - 1
        rows.append(Row(inputs, (at,), ((inputs[at],),), (0,)))
    return rows
