"""5,000 requests, of which 30 % meet a fault: each ends in the right state, once, with the answer of a clean run."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from evalharness.core.types import Request, Response
from evalharness.models.openai import OpenAIModel
from evalharness.models.retry import Timing
from evalharness.runner.execute import Answers, execute
from evalharness.runner.progress import SilentProgress
from evalharness.runner.store import ResponseStore
from evalharness.suite.schema import ModelSpec

Fault = Literal[
    "429", "429 at once", "500", "503", "reset", "cut off", "truncated", "wrong json", "html", "drip", "never"
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
# A reply that came whole with status 200 and is none: another try may be spent on it, or not.
MAY_BE_FINAL = frozenset({"truncated", "wrong json", "html"})
SHARE = 0.3
TIMEOUT_S = 2.0


def answer_to(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


class Server:
    """Gives each prompt its faults, one a try, and then its answer; `always` are met again at every try."""

    def __init__(self, faults: dict[str, list[Fault]], always: frozenset[str] = frozenset()) -> None:
        self.faults = faults
        self.always = always
        self.tries: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.url = ""

    async def __aenter__(self) -> Server:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1_000).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        prompt = (await request.json())["messages"][-1]["content"]
        self.tries[prompt] += 1
        faults = self.faults.get(prompt, [])
        n = self.tries[prompt] - 1
        if faults and (prompt in self.always or n < len(faults)):
            return await self._fail(request, faults[n % len(faults)])
        self.answered[prompt] += 1
        # Ids are those of other answers, too.
        body = {
            "id": f"chatcmpl-{len(self.answered) % 7}",
            "choices": [{"message": {"content": answer_to(prompt)}, "finish_reason": "stop"}],
        }
        return web.json_response(body)

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        match fault:
            case "429":
                return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0.02"})
            case "429 at once":
                return web.json_response({"error": "slow down"}, status=429)
            case "500" | "503":
                return web.json_response({"error": "no"}, status=int(fault))
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "cut off":
                reply = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
                await reply.prepare(request)
                await reply.write(b'{"choices": [')
                assert request.transport is not None
                request.transport.close()
                return reply
            case "truncated":
                return web.Response(body=b'{"choices": [{"mess', content_type="application/json")
            case "wrong json":
                return web.json_response({"answer": 42})
            case "html":
                return web.Response(text="<html><h1>Welcome</h1></html>", content_type="text/html")
            case "drip":
                reply = web.StreamResponse()
                await reply.prepare(request)
                while True:
                    await reply.write(b" ")
                    await asyncio.sleep(TIMEOUT_S / 20)
            case "never":
                await asyncio.Event().wait()
        raise AssertionError(fault)


def requests_for(prompts: Sequence[str]) -> list[Request]:
    return [
        Request(
            key=hashlib.sha256(prompt.encode()).hexdigest(), model="m", kind="generate", sample_id=prompt, prompt=prompt
        )
        for prompt in prompts
    ]


async def ask(server: Server, requests: Sequence[Request], path: Path) -> Answers:
    entry: dict[str, Any] = {"backend": "openai", "model": "x", "base_url": server.url, "timeout_s": TIMEOUT_S}
    spec: Any = TypeAdapter(ModelSpec).validate_python({**entry, "max_retries": 4})
    # The dice make delays short: 5, 10, 20 and 40 ms.
    model = OpenAIModel("m", spec, environ={}, concurrency=100, timing=Timing(dice=lambda: 0.01))
    with ResponseStore.open(path) as store:
        return await execute(requests, {"m": model}, store=store, progress=SilentProgress())


def stored(path: Path) -> dict[str, Response]:
    with ResponseStore.open(path) as store:
        found = list(store)
    assert len({response.key for response in found}) == len(found)
    return {response.key: response for response in found}


@pytest.mark.slow
def test_faults_at_30_percent_of_5000_requests(tmp_path: Path) -> None:
    prompts = [f"question {i}" for i in range(5_000)]
    requests = requests_for(prompts)
    dice = random.Random(4)
    hit = dice.sample(prompts, int(SHARE * len(prompts)))
    faults = {prompt: [FAULTS[i % len(FAULTS)] for _ in range(dice.choice([1, 1, 2]))] for i, prompt in enumerate(hit)}
    assert Counter(fault for given in faults.values() for fault in given).keys() == set(FAULTS)
    path = tmp_path / "responses.sqlite3"

    async def scene() -> tuple[Answers, Server, Answers]:
        async with Server(faults) as server:
            first = await ask(server, requests, path)
            asked = server.tries.copy()
            # What got no answer is asked again, and nothing else.
            second = await ask(server, requests, path)
            lost = {r.prompt for r in requests if first.responses[r.key].status == "error"}
            assert set(server.tries - asked) == lost
            while second.responses.n_failed:
                second = await ask(server, requests, path)
        return first, server, second

    first, server, last = asyncio.run(scene())
    assert len(first.responses) == len(prompts)
    for request in requests:
        prompt = str(request.prompt)
        response = first.responses[request.key]
        if response.status == "error":
            assert set(faults[prompt]) & MAY_BE_FINAL, (prompt, response.error)
            assert response.text is None
            assert response.error
        else:
            assert (response.status, response.text) == ("ok", answer_to(prompt))
            assert response.n_retries >= len(faults.get(prompt, []))
    clean = {request.key: answer_to(str(request.prompt)) for request in requests}
    assert {key: response.text for key, response in last.responses.items()} == clean
    assert {key: response.text for key, response in stored(path).items()} == clean
    # No answer that came was let go and asked for again.
    assert set(server.answered.values()) == {1}


@pytest.mark.slow
def test_faults_that_stay_are_errors_and_leave_the_others_alone(tmp_path: Path) -> None:
    prompts = [f"question {i}" for i in range(300)]
    hit = prompts[::6]
    faults = {prompt: [FAULTS[i % len(FAULTS)]] for i, prompt in enumerate(hit)}
    path = tmp_path / "responses.sqlite3"

    async def scene() -> Answers:
        async with Server(faults, always=frozenset(hit)) as server:
            return await ask(server, requests_for(prompts), path)

    answers = asyncio.run(scene())
    for request in requests_for(prompts):
        response = answers.responses[request.key]
        if request.prompt in faults:
            assert (response.status, response.text) == ("error", None)
            assert "; " in str(response.error), "an error has its remedy"
        else:
            assert (response.status, response.text) == ("ok", answer_to(str(request.prompt)))
    assert stored(path).keys() == {request.key for request in requests_for(prompts) if request.prompt not in faults}
