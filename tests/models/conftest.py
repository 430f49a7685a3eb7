"""Models made from suite entries, over transports and clocks that the test holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from evalharness.core.types import Message, Request, Response, Sampling
from evalharness.models.anthropic import AnthropicModel
from evalharness.models.http import HttpModel
from evalharness.models.openai import OpenAIModel
from evalharness.models.retry import Timing
from evalharness.models.transport import HttpReply, HttpRequest, TransportError
from evalharness.suite.schema import ModelSpec

SPEC = TypeAdapter(ModelSpec)
Script = HttpReply | TransportError | Exception


class FakeTransport:
    """Answers from `reply`, a function of the request, or from a list of replies; keeps what was sent.

    A streamed reply reaches its reader in parts of `cut` bytes.
    """

    cut = 7

    def __init__(self, reply: Callable[[HttpRequest], Script] | Sequence[Script]) -> None:
        self._reply = reply
        self.sent: list[HttpRequest] = []
        self.n_open = self.n_in_flight = self.most_in_flight = 0

    async def open(self) -> None:
        self.n_open += 1

    async def close(self) -> None:
        self.n_open = 0

    async def send(self, request: HttpRequest) -> HttpReply:
        self.sent.append(request)
        self.n_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.n_in_flight)
        try:
            await asyncio.sleep(0)
        finally:
            self.n_in_flight -= 1
        found = self._reply(request) if callable(self._reply) else self._reply[len(self.sent) - 1]
        if isinstance(found, Exception):
            raise found
        if request.reader is None or found.status != 200 or not (reader := request.reader()).takes(found.headers):
            return found
        parts = (found.body[at : at + self.cut] for at in range(0, len(found.body), self.cut))
        any(reader.feed(part) for part in parts)
        status, body = reader.end(framed="content-length" in found.headers)
        return HttpReply(status, body, found.headers, reader.ttft_s)

    def body(self, index: int = 0) -> Any:
        return json.loads(self.sent[index].body or b"null")


class FakeTime:
    """A clock that moves only when someone sleeps; the dice always show `dice`."""

    def __init__(self, dice: float = 0.5) -> None:
        self.now_s = 1_000.0
        self.slept: list[float] = []
        self.timing = Timing(clock=lambda: self.now_s, now=lambda: self.now_s, sleep=self._sleep, dice=lambda: dice)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now_s + seconds
        # Time passes when everyone else has done what there was to do.
        for _ in range(50):
            await asyncio.sleep(0)
        # Those that sleep at the same time wake at their own times, not one after the other.
        self.now_s = max(self.now_s, until)


def reply(content: Any, status: int = 200, **headers: str) -> HttpReply:
    is_text = isinstance(content, str | bytes)
    body = content.encode() if isinstance(content, str) else content if is_text else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status, body, {"content-type": "text/html" if is_text else "application/json", **named})


def stream_of(*events: Any, done: bool = True, names: bool = False, **headers: str) -> HttpReply:
    """A reply of server-sent events; texts are sent as they are, all else as JSON."""
    texts = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    heads = [f"event: {event['type']}\n" if names and isinstance(event, dict) else "" for event in events]
    body = "".join(f"{head}data: {text}\n\n" for head, text in zip(heads, texts, strict=True))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = (body + ("data: [DONE]\n\n" if done else "")).encode()
    return HttpReply(200, whole, {"content-type": "text/event-stream; charset=utf-8", "content-length": "1", **named})


def chat_reply(text: str | None = "hello", **choice: Any) -> HttpReply:
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    return reply({"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]})


def request(
    key: str = "k", prompt: Any = "Say hello.", *, sample_id: str | None = None, kind: Any = "generate", **more: Any
) -> Request:
    if isinstance(prompt, list):
        prompt = tuple(Message(role, content) for role, content in prompt)
    return Request(key=key, model="m", kind=kind, sample_id=sample_id or key, prompt=prompt, **more)


def spec_of(**entry: Any) -> Any:
    return SPEC.validate_python(entry)


def api_model(entry: Mapping[str, Any], transport: Any = None, **more: Any) -> OpenAIModel | AnthropicModel | HttpModel:
    spec = spec_of(**entry)
    backend = {"openai": OpenAIModel, "anthropic": AnthropicModel, "http": HttpModel}[spec.backend]
    options = {"environ": {}, "concurrency": 4, **more}
    return backend("m", spec, transport=transport, **options)


def answers(model: Any, requests: Sequence[Request]) -> dict[str, Response]:
    """Open, ask, close; the responses by key, each of them exactly one."""

    async def ask() -> dict[str, Response]:
        await model.open()
        try:
            found: dict[str, Response] = {}
            async for response in getattr(model, requests[0].kind)(requests):
                assert response.key not in found, "answered twice"
                found[response.key] = response
            return found
        finally:
            await model.close()

    found = asyncio.run(ask())
    assert set(found) == {r.key for r in requests}
    return found


def answer(model: Any, asked: Request | None = None) -> Response:
    asked = asked or request()
    return answers(model, [asked])[asked.key]


@asynccontextmanager
async def http_server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The address of a server on loopback that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Kit:
    """The helpers of this room's tests, handed out as one fixture (test modules cannot import a conftest)."""

    FakeTime = FakeTime
    FakeTransport = FakeTransport
    Sampling = Sampling
    answer = staticmethod(answer)
    answers = staticmethod(answers)
    api_model = staticmethod(api_model)
    chat_reply = staticmethod(chat_reply)
    http_server = staticmethod(http_server)
    reply = staticmethod(reply)
    request = staticmethod(request)
    spec_of = staticmethod(spec_of)
    stream_of = staticmethod(stream_of)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file into the suite's folder."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
