"""What a run would ask, use, cost and take, told before anything is sent: `forecast`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from evalharness.core.types import Json, Request, Response
from evalharness.suite.judges import judge_notes
from evalharness.suite.schema import Price, Suite

from .batch_run import BatchSizes
from .budget import Limits
from .estimate import Tokens, estimate, estimated_usd, is_attack, model_calls, most_output_tokens
from .execute import CacheMode, Store
from .prepare import Prepared, prepare
from .store import ResponseStore

__all__ = ["Forecast", "Work", "forecast"]

_LOOKED_UP = 500


@dataclass(slots=True)
class Work:
    """What one task asks of one model.

    Of the `n_requests` those in the store are not asked again, and one that stands twice is asked once; the tokens,
    costs and seconds are those of the `n_to_ask` that are left. `input_tokens` are estimated from the length of the
    prompts, or from the stored answers of the same task where there are some; `likely_` figures from those alone.
    None is what cannot be told. `most_calls` are the calls of the model that the requests to ask may take: one each,
    but for explanations and attacks (`attacks`), which ask about many masked or changed versions of a text.
    """

    task: str
    model: str
    cost: Literal["known", "unknown", "none"]
    n_requests: int = 0
    n_in_store: int = 0
    n_to_ask: int = 0
    most_calls: int = 0
    input_tokens: int = 0
    most_output_tokens: int = 0
    likely_output_tokens: int | None = None
    most_usd: float | None = None
    likely_usd: float | None = None
    attacks: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The work of a run, task by task, and in total; `warnings` say which budget it may exceed, and of its judges.

    What judges are asked stands under `task.figure`; as long as an answer is not in the store, what is asked about it
    is counted with the longest text that it may be.
    """

    suite: str
    cache: CacheMode
    work: tuple[Work, ...]
    total: Work
    prices: Mapping[str, Json]
    warnings: tuple[str, ...] = ()
    batches: Mapping[str, int] = field(default_factory=dict)
    """By model that is asked in batches, about how many there are to hand in."""
    n_handed_in: int = 0
    """How many of the requests to ask are in batches that were handed in before."""


def forecast(
    suite: str | Path,
    *,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    reports: str | Path = "reports",
    cache: CacheMode | None = None,
    allow_code: bool = False,
    environ: Mapping[str, str] | None = None,
    ready: Prepared | None = None,
) -> Forecast:
    """What `run` with the same arguments would do. No model is opened, nothing is sent or written.

    `ready` is what these arguments prepare, where it is there already.

    Raises:
        UsageError: the suite, its data or its settings are wrong.
    """
    if ready is None:
        ready = prepare(suite, overrides=overrides, limit=limit, allow_code=allow_code, environ=environ)
    mode = cache or ready.suite.execution.cache
    path = Path(reports) / "responses.sqlite3"
    # A store that is not there holds nothing, and opening it would make it.
    known = mode == "reuse" and path.is_file()
    opened: AbstractContextManager[Store | None] = ResponseStore.open(path) if known else nullcontext()
    with opened as store, BatchSizes(ready.suite, path) as sizes:
        work = tuple(_work(ready, store, sizes))
    total = _total(work)
    return Forecast(
        ready.suite.name,
        mode,
        work,
        total,
        {name: ready.tariff.describe(name) for name in ready.tariff.prices if any(part.model == name for part in work)},
        (*_warnings(total, ready.suite), *judge_notes(ready.suite)),
        sizes.n_batches(),
        sizes.n_handed_in,
    )


@dataclass(slots=True)
class _Seen:
    """What the stored answers of a task tell about those that are missing."""

    estimated: int = 0
    input_tokens: int = 0
    n_output: int = 0
    output_tokens: int = 0
    n_timed: int = 0
    latency_s: float = 0.0

    def add(self, response: Response, estimated: Tokens) -> None:
        if response.input_tokens is not None:
            self.estimated += estimated.input
            self.input_tokens += response.input_tokens
        if response.output_tokens is not None:
            self.n_output += 1
            self.output_tokens += response.output_tokens
        if response.latency_s is not None:
            self.n_timed += 1
            self.latency_s += response.latency_s


def _parts(ready: Prepared, store: Store | None) -> Iterator[tuple[str, str, Iterable[Request]]]:
    """(task, model, requests) of all that is asked; judges come after all tasks, under `task.figure`."""
    for planned in ready.tasks:
        yield planned.task.id, planned.model, planned.requests
    if ready.judgements:
        from .judge_forecast import judge_requests

        yield from judge_requests(ready.plan.tasks, ready.judgements, store)


def _work(ready: Prepared, store: Store | None, sizes: BatchSizes) -> Iterator[Work]:
    tariff = ready.tariff
    most_output = most_output_tokens(ready.suite)
    known: set[str] = set()
    for task, name, requests in _parts(ready, store):
        cost: Literal["known", "unknown", "none"] = (
            "known" if name in tariff.prices else "unknown" if name in tariff.unknown else "none"
        )
        work, seen = Work(task, name, cost), _Seen()
        for some in _chunks(requests):
            new = [request for request in some if request.key not in known]
            known.update(request.key for request in new)
            work.n_requests += len(some)
            found = {} if store is None else store.get_many(request.key for request in some)
            work.n_in_store += sum(request.key in found for request in some)
            for request in some:
                if request.key in found:
                    seen.add(found[request.key], estimate(request))
            sizes_of: dict[str, int] = {}
            for request in {request.key: request for request in new if request.key not in found}.values():
                tokens = estimate(request, most_output=most_output.get(name))
                sizes_of[request.key] = tokens.input
                work.n_to_ask += 1
                work.most_calls += model_calls(request)
                work.attacks = work.attacks or is_attack(request)
                work.input_tokens += tokens.input
                work.most_output_tokens += tokens.output
            sizes.add(name, sizes_of)
        # When a batch is done nobody knows.
        concurrency = None if name in sizes.batched else _concurrency(ready.suite, name)
        _guess(work, seen, tariff.to_ask(name), concurrency)
        yield work


def _chunks(requests: Iterable[Request]) -> Iterator[list[Request]]:
    left = iter(requests)
    while some := list(islice(left, _LOOKED_UP)):
        yield some


def _guess(work: Work, seen: _Seen, price: Price | None, concurrency: int | None) -> None:
    """Fill in what follows from the counts, the stored answers and the price."""
    if seen.estimated:
        work.input_tokens = round(work.input_tokens * seen.input_tokens / seen.estimated)
    if seen.n_output:
        work.likely_output_tokens = min(
            round(work.n_to_ask * seen.output_tokens / seen.n_output), work.most_output_tokens
        )
    if price is not None:
        work.most_usd = estimated_usd(Tokens(work.input_tokens, work.most_output_tokens), price)
        if work.likely_output_tokens is not None:
            work.likely_usd = estimated_usd(Tokens(work.input_tokens, work.likely_output_tokens), price)
    if not work.n_to_ask:
        work.seconds = 0.0
    elif seen.n_timed and concurrency is not None:
        work.seconds = work.n_to_ask * seen.latency_s / seen.n_timed / min(concurrency, work.n_to_ask)


def _concurrency(suite: Suite, model: str) -> int | None:
    """Requests in flight to a server; None for models that run here, whose time depends on how they are batched."""
    spec = suite.models[model]
    if not hasattr(spec, "concurrency"):
        return None
    return spec.concurrency or suite.execution.concurrency


def _total(work: Sequence[Work]) -> Work:
    asked = [part for part in work if part.n_to_ask]
    costs = {part.cost for part in asked or work}

    def sums(name: str, parts: Sequence[Work]) -> float | None:
        """The sum, None where a part of it is not known."""
        found = [getattr(part, name) for part in parts]
        return None if None in found else sum(found)

    priced = [part for part in asked if part.cost != "none"]
    likely = sums("likely_output_tokens", asked)
    return Work(
        task="total",
        model="",
        cost="unknown" if "unknown" in costs else "known" if "known" in costs else "none",
        n_requests=sum(part.n_requests for part in work),
        n_in_store=sum(part.n_in_store for part in work),
        n_to_ask=sum(part.n_to_ask for part in work),
        most_calls=sum(part.most_calls for part in work),
        input_tokens=sum(part.input_tokens for part in work),
        most_output_tokens=sum(part.most_output_tokens for part in work),
        likely_output_tokens=None if likely is None else int(likely),
        most_usd=sums("most_usd", priced) if priced or "known" in costs else None,
        likely_usd=sums("likely_usd", priced) if priced or "known" in costs else None,
        # Models are asked one after another.
        seconds=sums("seconds", asked),
    )


def _warnings(total: Work, suite: Suite) -> Iterator[str]:
    limits = Limits.of(suite.execution) or Limits()
    if limits.max_requests is not None and total.n_to_ask > limits.max_requests:
        yield f"{total.n_to_ask:,} requests are more than execution.max_requests ({limits.max_requests:,}) lets go"
    tokens = total.input_tokens + total.most_output_tokens
    if limits.max_tokens is not None and tokens > limits.max_tokens:
        yield f"up to {tokens:,} tokens may exceed execution.max_tokens ({limits.max_tokens:,})"
    if limits.budget_usd is not None and (total.most_usd or 0.0) > limits.budget_usd:
        yield f"up to ${total.most_usd:.4g} may exceed execution.budget_usd (${limits.budget_usd:g})"
