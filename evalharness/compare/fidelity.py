"""How faithful a compressed or retrained model is to its base, token by token, on the texts that both have read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..core.errors import NotComparableError
from ..core.protocols import Array
from ..core.token_scores import TOKEN_SCORES, TokenScores
from ..metrics.base import BOOTSTRAP, BaseMetric, ratio
from ..metrics.interval import summarize
from ..stats.divergence import divergence

if TYPE_CHECKING:
    from ..record import Record
    from ..record.rows import SampleRow

__all__ = ["Fidelity", "FidelityFigure", "TokensOf", "fidelity", "tells_tokens"]


class TokensOf(NamedTuple):
    """Where token scores are read: a task of one model in a record."""

    record: Record
    task: str
    model: str


@dataclass(frozen=True, slots=True)
class FidelityFigure:
    """A figure of a candidate against its base, with its interval; `unit` says what it counts in."""

    name: str
    value: float
    low: float
    high: float
    method: str
    unit: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """A candidate against its base on one task: `figures` over `n_tokens` tokens of `n_texts` texts that both read.

    `kl` is KL(base ‖ candidate) a token in nats, over the tokens that both told and all others as one: at most the
    divergence over the whole vocabulary. `shared` is the share of the base's mass on tokens that both told.
    `same_top` is the share of places where both find the same token likeliest. `perplexity_ratio` is the candidate's
    perplexity a token over the base's, of the same tokens.
    """

    task: str
    model: str
    base_model: str
    n_texts: int
    n_only_candidate: int
    n_only_base: int
    n_tokens: int
    shared: float
    figures: tuple[FidelityFigure, ...]


@dataclass(frozen=True, slots=True)
class _PerToken(BaseMetric):
    """Σ sum / Σ tokens over texts; its exponential for `exponential`."""

    exponential: bool = False

    name = "per_token"
    bounds = (-math.inf, math.inf)
    interval = BOOTSTRAP

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "tokens", "sum")

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        value = ratio(totals[..., 2], totals[..., 1])
        return np.exp(value) if self.exponential else value


def tells_tokens(record: Record, task: str, model: str) -> bool:
    """Whether the record holds what `fidelity` reads, by the first usable answer of the task."""
    rows = (row for row in record.iter_samples(task=task, model=model) if row.response.status == "ok")
    first = next(rows, None)
    return first is not None and TOKEN_SCORES in first.response.meta


def fidelity(candidate: TokensOf, base: TokensOf, *, confidence: float = 0.95) -> Fidelity:
    """What became of the base's predictions in the candidate, on the texts of a perplexity task that both have.

    Intervals resample texts (or their clusters), since tokens of a text are not independent. Texts are gone through
    side by side: what is held are those that the other side has not come to.

    Raises:
        NotComparableError: a record holds no scores of tokens, the models cut a text into other tokens, or they have no
            text in common.
    """
    rows: list[tuple[float, ...]] = []
    clusters: list[str | None] = []
    alone = [0, 0]
    for ours, theirs in _paired(candidate, base, alone):
        rows.append(_row(_scores(ours, candidate), _scores(theirs, base), ours, candidate, base))
        clusters.append(ours.sample.cluster)
    if not rows:
        raise NotComparableError(
            f"{candidate.task} of {candidate.model} in {candidate.record.id} has no text in common with {base.task} of "
            f"{base.model} in {base.record.id}; run both on the same data"
        )
    table = np.array(rows, dtype=np.float64)
    tokens = table[:, 0]

    def figure(name: str, column: int, unit: str, *, exponential: bool = False) -> FidelityFigure:
        stats = np.stack([np.ones(len(table)), tokens, table[:, column]], axis=1)
        metric = _PerToken(exponential=exponential)
        seed = candidate.record.manifest.seed
        found = summarize(metric, stats, clusters=clusters, confidence=confidence, seed=seed)
        return FidelityFigure(name, found.value, found.low, found.high, found.method, unit)

    return Fidelity(
        task=candidate.task,
        model=candidate.model,
        base_model=base.model,
        n_texts=len(table),
        n_only_candidate=alone[0],
        n_only_base=alone[1],
        n_tokens=int(tokens.sum()),
        shared=float(table[:, 3].sum() / tokens.sum()) if tokens.sum() else math.nan,
        figures=(
            figure("kl", 1, "nats a token"),
            figure("same_top", 2, "share of tokens"),
            figure("perplexity_ratio", 4, "candidate / base", exponential=True),
        ),
    )


def _row(
    ours: TokenScores, theirs: TokenScores, row: SampleRow, candidate: TokensOf, base: TokensOf
) -> tuple[float, ...]:
    """Tokens of a text, and summed over them: divergence, same likeliest token, shared mass, log p − log q."""
    if not np.array_equal(ours.ids, theirs.ids):
        raise NotComparableError(
            f"{candidate.model} and {base.model} cut the text of sample {row.sample.id!r} into other tokens "
            f"({len(ours.ids)} and {len(theirs.ids)}): their predictions cannot be compared token by token; leave "
            "--preset out and compare bits_per_byte, which does not depend on the tokenizer"
        )
    found = divergence(
        theirs.ids, theirs.logprobs, ours.logprobs, theirs.top_ids, theirs.top_logprobs, ours.top_ids, ours.top_logprobs
    )
    lost = theirs.logprobs.sum(dtype=np.float64) - ours.logprobs.sum(dtype=np.float64)
    return (
        float(len(ours.ids)),
        float(found.nats.sum()),
        float(found.same_top.sum()),
        float(found.shared.sum()),
        float(lost),
    )


def _scores(row: SampleRow, where: TokensOf) -> TokenScores:
    try:
        return TokenScores.from_json(row.response.meta.get(TOKEN_SCORES))
    except ValueError as error:
        raise NotComparableError(
            f"{where.task} of {where.model} in {where.record.id} has no scores of tokens for sample {row.sample.id!r} "
            f"({error}); run it again with `top_logprobs: 50` in the task"
        ) from error


def _paired(candidate: TokensOf, base: TokensOf, alone: list[int]) -> Iterator[tuple[SampleRow, SampleRow]]:
    """The rows of texts that both have, by content; `alone` is told how many only one of them has."""
    waiting: tuple[dict[str, SampleRow], dict[str, SampleRow]] = ({}, {})
    for pair in zip_longest(_usable(candidate), _usable(base)):
        for side, row in enumerate(pair):
            if row is None:
                continue
            other = waiting[1 - side].pop(row.sample.digest, None)
            if other is None:
                waiting[side].setdefault(row.sample.digest, row)
            else:
                yield (row, other) if side == 0 else (other, row)
    alone[:] = [len(rows) for rows in waiting]


def _usable(where: TokensOf) -> Iterable[SampleRow]:
    rows = where.record.iter_samples(task=where.task, model=where.model)
    return (row for row in rows if row.response.status == "ok")
