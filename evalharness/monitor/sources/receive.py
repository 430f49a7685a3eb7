"""A receiver of OTLP over HTTP: spans come in, responses are written, and only then is a request acknowledged.

What is not to be kept is gone before anything is written: spans that are no answers of a model, texts unless `content`
is on, and what the redactions find. What lies in the folder are rows of `response.v1`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from evalharness.core.production import ProductionResponse
from evalharness.suite.source_entry import Source

from .context import Context
from .otlp_http import BadRequest, Encoding, answer_body, encoding_of, error_body, request_spans, unpacked
from .privacy import private
from .records import converter
from .redact import Redaction
from .refusal import Refusal
from .spool import SpoolWriter
from .written import row_of

if TYPE_CHECKING:
    import socket

    from aiohttp import web

__all__ = ["Received", "Receiver", "serving"]

_RETRY_AFTER_S: Final = "5"


@dataclass
class Received:
    """What the receiver has counted since it began."""

    requests: int = 0
    responses: int = 0
    other: int = 0
    rejected: int = 0
    refused: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)


class Receiver:
    """Turns requests into lines of a spool.

    Args:
        source: format, content, redactions and attributes, as of a source that is read.
        spool: where responses are written.
        clock: the time, in UTC: when a response arrived.
        max_bytes: the most that a request may be, packed and unpacked.
        token: what clients must send as `Authorization: Bearer …`; None asks for nothing.
    """

    def __init__(
        self,
        source: Source,
        spool: SpoolWriter,
        *,
        clock: Callable[[], datetime],
        max_bytes: int = 16 * 2**20,
        token: str | None = None,
    ) -> None:
        self._source = source.model_copy(update={"receive": None, "path": "received"})
        self._spool, self._clock, self._token = spool, clock, token
        self.max_bytes = max_bytes
        self.counts = Received()
        self._redaction = Redaction(source.redact, timeout_s=source.redact_timeout_s)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    def application(self) -> web.Application:
        """The web application: POST /v1/traces and /v1/logs."""
        from aiohttp import web

        app = web.Application(client_max_size=self.max_bytes)
        for signal in ("traces", "logs"):
            app.router.add_post(f"/v1/{signal}", self._handler(signal))
        return app

    def _handler(self, signal: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        from aiohttp import web

        async def handle(request: web.Request) -> web.StreamResponse:
            encoding: Encoding = "application/json"
            self.counts.requests += 1
            try:
                self._authorise(request)
                encoding = encoding_of(request.content_type)
                try:
                    body = await request.read()
                except web.HTTPRequestEntityTooLarge:
                    raise BadRequest(
                        413, f"the body is larger than {self.max_bytes:,} bytes; send smaller batches"
                    ) from None
                packing = request.headers.get("Content-Encoding", "").strip().lower()
                rejected, message = await self._take(body, packing, encoding, signal)
            except BadRequest as error:
                self.counts.refused += 1
                return web.Response(
                    status=error.status, body=error_body(encoding, error.message), content_type=encoding
                )
            except OSError as error:
                # Nothing was written, and the client keeps what it has.
                self.counts.refused += 1
                text = f"the responses cannot be stored: {error.strerror or error}"
                headers = {"Retry-After": _RETRY_AFTER_S}
                body = error_body(encoding, text, code=14)
                return web.Response(status=503, body=body, content_type=encoding, headers=headers)
            return web.Response(body=answer_body(encoding, signal, rejected, message), content_type=encoding)

        return handle

    def _authorise(self, request: web.Request) -> None:
        if self._token is None:
            return
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise BadRequest(401, "Authorization: send the receiver's token as Bearer")

    async def _take(self, body: bytes, packing: str, encoding: Encoding, signal: str) -> tuple[int, str]:
        """Read, write, and only then return (how many items were rejected, why the first one was)."""
        # Reading takes the processor, and other clients wait meanwhile: a thread of its own.
        lines, refusals, other = await asyncio.to_thread(self._read, body, packing, encoding, signal)
        if lines:
            await self._write(b"".join(lines))
        counts = self.counts
        counts.responses += len(lines)
        counts.rejected += len(refusals)
        counts.other += other
        for refusal in refusals:
            counts.by_rule[refusal.rule] = counts.by_rule.get(refusal.rule, 0) + 1
        return len(refusals), self._redaction(str(refusals[0])) if refusals else ""

    def _read(
        self, body: bytes, packing: str, encoding: Encoding, signal: str
    ) -> tuple[list[bytes], list[Refusal], int]:
        data = unpacked(body, packing, most=self.max_bytes)
        source = self._source
        if source.format == "otel-genai" and source.signal != signal:
            # An exchange stands in its span and, again, in its log record: one of them is chosen.
            return [], [], sum(1 for _ in request_spans(data, encoding, signal))
        context = Context.of(source, None, None)
        convert = converter(source)
        now = self._clock()
        lines: list[bytes] = []
        refusals: list[Refusal] = []
        other = 0
        for span in request_spans(data, encoding, signal):
            try:
                if isinstance(span, Refusal):
                    raise span
                found = convert(span, context)
            except Refusal as refusal:
                refusals.append(refusal)
                continue
            if isinstance(found, ProductionResponse):
                kept = private(found, content=source.content, redaction=self._redaction)
                row = row_of(replace(kept, ingest_time=now))
                lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            else:
                other += 1
        return lines, refusals, other

    async def _write(self, lines: bytes) -> None:
        """Write together what requests have brought meanwhile: one visit to the disk serves them all."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, done))
        if self._flushing is None or self._flushing.done():
            # A task of its own: a client that goes away takes no other's lines with it.
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            failed: OSError | None = None
            try:
                await asyncio.to_thread(self._spool.append, b"".join(lines for lines, _ in batch))
            except OSError as error:
                failed = error
            for _, done in batch:
                if done.done():
                    continue
                if failed is None:
                    done.set_result(None)
                else:
                    done.set_exception(failed)


async def serving(receiver: Receiver, listening: socket.socket) -> web.AppRunner:
    """Serve `receiver` on a socket that listens; `await runner.cleanup()` ends it when open requests are answered."""
    from aiohttp import web

    # Bodies are unpacked by us, which know when to stop.
    runner = web.AppRunner(receiver.application(), access_log=None, auto_decompress=False)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    return runner
