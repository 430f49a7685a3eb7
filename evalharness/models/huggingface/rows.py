"""Likelihood requests cut into rows for the model, and the rows' results put together again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from evalharness.core.types import Json, LogLikelihood, Request, Response

from .ahead import one_ahead
from .memory import Failure, Outcome
from .tokens import Encoded, RequestError

__all__ = ["Plan", "Row", "causal_rows", "error_response", "notes", "score"]

# Requests whose rows are worked on together: enough that they share what can be shared and that rows of a batch are
# nearly equally long, few enough that responses come steadily and that token ids do not fill the memory.
_CHUNK = 1024
_CHUNK_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One input of the model: `inputs`, read after `source` where there is an encoder.

    At `positions` of the inputs it is looked up how likely the tokens of each of `targets` are (alternatives, each as
    long as `positions`); what is found is added to the slot of the same place in `slots`.
    """

    inputs: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    slots: tuple[int, ...]
    source: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """How many tokens the model reads."""
        return len(self.source) + len(self.inputs)


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of one request, and how many log-likelihoods they add up to."""

    rows: tuple[Row, ...]
    n_slots: int
    input_tokens: int
    meta: Mapping[str, Json] = field(default_factory=dict)


def causal_rows(pairs: Sequence[Encoded], *, source: tuple[int, ...] = ()) -> tuple[Row, ...]:
    """The rows that score each pair: a model reads all tokens but the last and predicts the next at each.

    Continuations that differ in their last token only (all those of one token) are read off one row.
    """
    alike: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for slot, pair in enumerate(pairs):
        inputs = (*pair.context, *pair.continuation[:-1])
        alike.setdefault((inputs, len(pair.continuation)), []).append(slot)
    return tuple(
        Row(
            inputs=inputs,
            positions=tuple(range(len(inputs) - n_scored, len(inputs))),
            targets=tuple(pairs[slot].continuation for slot in slots),
            slots=tuple(slots),
            source=source,
        )
        for (inputs, n_scored), slots in alike.items()
    )


def notes(*, n_cut: int = 0, merged: bool = False) -> dict[str, Json]:
    """What a response says in `meta` of an input that was not read as it stood."""
    found: dict[str, Json] = {}
    if n_cut:
        found["truncated_tokens"] = n_cut
    if merged:
        found["merged_with_context"] = True
    return found


def error_response(request: Request, message: str) -> Response:
    """The response to a request that could not be answered."""
    return Response(key=request.key, status="error", error=message)


Compute: TypeAlias = Callable[[Sequence[Row]], Iterator[Sequence[Outcome[Row, list[LogLikelihood]]]]]
"""The outcome of each of the rows, in any order."""


@dataclass(slots=True)
class _Open:
    """A request whose rows are being computed."""

    request: Request
    plan: Plan
    n_left: int
    totals: list[float]
    counts: list[int]
    greedy: list[bool]
    seconds: float = 0.0
    error: str | None = None

    def add(self, row: Row, found: Sequence[LogLikelihood]) -> None:
        for slot, part in zip(row.slots, found, strict=True):
            self.totals[slot] += part.total
            self.counts[slot] += part.n_tokens
            self.greedy[slot] = self.greedy[slot] and part.is_greedy

    def response(self) -> Response:
        if self.error is None and any(math.isnan(total) for total in self.totals):
            self.error = "the log-likelihood is not a number: the model computed NaN (float16 overflows; try bfloat16)"
        if self.error is not None:
            return error_response(self.request, self.error)
        found = zip(self.totals, self.counts, self.greedy, strict=True)
        return Response(
            key=self.request.key,
            loglikelihoods=tuple(LogLikelihood(total, n, is_greedy) for total, n, is_greedy in found),
            input_tokens=self.plan.input_tokens,
            output_tokens=0,
            latency_s=self.seconds,
            meta=self.plan.meta,
        )


def score(
    requests: Iterable[Request],
    *,
    plan: Callable[[Request], Plan],
    compute: Compute,
    prepare: Callable[[Sequence[Request]], None] = lambda requests: None,
    ahead: bool = False,
) -> Iterator[list[Response]]:
    """The responses to `requests`, as soon as the last row of each is done; rows of many are worked on together.

    `prepare` sees the requests before they are planned, many at a time; with `ahead`, the next ones are planned on a
    thread while these are computed. `latency_s` of a request is the sum over its rows of each row's share of the time,
    so that latencies add up to the time that the model worked. A request whose plan or row fails is a response with
    status "error". No more requests are held than are worked on.
    """
    portions = _planned(requests, plan, prepare)
    for ready, opened in one_ahead(portions) if ahead else portions:
        if ready:
            yield ready
        yield from _answered(opened, compute)


def _planned(
    requests: Iterable[Request], plan: Callable[[Request], Plan], prepare: Callable[[Sequence[Request]], None]
) -> Iterator[tuple[list[Response], list[_Open]]]:
    """Portions of work: the responses that are known without any, and the requests to compute."""
    waiting = iter(requests)
    while group := list(itertools.islice(waiting, _CHUNK)):
        prepare(group)
        ready: list[Response] = []
        opened: list[_Open] = []
        n_tokens = 0
        for request in group:
            try:
                found = plan(request)
            except RequestError as error:
                ready.append(error_response(request, str(error)))
                continue
            n = found.n_slots
            item = _Open(request, found, len(found.rows), [0.0] * n, [0] * n, [True] * n)
            if not found.rows:
                ready.append(item.response())
                continue
            opened.append(item)
            n_tokens += sum(row.length for row in found.rows)
            if n_tokens > _CHUNK_TOKENS:
                yield ready, opened
                ready, opened, n_tokens = [], [], 0
        yield ready, opened


def _answered(opened: Sequence[_Open], compute: Compute) -> Iterator[list[Response]]:
    owners = {id(row): item for item in opened for row in item.plan.rows}
    for outcomes in compute([row for item in opened for row in item.plan.rows]):
        done = []
        for outcome in outcomes:
            item = owners[id(outcome.item)]
            item.n_left -= 1
            item.seconds += outcome.seconds
            if isinstance(outcome.result, Failure):
                item.error = item.error or outcome.result.message
            else:
                item.add(outcome.item, outcome.result)
            if not item.n_left:
                done.append(item.response())
        if done:
            yield done
