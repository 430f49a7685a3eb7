"""A service of two interfaces, OpenAI's and Anthropic's, that answers one by one and in batches, by script."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import evalharness
from evalharness.runner import batch_submit
from evalharness.runner.batch_ledger import BatchLedger
from evalharness.runner.progress import SilentProgress

if TYPE_CHECKING:
    from aiohttp import web

KEY = "sk-PLANTED-0123456789-abcdefghij"
N = 12
SUITE = """\
version: 1
name: batched
models:
  api: {MODEL, api_key: "${env:SERVICE_KEY}", max_retries: 1}
datasets:
  lines: {path: lines.jsonl}
tasks:
  - id: ask
    dataset: lines
    prompt: "{{ q }}"
    reference: "re: {{ q }}"
    metrics: [exact_match]
execution:
  mode: batch
  batch: {poll_s: 0.01, longest_poll_s: 0.02}
  on_error: exclude
"""
MODELS = {
    "chat": 'backend: openai, model: x, base_url: "URL/v1"',
    "completions": 'backend: openai, model: x, api: completions, base_url: "URL/v1"',
    "responses": 'backend: openai, model: x, api: responses, base_url: "URL/v1"',
    "anthropic": 'backend: anthropic, model: x, base_url: "URL"',
}


def _text_of(body: dict[str, Any]) -> str:
    """What is asked, whichever the interface."""
    said = body.get("prompt") or body.get("input") or body["messages"]
    return said if isinstance(said, str) else str(said[-1]["content"])


class FakeService:
    """Answers "re: PROMPT". What happens to a prompt in a batch `fates` says, what happens to calls `faults`.

    `fates[prompt]` are the outcomes in one batch after the other, the last of which stays: ok, a status of HTTP,
    expired, cancelled, missing, nonsense. `faults[call]` are taken one after the other: a status of HTTP, "lost" (done,
    and the connection cut instead of a reply) or a reply; `call` is upload, create, look, list, results.
    """

    def __init__(self) -> None:
        self.looks_needed = 2
        self.fates: dict[str, list[Any]] = {}
        self.faults: dict[str, list[Any]] = {}
        self.calls: Counter[str] = Counter()
        self.submitted: Counter[str] = Counter()
        self.asked_online: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.batches: list[dict[str, Any]] = []
        self.end_as: list[str] = []
        # The requests themselves: the id of one that is gone is soon another's.
        self.lost: list[web.Request] = []
        self.said: Callable[[str], str] = lambda text: f"re: {text}"
        self.url = ""
        self.errors: dict[str, Any] = {"data": [{"code": "bad", "message": "no", "line": 1}]}
        self.archived: list[str] = []
        self.pending: list[str] = []
        self.hidden: tuple[str, ...] = ()
        # Batches that others hand in after one whose reply was lost, and how many the list shows at once.
        self.page, self.late = 100, 0
        self.others: Callable[[], Any] = lambda: None

    # ── what both interfaces share ────────────────────────────────────────────────────────────────────────────────

    def batch(self, entries: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        n = len(self.batches) + 1
        made = {"id": f"batch_{n}", "entries": entries, "looks": 0, "made": datetime.now(UTC), **more}
        made["end"] = self.end_as.pop(0) if self.end_as else "completed"
        self.batches.insert(0, made)
        self.submitted.update(entry["custom_id"] for entry in entries)
        assert len({entry["custom_id"] for entry in entries}) == len(entries)
        return made

    def one(self, name: str) -> dict[str, Any] | None:
        return next((batch for batch in self.batches if batch["id"] == name), None)

    def fate(self, text: str) -> Any:
        left = self.fates.get(text, ["ok"])
        return left.pop(0) if len(left) > 1 else left[0]

    def chat(self, body: dict[str, Any], path: str) -> dict[str, Any]:
        text = self.said(_text_of(body))
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "input_tokens": 5, "output_tokens": 3}
        whole = {"id": "r", "model": body["model"], "usage": usage}
        if path.endswith("/responses"):
            parts = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
            return {**whole, "status": "completed", "output": parts}
        if path.endswith("/messages"):
            return {**whole, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        if path.endswith("/chat/completions"):
            return {**whole, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
        return {**whole, "choices": [{"text": text, "finish_reason": "stop"}]}

    async def fault(self, call: str, request: web.Request) -> web.StreamResponse | None:
        from aiohttp import web

        self.calls[call] += 1
        assert request.headers.get("Authorization", request.headers.get("x-api-key", "")).endswith(KEY)
        left = self.faults.get(call)
        found = left.pop(0) if left else None
        if found == "lost":
            self.lost.append(request)
            return None
        if isinstance(found, int):
            wait = {"Retry-After": "0"} if found == 429 else {}
            return web.json_response({"error": {"message": f"planned {KEY}"}}, status=found, headers=wait)
        return web.json_response(found) if found is not None else None

    def reply(self, request: web.Request, content: Any) -> web.StreamResponse:
        from aiohttp import web

        if request in self.lost:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(content)

    # ── OpenAI's ──────────────────────────────────────────────────────────────────────────────────────────────────

    def openai(self, batch: dict[str, Any]) -> dict[str, Any]:
        ended = batch["looks"] >= self.looks_needed
        n = len(batch["entries"])
        found = {
            "id": batch["id"],
            "status": batch["end"] if ended else "in_progress",
            "input_file_id": batch["file"],
            "metadata": batch["metadata"],
            "created_at": int(batch["made"].timestamp()),
            "request_counts": {"total": n, "completed": n if ended else n // 2, "failed": 0},
        }
        for field in self.hidden:
            found[field] = None
        if not ended:
            return found
        if batch["end"] == "failed":
            return {**found, "errors": self.errors}
        if "out" not in batch:
            batch["out"], batch["err"] = self.openai_results(batch)
            for field, lines in (("output_file_id", batch["out"]), ("error_file_id", batch["err"])):
                if lines:
                    self.files[f"file-{field}-{batch['id']}"] = b"".join(line + b"\n" for line in lines)
        for field, part in (("output_file_id", "out"), ("error_file_id", "err")):
            found[field] = f"file-{field}-{batch['id']}" if batch[part] else None
        return found

    def openai_results(self, batch: dict[str, Any]) -> tuple[list[bytes], list[bytes]]:
        out, err = [], []
        for entry in reversed(batch["entries"]):
            fate = self.fate(_text_of(entry["body"]))
            line: dict[str, Any] = {"custom_id": entry["custom_id"], "response": None, "error": None}
            if fate == "ok":
                body = self.chat(entry["body"], entry["url"])
                out.append(json.dumps({**line, "response": {"status_code": 200, "body": body}}).encode())
                # A second result, and one of nobody's: they must change nothing.
                wrong = self.chat(
                    {**entry["body"], "prompt": "wrong", "messages": [{"content": "wrong"}]}, entry["url"]
                )
                out.append(json.dumps({**line, "response": {"status_code": 200, "body": wrong}}).encode())
                out.append(json.dumps({**line, "custom_id": "0" * 64, "error": {"code": "x"}}).encode())
            elif isinstance(fate, int):
                body = {"error": {"message": f"planned {KEY}"}}
                err.append(json.dumps({**line, "response": {"status_code": fate, "body": body}}).encode())
            elif fate == "expired":
                err.append(json.dumps({**line, "error": {"code": "batch_expired", "message": "late"}}).encode())
            elif fate == "nonsense":
                out.append(
                    json.dumps({**line, "response": {"status_code": 200, "body": {"choices": 7, KEY: 1}}}).encode()
                )
                out.append(b'{"custom_id": "cut o')
        return out, err

    # ── Anthropic's ───────────────────────────────────────────────────────────────────────────────────────────────

    def anthropic(self, batch: dict[str, Any]) -> dict[str, Any]:
        ended = batch["looks"] >= self.looks_needed
        n = len(batch["entries"])
        counts = {"processing": 0 if ended else n - n // 2, "succeeded": n if ended else n // 2}
        return {
            "id": batch["id"],
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "created_at": batch["made"].isoformat(),
            "archived_at": "2026-01-01T00:00:00Z" if batch["id"] in self.archived else None,
            "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
            "results_url": "http://elsewhere.invalid/results",
        }

    def anthropic_results(self, batch: dict[str, Any]) -> list[bytes]:
        lines = []
        for entry in reversed(batch["entries"]):
            fate = self.fate(_text_of(entry["params"]))
            error = {"type": "error", "error": {"type": "api_error", "message": f"planned {KEY}"}}
            if fate == 400:
                error["error"]["type"] = "invalid_request_error"  # type: ignore[index]
            if fate == "missing":
                continue
            content = self.chat(entry["params"], "/messages") if fate == "ok" else {"content": 7, KEY: 1}
            outcome = {
                "ok": {"type": "succeeded", "message": content},
                "nonsense": {"type": "succeeded", "message": content},
                "expired": {"type": "expired"},
                "cancelled": {"type": "canceled"},
            }.get(fate, {"type": "errored", "error": error})
            lines.append(json.dumps({"custom_id": entry["custom_id"], "result": outcome}).encode())
            if fate == "ok":
                again = {"type": "errored", "error": error}
                lines.append(json.dumps({"custom_id": entry["custom_id"], "result": again}).encode())
                lines.append(b'{"custom_id": 7, "result": null}')
        return lines

    # ── the server ────────────────────────────────────────────────────────────────────────────────────────────────

    async def handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        path, post = request.path, request.method == "POST"
        parts = path.strip("/").split("/")
        anthropic = path.startswith("/v1/messages")
        if post and path == "/v1/files":
            form = await request.multipart()
            fields = {part.name: await part.read() async for part in form}  # type: ignore[union-attr]
            assert fields["purpose"] == b"batch"
            if (fault := await self.fault("upload", request)) is not None:
                return fault
            name = f"file-{len(self.files) + 1}"
            self.files[name] = bytes(fields["file"])
            return self.reply(
                request, {"id": name, "object": "file", "status": "pending" if self.pending else "uploaded"}
            )
        if parts[-2:-1] == ["files"]:
            return web.json_response({"id": parts[-1], "status": self.pending.pop(0)})
        if parts[-1] == "batches" and post:
            content = await request.json()
            if (fault := await self.fault("create", request)) is not None:
                return fault
            if anthropic:
                return self.reply(request, self.anthropic(self.batch(content["requests"])))
            assert content["completion_window"] == "24h"
            entries = [json.loads(line) for line in self.files[content["input_file_id"]].splitlines()]
            assert {entry["url"] for entry in entries} == {content["endpoint"]}
            made = self.batch(entries, file=content["input_file_id"], metadata=content["metadata"])
            return self.reply(request, self.openai(made))
        if parts[-1] == "batches":
            if (fault := await self.fault("list", request)) is not None:
                return fault
            for _ in range(self.late):
                self.others()
            self.late = 0
            after = request.query.get("after_id" if anthropic else "after")
            first = next((i + 1 for i, b in enumerate(self.batches) if b["id"] == after), 0)
            shown = [self.anthropic(b) if anthropic else self.openai(b) for b in self.batches[first:]]
            return self.reply(request, {"data": shown[: self.page], "has_more": len(shown) > self.page})
        if parts[-1] in ("content", "results"):
            if (fault := await self.fault("results", request)) is not None:
                return fault
            if anthropic:
                batch = self.one(parts[3])
                assert batch is not None
                if "out" not in batch:
                    batch["out"] = self.anthropic_results(batch)
                return web.Response(body=b"\n".join(batch["out"]))
            return web.Response(body=self.files[parts[2]])
        if "batches" in parts:
            if (fault := await self.fault("look", request)) is not None:
                return fault
            found = self.one(parts[-1])
            if found is None:
                return web.json_response({"error": {"message": "no such batch"}}, status=404)
            found["looks"] += 1
            return self.reply(request, self.anthropic(found) if anthropic else self.openai(found))
        body = await request.json()
        self.asked_online[_text_of(body)] += 1
        return web.json_response(self.chat(body, path))


@pytest.fixture
def service() -> Iterator[FakeService]:
    """The service, on a thread of its own; `url` is its address."""
    from aiohttp import web

    fake, loop = FakeService(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", fake.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run_until_complete(start())
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield fake
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(runner.cleanup())
    loop.close()


@pytest.fixture
def planted_key() -> str:
    """The key of the service, which it throws back in its errors."""
    return KEY


class BatchedSuite:
    """A suite of 12 samples of one model of the service; called with the interface, it is run."""

    def __init__(self, url: str) -> None:
        self._url = url

    def write(self, api: str) -> None:
        """Write suite.yaml for an interface."""
        Path("suite.yaml").write_text(SUITE.replace("MODEL", MODELS[api]).replace("URL", self._url), "utf-8")

    def __call__(self, api: str, *settings: str, reports: str = "reports", **more: Any) -> Any:
        self.write(api)
        return evalharness.run("suite.yaml", overrides=settings, reports=reports, **more)

    @staticmethod
    def heard() -> Heard:
        """A progress that keeps what is said, as `lines`."""
        return Heard()

    @staticmethod
    def rows_of(record: Any) -> dict[str, tuple[Any, ...]]:
        """What a record says of each sample, but for how it was asked."""
        return {
            row.sample.id: (row.response.status, row.response.text, row.response.answer, row.response.output_tokens)
            for row in record.iter_samples()
        }

    @staticmethod
    def metas_of(record: Any) -> dict[str, Any]:
        return {row.sample.id: dict(row.response.meta) for row in record.iter_samples()}

    @staticmethod
    def open_batches(reports: str = "reports") -> list[Any]:
        with BatchLedger.open(Path(reports) / "responses.sqlite3") as ledger:
            return ledger.batches()


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def batched(tmp_path: Path, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> BatchedSuite:
    """The suite, in the current folder; what was being handed in is settled at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_KEY", KEY)
    monkeypatch.setattr(batch_submit, "SETTLED_AFTER_S", 0.0)
    rows = [{"id": f"s{i:02}", "q": f"question {i}"} for i in range(N)]
    Path("lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return BatchedSuite(service.url)
