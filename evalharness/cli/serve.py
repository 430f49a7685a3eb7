r"""Serve a model over OpenAI's interface, so that other harnesses can use this engine.

GET  /v1/models             what is served
POST /v1/completions        text, or with echo and logprobs the log-probability of every token of a prompt
POST /v1/chat/completions   through the model's chat template
GET  /health                answers as soon as the model is loaded

  evalharness serve ./checkpoint
  lm_eval run --model local-completions --tasks … \
    --model_args base_url=http://127.0.0.1:8000/v1/completions,tokenizer=./checkpoint,num_concurrent=32

Requests that arrive together are computed in one batch. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from .listening import address_of, listening_on, port_number, until_signalled

if TYPE_CHECKING:
    import asyncio
    import socket
    from pathlib import Path

    from evalharness.models.huggingface.completions import ServedCausal
    from evalharness.models.huggingface.spec import HfSpec

__all__ = ["add_arguments", "run"]

# How long answers that are being computed are waited for at the end.
_PATIENCE_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="checkpoint folder, catalog:NAME or hub name")
    parser.add_argument(
        "--suite", metavar="FILE", help="serve a model of this suite, with the settings that it gives it"
    )
    parser.add_argument("--name", help="with --suite: which of its models")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument(
        "--port", type=port_number, default=8000, help="port to listen on; 0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--dtype", choices=["auto", "float32", "float16", "bfloat16"], help="number format (default: auto)"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument(
        "--max-length", type=_length, metavar="N", help="longest input in tokens (default: the model's own)"
    )
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable that holds the key clients must send"
    )
    parser.add_argument("--allow-code", action="store_true", help="let Python code that the checkpoint carries run")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; returns the exit code."""
    import asyncio

    api_key = _api_key(args.api_key_env)
    model, aliases = _model(args)
    # Taken before the weights are loaded: a port that is in use is said at once.
    with contextlib.closing(listening_on(args.host, args.port)) as listening:
        return asyncio.run(_serve(model, aliases, listening, api_key=api_key))


def _model(args: argparse.Namespace) -> tuple[ServedCausal, tuple[str, ...]]:
    """The model that is asked for, not loaded yet, and the other names that requests may call it by."""
    from pathlib import Path

    from evalharness.core.errors import UsageError
    from evalharness.models.huggingface.backend import make_causal
    from evalharness.models.huggingface.completions import ServedCausal

    given = {"dtype": args.dtype, "device": args.device, "max_length": args.max_length}
    given = {key: value for key, value in given.items() if value is not None}
    aliases: tuple[str, ...] = ()
    if args.suite is not None:
        if args.model is not None:
            raise UsageError("give MODEL, or --suite FILE with --name NAME, not both")
        spec, base = _of_suite(args.suite, args.name, given)
        name: str = args.name
    else:
        if args.model is None:
            raise UsageError("name what to serve: evalharness serve MODEL, or --suite FILE --name NAME")
        if args.name is not None:
            raise UsageError("--name says which model of a suite is served; it needs --suite")
        spec, base = _spec({"path": args.model, "trust_remote_code": args.allow_code, **given}), Path.cwd()
        folder = Path(args.model).expanduser().absolute()
        name = folder.name if folder.is_dir() else args.model.removeprefix("catalog:")
        aliases = (args.model, str(folder))
    # Made as a run makes it, for the same checks; what is served has one method more.
    try:
        make_causal(name, spec, base=base, environ={}, concurrency=1, allow_code=args.allow_code)
    except UsageError as error:
        if "which hf-causal cannot run" not in str(error):
            raise
        raise UsageError(f"{str(error).partition(';')[0]}; only causal language models can be served") from error
    return ServedCausal(name, spec, base=base), aliases


def _of_suite(suite: str, name: str | None, given: dict[str, object]) -> tuple[HfSpec, Path]:
    """The settings of a suite's model, `given` put over them, and the folder that its paths start from."""
    from evalharness.core.errors import UsageError
    from evalharness.core.registry import suggestion
    from evalharness.suite.load import load_suite

    loaded = load_suite(suite)
    models = loaded.suite.models
    if name not in models:
        known = ", ".join(models)
        asked = "--suite needs --name, one of its models" if name is None else f"{suite} has no model {name!r}"
        raise UsageError(f"{asked}{suggestion(name or '', models)}; it has: {known}")
    spec = models[name]
    if spec.backend != "hf-causal":
        raise UsageError(f"{suite}: the model {name!r} is {spec.backend}; only hf-causal models can be served")
    settings = spec.model_dump(exclude_unset=True)
    if "device" in given:
        settings = {key: value for key, value in settings.items() if key not in ("devices", "device_map")}
    elif settings.get("devices"):
        raise UsageError(f"{suite}: the model {name!r} has `devices`; one copy is served: choose its GPU with --device")
    return _spec({**settings, **given}), loaded.base


def _spec(settings: dict[str, object]) -> HfSpec:
    from pydantic import ValidationError

    from evalharness.core.errors import UsageError
    from evalharness.suite.schema import HfModel

    try:
        return HfModel.model_validate({**settings, "backend": "hf-causal"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option} {first['input']!r}: {first['msg']}; see evalharness serve --help") from error


def _api_key(name: str | None) -> str | None:
    import os

    from evalharness.core.errors import UsageError

    if name is None:
        return None
    if not os.environ.get(name):
        raise UsageError(f"--api-key-env: the environment variable {name} is not set; set it: export {name}=…")
    return os.environ[name]


async def _serve(
    model: ServedCausal, aliases: tuple[str, ...], listening: socket.socket, *, api_key: str | None
) -> int:
    import asyncio
    import secrets
    import signal
    import time

    from aiohttp import web

    from evalharness.integrations.completions.server import CompletionServer
    from evalharness.models.huggingface.completions import CausalEngine

    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with until_signalled({signal.SIGINT: 130, signal.SIGTERM: 0}, stopped):
        loading = asyncio.create_task(model.open())
        either: list[asyncio.Future[Any]] = [loading, stopped]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
            return stopped.result()
        loading.result()
        engine = CausalEngine(model)
        server = CompletionServer(
            engine,
            name=model.name,
            aliases=aliases,
            api_key=api_key,
            clock=time.time,
            new_seed=lambda: secrets.randbits(32),
            report=lambda message: print(message, file=sys.stderr, flush=True),
        )
        runner = web.AppRunner(
            server.application(), access_log=None, shutdown_timeout=_PATIENCE_S, handler_cancellation=True
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listening).start()
            print(
                f"serving {model.name} ({model.device}) on http://{address_of(listening)}/v1; Ctrl-C ends it",
                flush=True,
            )
            return await stopped
        finally:
            await runner.cleanup()
            await model.close()


def _length(text: str) -> int:
    value = int(text)
    if value < 8:
        raise argparse.ArgumentTypeError("must be 8 or more")
    return value
