"""A tiny random Llama behind a running server, and the same checkpoint behind the hf-causal backend."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _maker():
    """The helpers that make the Hugging Face tests' checkpoints."""
    path = Path(__file__).parents[2] / "models" / "huggingface" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hf_test_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def maker():
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    torch.set_num_threads(1)
    return _maker()


@pytest.fixture(scope="session")
def checkpoint(maker, tmp_path_factory):
    """`checkpoint(architecture, style)`: a folder, made once a session."""
    made = {}

    def make(architecture="llama", style="plain"):
        if (architecture, style) not in made:
            folder = tmp_path_factory.mktemp(f"{architecture}-{style}")
            maker.make_model(architecture, "causal").save_pretrained(folder)
            maker.make_tokenizer(style, template=maker.TEMPLATE).save_pretrained(folder)
            made[architecture, style] = folder
        return made[architecture, style]

    return make


class Server:
    """A server on a free port, its event loop on a thread of its own."""

    def __init__(self, engine, *, cancels=False, **options):
        from aiohttp import web

        from evalharness.integrations.completions.server import CompletionServer

        self.reported = []
        self.server = CompletionServer(
            engine,
            **{"name": "tiny", "clock": lambda: 1_700_000_000.5, "new_seed": lambda: 7, "report": self.reported.append}
            | options,
        )
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.runner = web.AppRunner(
            self.server.application(), access_log=None, shutdown_timeout=1.0, handler_cancellation=cancels
        )
        self.wait(self.runner.setup())
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        self.wait(site.start())
        self.address = self.runner.addresses[0][:2]
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def until(self, happened):
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)

    def ask(self, path, body=None, *, headers=None, method=None, raw=None):
        """(status, JSON) of a request; GET without a body."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def complete(self, **body):
        status, answer = self.ask("/v1/completions", body)
        assert status == 200, answer
        return answer

    def close(self):
        self.wait(self.runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def serving(maker):
    """`with serving(folder, **settings) as server`: the checkpoint served."""
    from evalharness.models.huggingface.completions import CausalEngine, ServedCausal

    @contextmanager
    def start(folder, **settings):
        model = ServedCausal("tiny", maker.make_spec(folder, **settings), base=folder)
        asyncio.run(model.open())
        server = Server(CausalEngine(model))
        try:
            yield server
        finally:
            server.close()
            asyncio.run(model.close())

    return start


@pytest.fixture(scope="session")
def server_of():
    """`with server_of(engine, **options) as server`: any engine served."""

    @contextmanager
    def start(engine, **options):
        server = Server(engine, **options)
        try:
            yield server
        finally:
            server.close()

    return start


@pytest.fixture
def likelihoods(maker):
    """`likelihoods(folder, kind, [(prompt, continuation)])`: what the hf-causal backend says."""
    from evalharness.core.types import Request, Sampling
    from evalharness.models.huggingface.backend import HfCausal

    def compute(folder, kind, pairs, sampling=None, **settings):
        model = HfCausal("tiny", maker.make_spec(folder, **settings), base=folder)
        requests = [
            Request(
                str(index), "tiny", kind, str(index), prompt,
                continuations=() if continuation is None else (continuation,),
                sampling=sampling or Sampling(),
            )
            for index, (prompt, continuation) in enumerate(pairs)
        ]  # fmt: skip

        async def main():
            try:
                return {response.key: response async for response in getattr(model, kind)(requests)}
            finally:
                await model.close()

        found = asyncio.run(main())
        return [found[request.key] for request in requests]

    return compute


@pytest.fixture(scope="session")
def instances():
    """lm-eval's own request objects of arguments."""

    def make(kind, arguments):
        return [SimpleNamespace(args=args, request_type=kind, arguments=args) for args in arguments]

    return make
