"""5,000 requests, of which 30 % meet a fault: each ends in the right state, once, with the answer of a clean run.

Answers come whole, and as streams of three kinds, which are cut, stalled and broken in the middle besides.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from evalharness.core.types import Request, Response
from evalharness.models.anthropic import AnthropicModel
from evalharness.models.http import HttpModel
from evalharness.models.openai import OpenAIModel
from evalharness.models.retry import Timing
from evalharness.runner.execute import Answers, execute
from evalharness.runner.progress import SilentProgress
from evalharness.runner.store import ResponseStore
from evalharness.suite.schema import ModelSpec

Fault = Literal[
    "429", "429 at once", "500", "503", "reset", "cut off", "truncated", "wrong json", "html", "drip", "never"
]
InStream = Literal[
    "ended early", "cut in an event", "reset in stream", "error event", "overloaded event", "wrong event", "stalls",
    "drips",
]  # fmt: skip
FAULTS: tuple[Fault, ...] = get_args(Fault)
IN_STREAM: tuple[InStream, ...] = get_args(InStream)
# A reply that came whole with status 200 and is none: another try may be spent on it, or not.
MAY_BE_FINAL = frozenset({"truncated", "wrong json", "html", "wrong event"})
# Each of these costs the whole time-out, and the window shrinks at it: they are met, but not by a fifth of all.
SLOW = frozenset({"drip", "never", "stalls", "drips"})
SLOW_SHARE = 0.01
SHARE = 0.3
TIMEOUT_S = 2.0
BACKENDS = {"openai": OpenAIModel, "anthropic": AnthropicModel, "http": HttpModel}


def answer_to(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def pieces_of(prompt: str) -> list[str]:
    text = answer_to(prompt)
    return [text[at : at + 3] for at in range(0, len(text), 3)]


@dataclass(frozen=True)
class Way:
    """How a server is asked and answers: the entry of its model, and an answer whole, or as events and their end."""

    entry: Callable[[str], dict[str, Any]]
    path: str
    whole: Callable[[str, int], Any] | None = None
    events: Callable[[str], tuple[list[Any], list[Any]]] | None = None


def chat_events(prompt: str) -> tuple[list[Any], list[Any]]:
    made = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces_of(prompt)]
    return made, [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"]


def message_events(prompt: str) -> tuple[list[Any], list[Any]]:
    begin = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}}
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces_of(prompt)]
    made = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}
    return [begin, *made], [end, {"type": "message_stop"}]


def chat_whole(prompt: str, n_answered: int) -> Any:
    # Ids are those of other answers, too.
    choice = {"message": {"content": answer_to(prompt)}, "finish_reason": "stop"}
    return {"id": f"chatcmpl-{n_answered % 7}", "choices": [choice]}


def openai_entry(url: str) -> dict[str, Any]:
    return {"backend": "openai", "model": "x", "base_url": f"{url}/v1"}


WAYS = {
    "whole": Way(openai_entry, "/v1/chat/completions", whole=chat_whole),
    "openai": Way(lambda url: {**openai_entry(url), "stream": True}, "/v1/chat/completions", events=chat_events),
    "anthropic": Way(
        lambda url: {"backend": "anthropic", "model": "x", "base_url": url, "api_key": "", "stream": True},
        "/v1/messages",
        events=message_events,
    ),
    "http": Way(
        lambda url: {
            "backend": "http",
            "url": f"{url}/ask",
            "body": {"messages": [{"role": "user", "content": "{{ prompt }}"}]},
            "response": "text",
            "stream": True,
            "stream_end": "done",
        },
        "/ask",
        events=lambda prompt: ([{"text": piece} for piece in pieces_of(prompt)], [{"done": True}]),
    ),
}


def sse(*events: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % (e if isinstance(e, str) else json.dumps(e)).encode() for e in events)


class Server:
    """Gives each prompt its faults, one a try, and then its answer; `always` are met again at every try."""

    def __init__(self, way: Way, faults: Mapping[str, Sequence[str]], always: frozenset[str] = frozenset()) -> None:
        self.way = way
        self.faults = faults
        self.always = always
        self.tries: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.url = ""

    async def __aenter__(self) -> Server:
        app = web.Application()
        app.router.add_post(self.way.path, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1_000).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        prompt = (await request.json())["messages"][-1]["content"]
        self.tries[prompt] += 1
        faults = self.faults.get(prompt, [])
        n = self.tries[prompt] - 1
        if faults and (prompt in self.always or n < len(faults)):
            fault = faults[n % len(faults)]
            if fault in IN_STREAM:
                return await self._break(request, prompt, fault)
            return await self._fail(request, fault)
        self.answered[prompt] += 1
        if self.way.whole is not None:
            return web.json_response(self.way.whole(prompt, len(self.answered)))
        assert self.way.events is not None
        made, end = self.way.events(prompt)
        reply = await self._stream(request, sse(*made))
        await reply.write(sse(*end))
        return reply

    async def _stream(self, request: web.Request, begun: bytes) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        await reply.write(begun)
        return reply

    async def _break(self, request: web.Request, prompt: str, fault: str) -> web.StreamResponse:
        """A stream that begins well and never comes to its end; where HTTP frames it, it is framed as a whole one."""
        assert self.way.events is not None
        assert request.transport is not None
        made, _ = self.way.events(prompt)
        reply = await self._stream(request, sse(*made[:-1]))
        match fault:
            case "ended early":
                await reply.write(sse(made[-1]))
            case "cut in an event":
                await reply.write(sse(made[-1])[:-12])
            case "reset in stream":
                request.transport.abort()
            case "error event":
                await reply.write(sse({"error": {"message": "it broke", "type": "server_error"}}))
                request.transport.close()
            case "overloaded event":
                await reply.write(sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}))
                request.transport.close()
            case "wrong event":
                await reply.write(b'data: {"choi\n\n')
            case "stalls":
                await asyncio.Event().wait()
            case "drips":
                while True:
                    await asyncio.sleep(TIMEOUT_S / 20)
                    await reply.write(sse(made[-1]))
        return reply

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
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


async def ask(server: Server, requests: Sequence[Request], path: Path, *, max_retries: int = 4) -> Answers:
    entry = {**server.way.entry(server.url), "timeout_s": TIMEOUT_S, "max_retries": max_retries}
    spec: Any = TypeAdapter(ModelSpec).validate_python(entry)
    # The dice make delays short: 5, 10, 20 and 40 ms.
    model = BACKENDS[spec.backend]("m", spec, environ={}, concurrency=100, timing=Timing(dice=lambda: 0.01))
    with ResponseStore.open(path) as store:
        return await execute(requests, {"m": model}, store=store, progress=SilentProgress())


def stored(path: Path) -> dict[str, Response]:
    with ResponseStore.open(path) as store:
        found = list(store)
    assert len({response.key for response in found}) == len(found)
    return {response.key: response for response in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "kinds"),
    [
        ("whole", FAULTS),
        # What befalls a stream before it begins is what befalls a whole reply: of each sort one.
        *((backend, (*IN_STREAM, "429", "503", "reset")) for backend in BACKENDS),
    ],
)
def test_faults_at_30_percent_of_5000_requests(tmp_path: Path, way: str, kinds: Sequence[str]) -> None:
    prompts = [f"question {i}" for i in range(5_000)]
    requests = requests_for(prompts)
    dice = random.Random(4)
    hit = dice.sample(prompts, int(SHARE * len(prompts)))
    slow, quick = ([kind for kind in kinds if (kind in SLOW) == is_slow] for is_slow in (True, False))
    drawn = [slow[i % len(slow)] if i < SLOW_SHARE * len(hit) else quick[i % len(quick)] for i in range(len(hit))]
    faults = {prompt: [kind] * dice.choice([1, 1, 2]) for prompt, kind in zip(hit, drawn, strict=True)}
    assert Counter(fault for given in faults.values() for fault in given).keys() == set(kinds)
    path = tmp_path / "responses.sqlite3"

    async def scene() -> tuple[Answers, Server, Answers]:
        async with Server(WAYS[way], faults) as server:
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
@pytest.mark.parametrize(("way", "kinds"), [("whole", FAULTS), *((backend, IN_STREAM) for backend in BACKENDS)])
def test_faults_that_stay_are_errors_and_leave_the_others_alone(tmp_path: Path, way: str, kinds: Sequence[str]) -> None:
    prompts = [f"question {i}" for i in range(300)]
    hit = prompts[::6]
    faults = {prompt: [kinds[i % len(kinds)]] for i, prompt in enumerate(hit)}
    path = tmp_path / "responses.sqlite3"

    async def scene() -> Answers:
        async with Server(WAYS[way], faults, always=frozenset(hit)) as server:
            return await ask(server, requests_for(prompts), path, max_retries=1)

    answers = asyncio.run(scene())
    for request in requests_for(prompts):
        response = answers.responses[request.key]
        if request.prompt in faults:
            assert (response.status, response.text) == ("error", None)
            assert "; " in str(response.error), "an error has its remedy"
        else:
            assert (response.status, response.text) == ("ok", answer_to(str(request.prompt)))
    assert stored(path).keys() == {request.key for request in requests_for(prompts) if request.prompt not in faults}
