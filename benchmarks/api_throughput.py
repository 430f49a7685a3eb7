"""How fast the openai backend asks an API: 2,000 chat prompts, 100 in flight, beside bare aiohttp in the same run.

    python benchmarks/api_throughput.py [--prompts 2000] [--concurrency 100] [--delay-ms 50] [--rounds 5]

The server runs in a process of its own on loopback and answers each request `delay-ms` after it came. Contenders take
turns, one round each, and the medians are compared. "with store" is what a run does: the executor, with every answer
durable in the SQLite response store before it counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import aiohttp
from _table import machine, markdown_table, replace_section

from evalharness.core.types import Request
from evalharness.models.openai import OpenAIModel
from evalharness.runner.execute import execute
from evalharness.runner.progress import SilentProgress
from evalharness.runner.store import ResponseStore
from evalharness.suite.schema import OpenAIModel as OpenAIEntry

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


class _Server(asyncio.Protocol):
    """As little as HTTP allows, so that the client is what is measured."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, mark, rest = self._seen.partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._seen = rest[length:]
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, REPLY)
        else:
            self._transport.write(REPLY)


def _serve(delay_s: float, port: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Server(delay_s), "127.0.0.1", 0, backlog=1_000)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class Round(NamedTuple):
    """What one round took: from the first request to the last answer, and CPU time of the client."""

    window_s: float
    cpu_s: float


Contender = Callable[[str, int, int], Awaitable[None]]


def _prompts(n: int) -> list[str]:
    return [f"Question {i}: what is the capital of France?" for i in range(n)]


def _requests(n: int) -> list[Request]:
    return [
        Request(key=f"{i}", model="m", kind="generate", sample_id=f"{i}", prompt=p) for i, p in enumerate(_prompts(n))
    ]


def _model(url: str, concurrency: int) -> OpenAIModel:
    spec = OpenAIEntry(backend="openai", model="bench", base_url=f"{url}/v1", api_key=None, max_retries=0)
    return OpenAIModel("m", spec, environ={}, concurrency=concurrency)


async def bare_aiohttp(url: str, n: int, concurrency: int) -> None:
    gate = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask(prompt: str) -> str:
            body = {
                "model": "bench",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 256,
                "temperature": 0.0,
            }
            async with gate, session.post(f"{url}/v1/chat/completions", json=body) as reply:
                return str((await reply.json())["choices"][0]["message"]["content"])

        answers = await asyncio.gather(*(ask(prompt) for prompt in _prompts(n)))
    assert answers == ["Paris."] * n


async def backend(url: str, n: int, concurrency: int) -> None:
    model = _model(url, concurrency)
    await model.open()
    answers = [response.text async for response in model.generate(_requests(n))]
    await model.close()
    assert answers == ["Paris."] * n


async def backend_with_store(url: str, n: int, concurrency: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ResponseStore.open(Path(folder) / "responses.sqlite3") as store:
        model = _model(url, concurrency)
        answers = await execute(_requests(n), {"m": model}, store=store, progress=SilentProgress())
        assert len(answers.responses) == n
        assert {response.text for response in answers.responses.values()} == {"Paris."}


CONTENDERS: dict[str, Contender] = {
    "bare aiohttp": bare_aiohttp,
    "evalharness, backend": backend,
    "evalharness, with store": backend_with_store,
}


def _round(contender: Contender, url: str, n: int, concurrency: int) -> Round:
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(contender(url, n, concurrency))
    return Round(time.perf_counter() - wall, time.process_time() - cpu)


def measure(*, n: int, concurrency: int, delay_ms: float, rounds: int) -> list[list[str]]:
    """A row for each contender: window, requests a second, share of bare aiohttp, CPU time for 1,000 requests."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(delay_ms / 1000, theirs), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        taken: dict[str, list[Round]] = {name: [] for name in CONTENDERS}
        for number in range(rounds + 1):
            for name, contender in CONTENDERS.items():
                found = _round(contender, url, n, concurrency)
                if number:  # the first round warms up
                    taken[name].append(found)
    finally:
        server.terminate()
        server.join()
    rows = []
    bare_s = statistics.median(r.window_s for r in taken["bare aiohttp"])
    for name, found in taken.items():
        window_s = statistics.median(r.window_s for r in found)
        cpu_s = statistics.median(r.cpu_s for r in found) / n * 1000
        rows.append([name, f"{window_s:.2f} s", f"{n / window_s:,.0f}", f"{bare_s / window_s:.0%}", f"{cpu_s:.2f} s"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--delay-ms", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    header = ["client", "first request to last answer", "requests/s", "of bare aiohttp", "CPU per 1,000"]
    load = os.getloadavg()[0]
    parts = [
        "## API throughput",
        f"`python benchmarks/api_throughput.py`: {args.prompts:,} chat prompts, {args.concurrency} in flight, loopback "
        f"server in a process of its own; medians of {args.rounds} alternating rounds. {machine()}; "
        f"aiohttp {aiohttp.__version__}; load average {load:.1f} when it began, so compare within a table only.",
    ]
    for delay_ms in dict.fromkeys((args.delay_ms, 0.0)):
        rows = measure(n=args.prompts, concurrency=args.concurrency, delay_ms=delay_ms, rounds=args.rounds)
        parts += [f"Server that answers after {delay_ms:g} ms:", markdown_table(header, rows)]
    text = "\n\n".join(parts)
    print(text)
    replace_section("api_throughput", text)


if __name__ == "__main__":
    main()
