"""The base of batch models: one worker thread, a free event loop, and an end after the current batch."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from evalharness.core.errors import CapabilityError, ModelError, UsageError
from evalharness.core.protocols import Model
from evalharness.core.types import Json, Kind, Request, Response
from evalharness.models.batching import BatchModel


class Scripted(BatchModel):
    """Answers two requests a batch; waits for `gate` in each batch, where there is one."""

    capabilities: frozenset[Kind] = frozenset({"generate", "loglikelihood"})

    def __init__(self) -> None:
        super().__init__("scripted")
        self.events: list[str] = []
        self.threads: set[int] = set()
        self.gate: threading.Semaphore | None = None
        self.started = threading.Semaphore(0)
        self.fault: Exception | None = None
        self.closed_at = -1

    def identity(self) -> Mapping[str, Json]:
        return {}

    def load(self) -> None:
        self.threads.add(threading.get_ident())
        self.events.append("load")

    def unload(self) -> None:
        self.threads.add(threading.get_ident())
        self.events.append("unload")

    def answer(self, kind: Kind, requests: Sequence[Request]) -> Iterator[Sequence[Response]]:
        try:
            for start in range(0, len(requests), 2):
                self.threads.add(threading.get_ident())
                self.events.append(f"{kind}:{start}")
                self.started.release()
                if self.gate is not None:
                    assert self.gate.acquire(timeout=30)
                if self.fault is not None and start:
                    raise self.fault
                yield [Response(key=request.key, text=kind) for request in requests[start : start + 2]]
        finally:
            self.threads.add(threading.get_ident())
            self.events.append("end")


def requests(n: int, kind: Kind = "generate") -> list[Request]:
    return [Request(key=f"{kind}{i}", model="m", kind=kind, sample_id=str(i), prompt="x") for i in range(n)]


async def collect(stream: Any) -> list[Response]:
    return [response async for response in stream]


def test_it_is_a_model() -> None:
    assert isinstance(Scripted(), Model)


def test_answers_and_loads_once() -> None:
    model = Scripted()

    async def main() -> None:
        await model.open()
        found = await collect(model.generate(requests(5)))
        assert [r.key for r in found] == [f"generate{i}" for i in range(5)]
        assert all(r.created_utc.endswith("+00:00") for r in found)
        await collect(model.loglikelihood(requests(1, "loglikelihood")))
        await model.close()
        await model.close()
        assert await collect(model.generate([])) == []
        await collect(model.generate(requests(1)))
        await model.close()

    asyncio.run(main())
    assert model.events.count("load") == model.events.count("unload") == 2
    assert threading.get_ident() not in model.threads
    assert len(model.threads) == 2, "one worker between each open and close"


def test_verb_that_it_cannot_do() -> None:
    with pytest.raises(CapabilityError, match="'scripted' cannot do 'classify'; it can do: generate, loglikelihood"):
        Scripted().classify(requests(1, "classify"))


def test_the_event_loop_stays_free() -> None:
    model = Scripted()
    model.gate = threading.Semaphore(0)

    async def main() -> None:
        task = asyncio.create_task(collect(model.generate(requests(4))))
        while not model.started.acquire(blocking=False):
            await asyncio.sleep(0)
        # The model waits inside a batch, and this runs all the same.
        model.gate.release(2)
        assert len(await task) == 4
        await model.close()

    asyncio.run(main())


def test_two_verbs_at_once_never_compute_together() -> None:
    model = Scripted()

    async def main() -> None:
        both = collect(model.generate(requests(6))), collect(model.loglikelihood(requests(6, "loglikelihood")))
        first, second = await asyncio.gather(*both)
        assert len(first) == len(second) == 6
        await model.close()

    asyncio.run(main())
    assert len(model.threads) == 1


def test_cancelled_during_a_batch_is_the_last_batch() -> None:
    model = Scripted()
    model.gate = threading.Semaphore(0)

    async def main() -> None:
        task = asyncio.create_task(collect(model.generate(requests(10))))
        while not model.started.acquire(blocking=False):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model.gate.release()
        await model.close()

    asyncio.run(main())
    assert model.events == ["load", "generate:0", "end", "unload"]
    assert len(model.threads) == 1, "what a batch holds is given back on the worker"


def test_consumer_that_goes_away() -> None:
    model = Scripted()

    async def main() -> None:
        stream = model.generate(requests(10))
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]
        await model.close()

    asyncio.run(main())
    assert model.events == ["load", "generate:0", "end", "unload"]
    assert len(model.threads) == 1, "what a batch holds is given back on the worker"


@pytest.mark.parametrize(
    ("fault", "raised", "message"),
    [
        (KeyError("boom"), ModelError, "model 'scripted' failed: KeyError: 'boom'"),
        (ModelError("lost"), ModelError, "^lost$"),
        (UsageError("wrong"), UsageError, "^wrong$"),
    ],
)
def test_failure_of_the_whole(fault: Exception, raised: type[Exception], message: str) -> None:
    model = Scripted()
    model.fault = fault

    async def main() -> list[str]:
        seen = []
        try:
            async for response in model.generate(requests(6)):
                seen.append(response.key)
        except raised as error:
            seen.append(str(error))
        finally:
            await model.close()
        return seen

    seen = asyncio.run(main())
    assert seen[:2] == ["generate0", "generate1"]
    assert len(seen) == 3
    assert re.search(message, seen[2])
    assert model.events[-2:] == ["end", "unload"]
