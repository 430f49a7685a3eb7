"""The real transport against a real server on loopback that does everything wrong; only the retries' clock is fake."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import evalharness.models.transport as transport_module
from evalharness.core.errors import UsageError

SECRET = "sk-planted/0123+456 789"
OK = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def raw_server(*replies: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers connection number i with `replies[i]` and hangs up; None resets the connection. The last one repeats."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        reply = replies[min(len(asked), len(replies)) - 1]
        if reply is None:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.write(reply)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def page(body: bytes, *, status: str = "200 OK", length: int | None = None, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(kit: Any, url: str, n: int = 1, *, environ: Any = None, **entry: Any) -> tuple[list[Any], Any]:
    time = kit.FakeTime()
    entry = {"backend": "openai", "model": "x", "base_url": f"{url}/v1", "max_retries": 2, **entry}
    model = kit.api_model(entry, timing=time.timing, environ={"K": SECRET, **(environ or {})}, concurrency=4)
    await model.open()
    try:
        found = [response async for response in model.generate([kit.request(str(i)) for i in range(n)])]
    finally:
        await model.close()
    assert len(found) == n
    return found, time


def served(kit: Any, *script: tuple[int, Any, dict[str, str]], n: int = 1, **entry: Any) -> tuple[list[Any], Any, int]:
    """What comes back when the server answers by `script`, whose last step repeats, and how often it was asked."""
    n_asked = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal n_asked
        n_asked += 1
        status, body, headers = script[min(n_asked, len(script)) - 1]
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=headers)
        return web.json_response(body, status=status, headers=headers)

    async def scene() -> tuple[list[Any], Any]:
        async with kit.http_server(handler) as url:
            return await ask(kit, url, n, **entry)

    return *asyncio.run(scene()), n_asked


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_passes(kit: Any, status: int) -> None:
    [found], time, n_asked = served(kit, (status, {"error": "busy"}, {}), (200, OK, {}))
    assert (found.status, found.text, found.n_retries, n_asked) == ("ok", "fine", 1, 2)
    assert time.slept == [0.25]


def test_retry_after_in_seconds_and_as_a_date(kit: Any) -> None:
    [found], time, _ = served(kit, (429, {}, {"Retry-After": "11"}), (200, OK, {}))
    assert (found.status, time.slept[0]) == ("ok", 11.25)
    # The fake clock shows 1,000 s after the epoch.
    [found], time, _ = served(kit, (503, {}, {"Retry-After": "Thu, 01 Jan 1970 00:17:10 GMT"}), (200, OK, {}))
    assert (found.status, time.slept[0]) == ("ok", 30.25)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_stays(kit: Any, status: int) -> None:
    [found], _, n_asked = served(kit, (status, {"error": {"message": "no luck"}}, {}))
    assert (found.status, found.n_retries, n_asked) == ("error", 2, 3)
    assert f"HTTP {status} from http://127.0.0.1:" in found.error
    assert "no luck" in found.error
    assert "(tried 3 times)" in found.error


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_final(kit: Any, status: int) -> None:
    [found], time, n_asked = served(kit, (status, {"error": {"message": "no"}}, {}))
    assert (found.status, n_asked, time.slept) == ("error", 1, [])


def test_a_redirect_is_not_followed(kit: Any) -> None:
    [found], _, n_asked = served(kit, (307, "", {"Location": "http://127.0.0.1:9/else"}), api_key="${env:K}")
    assert n_asked == 1
    assert "write the address it points to: http://127.0.0.1:9/else" in found.error


def test_pages_and_wrong_json(kit: Any) -> None:
    for body, said in [
        ("<html><h1>Welcome</h1></html>", "is not JSON: Welcome; check the address"),
        ({"answer": 3}, "no choices; it has: answer"),
        ([], "must be a JSON object"),
    ]:
        [found], _, n_asked = served(kit, (200, body, {}))
        assert (found.status, n_asked) == ("error", 1)
        assert said in found.error
    [found], _, n_asked = served(kit, (502, "<html><title>502 Bad Gateway</title></html>", {}))
    assert (n_asked, found.n_retries) == (3, 2)
    assert ": 502 Bad Gateway; the server failed" in found.error


@pytest.mark.parametrize(
    ("first", "n_asked"),
    [
        (None, 2),  # reset
        (b"", 2),  # hung up without a word
        (page(b'{"choices": [', length=500), 2),  # broke off within the body
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 2),  # broke off within a chunk
        (b"not HTTP at all\r\n\r\n", 2),
    ],
)
def test_a_connection_that_breaks_is_tried_again(kit: Any, first: bytes | None, n_asked: int) -> None:
    async def scene() -> tuple[list[Any], list[bytes]]:
        async with raw_server(first, page(json.dumps(OK).encode())) as (url, asked):
            return (await ask(kit, url))[0], asked

    [found], asked = asyncio.run(scene())
    assert (found.status, found.text, len(asked)) == ("ok", "fine", n_asked), found.error


def test_truncated_json_that_came_whole_is_an_error(kit: Any) -> None:
    async def scene() -> tuple[list[Any], list[bytes]]:
        async with raw_server(page(b'{"choices": [{"mess')) as (url, asked):
            return (await ask(kit, url))[0], asked

    [found], asked = asyncio.run(scene())
    assert (found.status, len(asked)) == ("error", 1)
    assert '(HTTP 200, application/json) is not JSON: {"choices": [{"mess' in found.error


def test_nobody_listens(kit: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found, _ = asyncio.run(ask(kit, url, 6))
    assert all(r.status == "error" and "check the address, and that the server runs" in r.error for r in found)


@pytest.mark.parametrize("speed", ["never", "drip"])
def test_a_server_that_takes_too_long(kit: Any, speed: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        while speed == "drip":
            await reply.write(b" ")
            await asyncio.sleep(0.005)
        await asyncio.Event().wait()
        return reply

    async def scene() -> list[Any]:
        async with kit.http_server(handler) as url:
            return (await ask(kit, url, timeout_s=0.03, max_retries=1))[0]

    [found] = asyncio.run(scene())
    assert (found.status, found.n_retries) == ("error", 1)
    assert "no answer within 0.03 s; raise timeout_s" in found.error


def test_a_reply_without_end_is_not_kept(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MAX_BODY_BYTES", 2**20)
    bomb = gzip.compress(b" " * 50 * 2**20)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async def scene() -> list[Any]:
        async with kit.http_server(handler) as url:
            return (await ask(kit, url))[0]

    [found] = asyncio.run(scene())
    assert "the reply is larger than 1 MiB" in found.error
    assert found.n_retries == 0


def test_as_many_connections_as_the_concurrency_are_used_and_kept(kit: Any) -> None:
    peers = set()
    all_four = asyncio.Barrier(4)

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        await all_four.wait()
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response(OK)

    async def scene() -> list[Any]:
        async with kit.http_server(handler) as url:
            return (await ask(kit, url, 100))[0]

    assert {response.status for response in asyncio.run(scene())} == {"ok"}
    assert len(peers) == 4


def test_secrets_that_a_server_repeats_appear_nowhere(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def handler(request: web.Request) -> web.StreamResponse:
        heard = f"{request.rel_url} {request.raw_path} {dict(request.headers)} {await request.text()}"
        assert SECRET in request.headers["Authorization"]
        status = 200 if "good" in heard else 403
        content = {"text": heard, "message": heard}
        return web.json_response(content, status=status, reason=request.headers["X-Key"])

    entry = {
        "backend": "http",
        "method": "GET",
        "headers": {"Authorization": "Bearer ${env:K}", "X-Key": "${env:K}"},
        "body": {"q": "{{ prompt }}", "key": "${env:K}"},
    }

    async def scene() -> dict[str, Any]:
        async with kit.http_server(handler) as url:
            model = kit.api_model(
                {**entry, "url": f"{url}/ask?path=${{env:Q}}"}, environ={"K": SECRET, "Q": "q-planted"}
            )
            await model.open()
            asked = [kit.request("good", "good"), kit.request("bad", "bad")]
            found = {response.key: response async for response in model.generate(asked)}
            await model.close()
            return {**found, "identity": model.identity(), "model": model, "vars": repr(model)}

    found = asyncio.run(scene())
    assert (found["good"].status, found["bad"].status) == ("ok", "error")
    assert "[redacted]" in found["good"].text
    assert "environment variable K and Q" in found["bad"].error
    for told in (repr(found), caplog.text):
        assert "planted" not in told


def test_a_key_with_a_line_break_is_refused_and_not_shown(kit: Any) -> None:
    with pytest.raises(UsageError, match="the header 'X-Key' cannot be sent") as caught:
        asyncio.run(ask(kit, "http://127.0.0.1:9", headers={"X-Key": "${env:BAD}"}, environ={"BAD": "planted\nkey"}))
    assert "planted" not in str(caught.value)


def test_an_interrupted_run_leaves_nothing_behind(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        started = asyncio.Event()

        async def handler(_: web.Request) -> web.StreamResponse:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with kit.http_server(handler) as url:
            task = asyncio.create_task(ask(kit, url, 50))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())
    assert caplog.text == ""


def test_the_classic_ask_endpoint(kit: Any) -> None:
    """What a Flask application of a tutorial does: POST /ask {"question": …} gives {"answer": …}."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert (request.method, request.path) == ("POST", "/ask")
        assert request.content_type == "application/json"
        question = (await request.json())["question"]
        return web.json_response({"answer": f"You asked: {question}", "sources": []})

    async def scene() -> dict[str, Any]:
        async with kit.http_server(handler) as url:
            entry = {"backend": "http", "url": f"{url}/ask", "body": {"question": "{{ prompt }}"}, "response": "answer"}
            model = kit.api_model(entry)
            await model.open()
            asked = [kit.request(str(i), f"Why {i}?") for i in range(10)]
            found = {response.key: response.text async for response in model.generate(asked)}
            await model.close()
            return found

    assert asyncio.run(scene()) == {str(i): f"You asked: Why {i}?" for i in range(10)}


def test_proxies_are_those_of_the_environment_given_but_never_for_loopback() -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "http_proxy": "http://p:2", "NO_PROXY": "inside.example,.local"}
    transport = transport_module.AiohttpTransport(concurrency=1, environ=environ)
    assert transport._proxy_for("https://api.example/v1") == "http://p:1"
    assert transport._proxy_for("http://api.example/v1") == "http://p:2"
    for url in (
        "http://localhost:8000/v1",
        "http://127.0.0.1/",
        "http://[::1]:80/",
        "https://inside.example/",
        "http://a.local/",
    ):
        assert transport._proxy_for(url) is None
    assert transport_module.AiohttpTransport(concurrency=1, environ={})._proxy_for("https://api.example/") is None
