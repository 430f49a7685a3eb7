"""Records whose outputs can be rated, and the page served from a thread."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evalharness.annotate.deck import Deck, deal
from evalharness.annotate.guard import Doors
from evalharness.annotate.question import Question, scale_question
from evalharness.annotate.server import AnnotationServer
from evalharness.core.canonical import digest
from evalharness.core.types import Message, Request, Response, Sample
from evalharness.record import Record, RunManifest, RunRegistry, SampleRow, TaskSummary, seal

RUN = "20260101T000000Z-demo-aaaaaa"
LATER = "20260102T000000Z-demo-bbbbbb"
MODELS = ("model-alpha", "model-beta")


def sample_rows(
    task: str, model: str, n: int, *, n_repeats: int = 1, odd: str = "", words: str = ""
) -> list[SampleRow]:
    """`n` samples; the second one's response failed for the first model, and every third prompt is a chat."""
    rows = []
    for i in range(n):
        chat = (Message("system", f"Be brief.{odd}"), Message("user", "Hello"), Message("assistant", "Hello you"))
        prompt = (*chat, Message("user", f"Summarise ticket {i}{odd}")) if i % 3 == 0 else f"Summarise {i}{odd}{words}"
        sample = Sample(
            id=f"s{i}{odd}",
            digest=digest([task, i, words]),
            prompt=prompt,
            references=(f"reference {i}{odd}",),
            groups={"language": "groupwort"},
        )
        for repeat in range(n_repeats):
            key = digest([task, model, i, repeat])
            request = Request(key, model, "generate", sample.id, prompt, repeat=repeat)
            text = f"{'first' if model.endswith('alpha') else 'second'} says {i}.{repeat}{odd}"
            failed = i == 1 and model.endswith("alpha")
            response = Response(
                key, status="error" if failed else "ok", text=None if failed else text, error="lost" if failed else None
            )
            rows.append(SampleRow(task, model, sample, request, response))
    return rows


@pytest.fixture
def make_record(tmp_path: Path) -> Callable[..., Record]:
    """Seals a record of one task or several in `tmp_path/reports`."""

    def make(
        *,
        run_id: str = RUN,
        models: Sequence[str] = MODELS,
        tasks: Sequence[str] = ("sum",),
        n: int = 6,
        rows: Sequence[SampleRow] | None = None,
        **options: Any,
    ) -> Record:
        found = (
            rows if rows is not None else [r for t in tasks for m in models for r in sample_rows(t, m, n, **options)]
        )
        present = dict.fromkeys((row.task, row.model) for row in found)
        manifest = RunManifest(
            id=run_id,
            name="demo",
            suite_name="demo",
            suite_digest="5" * 64,
            suite={"version": 1, "name": "demo"},
            created_utc=f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:00:00Z",
            finished_utc=f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:01:00Z",
            evalharness_version="0.1.0",
            versions={},
            models={model: {"backend": "fake"} for _, model in present},
            datasets={},
            tasks=tuple(TaskSummary(task, model, "generate", {}, n, n, {"ok": n}) for task, model in present),
            results=(),
            execution={},
        )
        return seal(tmp_path / "reports" / "runs" / run_id, manifest, found, [], [])

    return make


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RunRegistry]:
    with RunRegistry.open(reports=tmp_path / "reports", environ={}) as registry:
        yield registry


@dataclass
class Served:
    """A running page, and how to ask it as a program."""

    server: AnnotationServer
    doors: Doors
    port: int
    stop: Callable[[], None]
    told: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, rater: str = "") -> str:
        return self.doors.links[rater] if rater else self.doors.open_link or ""

    def link(self, rater: str = "") -> str:
        return f"{self.address}/?token={self.token(rater)}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        rater: str = "anna",
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> tuple[int, Any]:
        """The status and the decoded body of the answer."""
        given = {"Authorization": f"Bearer {self.token(rater)}", "Content-Type": "application/json", **(headers or {})}
        data = data if data is not None or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method)
        for name, value in given.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read())


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


@pytest.fixture
def serve(registry: RunRegistry) -> Iterator[Callable[..., Served]]:
    """Serves a deck from a thread of its own until the test ends, or `stop` is called."""
    running: list[Served] = []

    def start(deck: Deck, raters: Sequence[str] = ("anna",), **options: Any) -> Served:
        from aiohttp import web

        loop = asyncio.new_event_loop()
        doors = Doors(raters)
        told: list[str] = []
        store = options.pop("registry", registry)
        server = AnnotationServer(deck, store, doors, report=told.append, **options)
        listening = socket.create_server(("127.0.0.1", 0))
        ready, ended = threading.Event(), asyncio.Event()

        async def main() -> None:
            runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.SockSite(runner, listening).start()
            ready.set()
            await ended.wait()
            await runner.cleanup()
            await asyncio.sleep(0.01)  # transports close in the turn of the loop that follows

        def work() -> None:
            loop.run_until_complete(main())
            loop.close()

        thread = threading.Thread(target=work)

        def stop() -> None:
            if thread.is_alive():
                loop.call_soon_threadsafe(ended.set)
                thread.join(30)
                listening.close()

        thread.start()
        assert ready.wait(30)
        served = Served(server, doors, listening.getsockname()[1], stop, told)
        running.append(served)
        return served

    yield start
    for served in running:
        served.stop()


@pytest.fixture
def make_deck(make_record: Callable[..., Record]) -> Callable[..., Deck]:
    """Deals the items of a new record."""

    def make(question: Question | None = None, *, records: Sequence[Record] = (), **options: Any) -> Deck:
        names = {"task", "sample", "seed"}
        dealing = {name: options.pop(name) for name in names & set(options)}
        return deal(records or [make_record(**options)], question or scale_question("1-5"), **dealing)

    return make
