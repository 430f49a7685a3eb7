"""Several copies of one model, one on each GPU, that share the requests.

Requests are dealt out in runs, so that those which share a prefix stay together, as they stand together in a task: the
tree of each copy then shares it as one copy alone would. Each copy computes on a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Sized

from evalharness.core.errors import CapabilityError, ModelError
from evalharness.core.types import Json, Kind, Request, Response

from .base import HfModel

__all__ = ["Replicas", "dealt"]

# As many requests as a model works on together. More would bring nothing, and would leave the others idle at the end.
_MOST = 1024
# Fewer would be read in batches too small for a GPU.
_LEAST = 32
# Responses that wait for a slow consumer before the copies are held up.
_WAITING = 4096


def dealt(requests: Iterable[Request], *, n_copies: int) -> Iterator[Sequence[Request]]:
    """`requests` cut into runs, to be taken one by one by whichever copy is free; no more are read than are taken.

    A run is half of a copy's share of what is left, 1,024 requests at most and 32 at least (fewer, if that is a copy's
    share of the whole): the runs become smaller, so that all copies end at about the same time. Where the number of
    requests is not known, each run is 1,024.
    """
    left = len(requests) if isinstance(requests, Sized) else None
    least = _LEAST if left is None else max(1, min(_LEAST, -(-left // n_copies)))
    waiting = iter(requests)
    while True:
        n = _MOST if left is None else max(least, min(_MOST, -(-left // (2 * n_copies))))
        run = list(itertools.islice(waiting, n))
        if not run:
            return
        if left is not None:
            left -= len(run)
        yield run


class Replicas:
    """A model (`core.protocols.Model`) of `copies`: the same answers as from one of them, under the same identity.

    A copy that fails as a whole ends the stream with its `ModelError`; the others end after their batch, as they do
    when the consumer goes away.
    """

    def __init__(self, copies: Sequence[HfModel]) -> None:
        assert copies
        self._copies = tuple(copies)
        self.name = copies[0].name
        self.capabilities: frozenset[Kind] = copies[0].capabilities

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the copies run; a `UsageError` if one of the devices is not there."""
        return tuple(copy.device for copy in self._copies)

    def identity(self) -> Mapping[str, Json]:
        """That of one copy: how many there are does not change an answer."""
        assert self.devices
        return self._copies[0].identity()

    def sampling_defaults(self) -> Mapping[str, Json]:
        """Those of each copy."""
        return self._copies[0].sampling_defaults()

    async def open(self) -> None:
        """Load the copies, one after the other: transformers loads under settings of the whole process."""
        assert self.devices
        for copy in self._copies:
            await copy.open()

    async def close(self) -> None:
        found = await asyncio.gather(*(copy.close() for copy in self._copies), return_exceptions=True)
        for error in found:
            if isinstance(error, BaseException):
                raise error

    def generate(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("generate", requests)

    def loglikelihood(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("loglikelihood_rolling", requests)

    def classify(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("classify", requests)

    def report(self) -> Mapping[str, Mapping[str, Json]]:
        """What the copies have computed, by kind of request: counts are summed, and `replicas` says over how many.

        A prefix that several copies have read is counted for each of them, in `tokens_distinct` too.
        """
        reports = [copy.report() for copy in self._copies]
        kinds = dict.fromkeys(kind for report in reports for kind in report)
        found = {kind: _summed([report[kind] for report in reports if kind in report]) for kind in kinds}
        # How large the model is: of one copy, not of all.
        size = next((report["weights"] for report in reports if "weights" in report), None)
        return found if size is None else found | {"weights": size}

    def _verb(self, kind: Kind, requests: Iterable[Request]) -> AsyncIterator[Response]:
        if kind not in self.capabilities:
            can = ", ".join(sorted(self.capabilities))
            raise CapabilityError(f"model {self.name!r} cannot do {kind!r}; it can do: {can}")
        return self._stream(kind, requests)

    async def _stream(self, kind: Kind, requests: Iterable[Request]) -> AsyncIterator[Response]:
        if isinstance(requests, Sized) and not len(requests):
            return
        await self.open()
        # One iterator for all copies. It needs no lock: `next` on it does not await.
        runs = dealt(requests, n_copies=len(self._copies))
        done: asyncio.Queue[Response | BaseException | None] = asyncio.Queue(_WAITING)

        async def work(copy: HfModel) -> None:
            verb: Callable[[Iterable[Request]], AsyncIterator[Response]] = getattr(copy, kind)
            try:
                for run in runs:
                    async with contextlib.aclosing(verb(run)) as stream:  # type: ignore[type-var]
                        async for response in stream:
                            await done.put(response)
                await done.put(None)
            except ModelError as error:
                failure = ModelError(f"the copy on {copy.device} failed: {error}")
                failure.__cause__ = error
                await done.put(failure)
            except Exception as error:  # noqa: BLE001 - handed to the consumer, who raises it
                await done.put(error)

        workers = [asyncio.create_task(work(copy)) for copy in self._copies]
        try:
            n_working = len(workers)
            while n_working:
                item = await done.get()
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    n_working -= 1
                else:
                    yield item
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


# What describes one copy, and is no count.
_OF_EACH = ("token_budget", "bytes_per_token")


def _summed(reports: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Counts that all `reports` have are summed; of texts, each that differs is told."""
    found: dict[str, Json] = {}
    for key in dict.fromkeys(key for report in reports for key in report):
        values = [report[key] for report in reports if key in report]
        if key in _OF_EACH:
            # The copies can differ in what is free on their devices: the largest one is told.
            found[key] = max(value for value in values if isinstance(value, int))
            continue
        numbers = [value for value in values if isinstance(value, int)]
        if not numbers:
            found[key] = "; ".join(dict.fromkeys(map(str, values)))
        elif len(numbers) == len(reports):
            found[key] = sum(numbers)
    found["replicas"] = len(reports)
    return found
