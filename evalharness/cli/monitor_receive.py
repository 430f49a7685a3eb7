"""Receive telemetry of production: an OTLP/HTTP endpoint for the exporters of OpenTelemetry and OpenInference.

POST /v1/traces   spans, as JSON or protobuf, packed by gzip or not
POST /v1/logs     log records, with --signal logs

  evalharness monitor receive spool/ --attribute deployment.environment.name
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf python app.py

A request is acknowledged when its responses are on the disk. Texts of inputs and outputs are dropped before that,
unless --content keeps them, less what --redact finds. A monitor reads the folder with `source: {receive: spool/}`.
Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from .listening import address_of, listening_on, port_number, until_signalled

if TYPE_CHECKING:
    import socket

    from evalharness.monitor.sources.receive import Receiver
    from evalharness.suite.source_entry import Source

__all__ = ["add_arguments", "run"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor receive`."""
    parser.add_argument("folder", metavar="FOLDER", help="where responses are written; made if it is not there")
    parser.add_argument(
        "--format",
        choices=["otel-genai", "openinference"],
        default="otel-genai",
        help="conventions of the spans (default: otel-genai)",
    )
    parser.add_argument("--signal", choices=["traces", "logs"], default="traces", help="what is kept (default: traces)")
    parser.add_argument("--content", action="store_true", help="keep the texts of inputs and outputs")
    parser.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="WHAT",
        help="email, phone, api_key, … or a pattern; repeatable",
    )
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="NAME", help="keep this attribute; repeatable"
    )
    parser.add_argument("--id", metavar="NAME", help="attribute that names a response (default: the span's id)")
    parser.add_argument("--conversation", metavar="NAME", help="attribute that names a conversation")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=port_number, default=4318, help="port; 0 takes a free one (default: 4318)")
    parser.add_argument(
        "--token-env", metavar="NAME", help="environment variable that holds the token clients must send"
    )
    parser.add_argument("--max-mb", type=_positive, default=16, help="largest request in MiB, unpacked (default: 16)")
    parser.add_argument("--file-mb", type=_positive, default=64, help="a file is closed at this size (default: 64)")
    parser.add_argument(
        "--file-minutes", type=_positive, default=60, help="… or when it is this old (default: 60 minutes)"
    )


def run(args: argparse.Namespace) -> int:
    """Receive until a signal comes; returns the exit code."""
    import asyncio
    import os
    from datetime import UTC, datetime
    from pathlib import Path

    from evalharness.core.errors import UsageError
    from evalharness.monitor.sources.receive import Receiver
    from evalharness.monitor.sources.spool import SpoolWriter

    token = None
    if args.token_env is not None:
        token = os.environ.get(args.token_env)
        if not token:
            raise UsageError(
                f"--token-env: the environment variable {args.token_env} is not set; set it: export {args.token_env}=…"
            )
    if args.host not in _LOOPBACK and token is None:
        raise UsageError(
            f"--host {args.host}: others could write there; name the token that they must send with --token-env, "
            f"or listen on 127.0.0.1 behind a collector"
        )
    source = _source(args)

    def clock() -> datetime:
        return datetime.now(UTC)

    with contextlib.closing(listening_on(args.host, args.port)) as listening:
        spool = SpoolWriter(
            Path(args.folder), clock=clock, max_bytes=args.file_mb * 2**20, max_age_s=args.file_minutes * 60.0
        )
        with spool:
            receiver = Receiver(source, spool, clock=clock, max_bytes=args.max_mb * 2**20, token=token)
            return asyncio.run(_serve(receiver, listening, args))


def _source(args: argparse.Namespace) -> Source:
    from pydantic import ValidationError

    from evalharness.core.errors import UsageError
    from evalharness.suite.source_entry import Source

    given = {"id": args.id, "conversation": args.conversation, "signal": args.signal}
    given = {key: value for key, value in given.items() if value is not None and value != "traces"}
    try:
        return Source(
            receive=args.folder,
            format=args.format,
            content=args.content,
            redact=tuple(args.redact),
            attributes=tuple(args.attribute),
            **given,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]) if first["loc"] else "--format"
        raise UsageError(f"--{option.lstrip('-')}: {first['msg'].removeprefix('Value error, ')}") from error


async def _serve(receiver: Receiver, listening: socket.socket, args: argparse.Namespace) -> int:
    import asyncio
    import signal

    from evalharness.monitor.sources.receive import serving

    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with until_signalled({signal.SIGINT: 130, signal.SIGTERM: 0}, stopped):
        runner = await serving(receiver, listening)
        try:
            kept = "texts are kept" if args.content else "texts are dropped"
            print(
                f"receiving {args.signal} ({args.format}) on http://{address_of(listening)}/v1/{args.signal}, "
                f"writing to {args.folder}; {kept}; Ctrl-C ends it",
                flush=True,
            )
            return await stopped
        finally:
            await runner.cleanup()
            counts = receiver.counts
            print(
                f"received {counts.responses} responses in {counts.requests} requests; {counts.other} other items, "
                f"{counts.rejected} rejected, {counts.refused} requests refused",
                file=sys.stderr,
            )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
