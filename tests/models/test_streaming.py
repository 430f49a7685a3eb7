"""Streams from real servers on loopback: slow, cut, oddly chunked, without end; only the clock of retries is fake."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import evalharness.models.transport as transport_module

TEXT = "Grüße, 北京 👍🏽!"
CHAT = [{"choices": [{"index": 0, "delta": {"content": letter}}]} for letter in TEXT]
CHAT_END = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": {}}, "[DONE]"]
MESSAGE = [
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in TEXT),
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]
STREAM = "text/event-stream"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _bytes(events: list[Any], end: str = "\n") -> bytes:
    texts = (event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events)
    return "".join(f"data: {text}{end}{end}" for text in texts).encode()


@asynccontextmanager
async def raw_server(*replies: tuple[list[bytes], bool]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers connection number i with the parts of `replies[i]`, and hangs up or resets. The last one repeats."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        parts, resets = replies[min(len(asked), len(replies)) - 1]
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if resets:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def _head(*fields: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", f"Content-Type: {STREAM}", *fields, "", "")).encode()


def _chunked(body: bytes, size: int) -> list[bytes]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]


def _entry(backend: str, url: str) -> dict[str, Any]:
    where = {"openai": {"base_url": f"{url}/v1"}, "anthropic": {"base_url": url, "api_key": ""}, "http": {"url": url}}
    named = {} if backend == "http" else {"model": "x"}
    return {"backend": backend, "stream": True, "max_retries": 2, **named, **where[backend]}


EVENTS = {"openai": [*CHAT, *CHAT_END], "anthropic": MESSAGE, "http": [*({"text": t} for t in TEXT), "[DONE]"]}


async def ask(kit: Any, url: str, n: int = 1, *, backend: str = "openai", real: bool = False, **entry: Any) -> Any:
    more = {} if real else {"timing": kit.FakeTime().timing}
    model = kit.api_model({**_entry(backend, url), **entry}, concurrency=4, **more)
    await model.open()
    try:
        return [response async for response in model.generate([kit.request(str(i)) for i in range(n)])]
    finally:
        await model.close()


def from_raw(kit: Any, *replies: Any, **entry: Any) -> tuple[Any, int]:
    """The response, and how often the server was asked."""

    async def scene() -> tuple[Any, int]:
        async with raw_server(*replies) as (url, asked):
            return (await ask(kit, url, **entry))[0], len(asked)

    return asyncio.run(scene())


def from_server(kit: Any, handler: Handler, n: int = 1, **more: Any) -> list[Any]:
    async def scene() -> list[Any]:
        async with kit.http_server(handler) as url:
            found: list[Any] = await ask(kit, url, n, **more)
            return found

    return asyncio.run(scene())


@pytest.mark.parametrize("backend", EVENTS)
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_chunks_of_any_size(kit: Any, backend: str, size: int, end: str) -> None:
    parts = [_head("Transfer-Encoding: chunked"), *_chunked(_bytes(EVENTS[backend], end), size), b"0\r\n\r\n"]
    found, n_asked = from_raw(kit, (parts, False), backend=backend)
    assert (found.status, found.text, n_asked) == ("ok", TEXT, 1), found.error


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_stream_that_ends_with_its_connection(kit: Any, backend: str) -> None:
    found, n_asked = from_raw(kit, ([_head("Connection: close"), _bytes(EVENTS[backend])], False), backend=backend)
    assert (found.status, found.text, n_asked) == ("ok", TEXT, 1), found.error


@pytest.mark.parametrize("backend", EVENTS)
@pytest.mark.parametrize("resets", [True, False])
@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.71])
def test_a_cut_in_mid_stream_is_asked_again(kit: Any, backend: str, resets: bool, framed: bool, share: float) -> None:
    body = _bytes(EVENTS[backend])
    cut = body[: int(len(body) * share)]
    whole = [_head("Transfer-Encoding: chunked"), *_chunked(body, 50), b"0\r\n\r\n"]
    first = [_head("Transfer-Encoding: chunked"), *_chunked(cut, 50)] if framed else [_head("Connection: close"), cut]
    found, n_asked = from_raw(kit, (first, resets), (whole, False), backend=backend)
    if backend == "http" and not framed and n_asked == 1:
        # Neither framing nor a mark of the end: that is an error of its own, unless the cut falls within an event.
        assert (found.status, found.text) == ("error", None)
    else:
        assert (found.status, found.text, found.n_retries, n_asked) == ("ok", TEXT, 1, 2), found.error


def test_a_cut_that_repeats_is_an_error_that_says_so(kit: Any) -> None:
    cut = ([_head("Connection: close"), _bytes(CHAT[:4])], False)
    found, n_asked = from_raw(kit, cut)
    assert (found.status, found.text, n_asked) == ("error", None, 3)
    assert "no reply from http://127.0.0.1:" in found.error
    assert "the stream broke off after 4 events, before the answer ended; the connection broke" in found.error


def test_the_first_piece_is_timed_and_the_last(kit: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        await reply.write(b": the model is loading\n\n" + _bytes([{"choices": [{"delta": {"role": "assistant"}}]}]))
        await asyncio.sleep(0.06)
        for event in (*CHAT, *CHAT_END):
            await reply.write(_bytes([event]))
            await asyncio.sleep(0.06 if event is CHAT[0] else 0)
        return reply

    [found] = from_server(kit, handler, real=True)
    assert (found.status, found.text) == ("ok", TEXT)
    assert 0.06 <= found.meta["ttft_s"] < found.latency_s
    assert found.latency_s - found.meta["ttft_s"] >= 0.03


def test_the_time_is_that_of_the_try_that_was_answered(kit: Any) -> None:
    n_asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 1:
            return web.Response(status=500)
        return web.Response(body=_bytes(EVENTS["openai"]), headers={"Content-Type": STREAM})

    # The fake clock moves only while a retry waits.
    [found] = from_server(kit, handler)
    assert (found.status, found.n_retries, found.meta["ttft_s"], found.latency_s) == ("ok", 1, 0.0, 0.0)


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_server_that_does_not_hang_up_after_the_end(kit: Any, backend: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        await reply.write(_bytes(EVENTS[backend]))
        await asyncio.Event().wait()
        return reply

    found = from_server(kit, handler, 2, backend=backend, real=True, timeout_s=30)
    assert [response.text for response in found] == [TEXT, TEXT]
    assert all(response.latency_s < 2 for response in found)


@pytest.mark.parametrize("speed", ["stalls", "drips"])
def test_a_stream_that_takes_too_long(kit: Any, speed: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        await reply.write(_bytes(CHAT))
        while speed == "drips":
            await reply.write(b": still there\n\n")
            await asyncio.sleep(0.005)
        await asyncio.Event().wait()
        return reply

    [found] = from_server(kit, handler, timeout_s=0.05, max_retries=1)
    assert (found.status, found.text, found.n_retries) == ("error", None, 1)
    assert "no answer within 0.05 s; raise timeout_s" in found.error


def test_connections_are_kept(kit: Any) -> None:
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        for event in EVENTS["openai"]:
            await reply.write(_bytes([event]))
        return reply

    found = from_server(kit, handler, 60)
    assert {response.text for response in found} == {TEXT}
    assert len(peers) <= 4


def test_a_compressed_stream(kit: Any) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        body = gzip.compress(_bytes(EVENTS["openai"]))
        return web.Response(body=body, headers={"Content-Type": STREAM, "Content-Encoding": "gzip"})

    assert from_server(kit, handler)[0].text == TEXT


def test_a_stream_without_end_is_not_kept(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MAX_BODY_BYTES", 2**20)

    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        while True:
            await reply.write(b"data: " + b" " * 2**16)

    [found] = from_server(kit, handler)
    assert (found.status, found.n_retries) == ("error", 0)
    assert "the reply is larger than 1 MiB" in found.error


@pytest.mark.parametrize("status", [400, 503])
def test_a_refusal_of_a_stream_is_read_whole(kit: Any, status: int) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no streams today"}}, status=status)

    [found] = from_server(kit, handler)
    assert (found.status, found.n_retries) == ("error", 2 if status == 503 else 0)
    assert f"HTTP {status}" in found.error
    assert "no streams today" in found.error


def test_a_third_of_streams_that_fail_changes_no_answer(kit: Any) -> None:
    n_asked = 0
    whole = _bytes(EVENTS["anthropic"])

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal n_asked
        n_asked += 1
        number = n_asked
        if number % 3:
            return web.Response(body=whole, headers={"Content-Type": STREAM})
        match number % 5:
            case 0:
                return web.Response(status=429)
            case 1:
                return web.Response(status=503, text="<html>busy</html>")
            case 2:
                error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                return web.Response(body=_bytes([*MESSAGE[:5], error]), headers={"Content-Type": STREAM})
            case 3:
                return web.Response(body=whole[: number % len(whole)], headers={"Content-Type": STREAM})
        reply = web.StreamResponse(headers={"Content-Type": STREAM})
        await reply.prepare(request)
        await reply.write(whole[: number % len(whole)])
        assert request.transport is not None
        request.transport.close()
        return reply

    found = from_server(kit, handler, 200, backend="anthropic", max_retries=20)
    assert {(response.status, response.text, response.output_tokens) for response in found} == {("ok", TEXT, 9)}
    assert sorted(response.key for response in found) == sorted(map(str, range(200)))
    assert sum(response.n_retries for response in found) == n_asked - 200 > 60
