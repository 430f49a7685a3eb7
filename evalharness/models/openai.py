"""The openai backend: any server that speaks the OpenAI interface: chat, completions or responses, by `api`.

Of the sampling settings those that are set are sent: max_tokens, temperature, top_p, top_k (not in OpenAI's own
interface, but in that of vLLM, llama.cpp and others), stop and seed. `extra_body` is merged over them and wins; a
null there takes a field out, as in `extra_body: {max_tokens: null, max_completion_tokens: 512}` for models that want
the newer name.

What a response says: `text` is the content of the message and nothing else: reasoning stands in
`meta.reasoning_content`, tool calls in `meta.tool_calls`. An answer cut off by max_tokens is "truncated", one that
the server's filter or the model refused is "refusal". `meta` keeps id, model and system_fingerprint as the server
gives them, and with `stream` the time to the first piece of the answer, as `ttft_s`; streaming is no part of the
identity, for the model makes the same tokens. A server that knows no `stream_options` may do without:
`extra_body: {stream_options: null}`; it then does not count tokens.

With `api: completions` it also scores likelihoods, on servers that tell the log-probabilities of a prompt; see
`echoed`. Each continuation is a request of its own, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER
from evalharness.core.types import Json, Kind, Request, Response, Status

from .concurrent import ConcurrentModel, RequestFailed
from .echoed import Way
from .endpoint import Endpoint, Exchange, address_identity, check_address, check_secrets, merged_headers, parsed
from .limits import Flow, FlowSpec
from .openai_body import PATHS, Api, cut_at_stop, generation_fields
from .openai_streams import reader_of, stream_fields
from .prompt_scores import PromptScorer
from .replies import answer_of
from .response_items import response_of
from .retry import RetryPolicy, Timing
from .streams import with_ttft
from .thinking import without_thinking
from .transport import AiohttpTransport, HttpRequest, StreamReader, Transport
from .values import Secrets

__all__ = ["OpenAIModel", "make"]

VERSION = "2"
_CAPABILITIES: Mapping[str, frozenset[Kind]] = {
    "chat": frozenset({"generate"}),
    "completions": frozenset({"generate", "loglikelihood", "loglikelihood_rolling"}),
    "responses": frozenset({"generate"}),
}
_OWN_FIELDS = {
    "model": "it is set by `model`",
    "messages": "it is made of the task's prompt",
    "prompt": "it is made of the task's prompt",
    "input": "it is made of the task's prompt",
    "n": "for several answers to a sample set `repeats` of the task",
    "stream": "set `stream: true` of the model",
    "echo": "it is set where likelihoods are asked for, and an answer must not begin with its prompt",
    "background": "answers are waited for",
}
_HINTS = {
    b"max_completion_tokens": "for this model set `extra_body: {max_tokens: null, max_completion_tokens: …}`",
    b"'temperature' does not support": "for this model set `extra_body: {temperature: null}`",
    b"'temperature' is not supported": "for this model set `extra_body: {temperature: null}`",
}


class Spec(FlowSpec, Protocol):
    """What this backend reads of its suite entry."""

    @property
    def model(self) -> str:
        """Name of the model as the server knows it."""
        ...

    @property
    def base_url(self) -> str:
        """Address up to and with /v1."""
        ...

    @property
    def api_key(self) -> str | None:
        """Key, as a placeholder."""
        ...

    @property
    def api(self) -> Api:
        """Which endpoint is asked."""
        ...

    @property
    def likelihood(self) -> Way:
        """How the log-probabilities of a prompt are asked for."""
        ...

    @property
    def first_token(self) -> str | None:
        """What stands before a text with nothing before it, where the server puts nothing there."""
        ...

    @property
    def split_thinking(self) -> bool:
        """Whether reasoning in the text is parted from the answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers."""
        ...

    @property
    def extra_body(self) -> Mapping[str, Any]:
        """Further fields of the request body."""
        ...

    @property
    def stream(self) -> bool:
        """Whether answers are sent as they are made."""
        ...

    @property
    def timeout_s(self) -> float:
        """Longest wait for one answer."""
        ...

    @property
    def max_retries(self) -> int:
        """Further tries."""
        ...

    @property
    def concurrency(self) -> int | None:
        """Requests in flight, if not the run's."""
        ...


class OpenAIModel(ConcurrentModel):
    """A model behind an OpenAI-compatible server; see the module."""

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        environ: Mapping[str, str],
        concurrency: int,
        transport: Transport | None = None,
        timing: Timing | None = None,
    ) -> None:
        concurrency, timing = spec.concurrency or concurrency, timing or Timing()
        secrets = Secrets(environ, spec.base_url, spec.api_key, spec.headers, spec.extra_body, spec.model)
        super().__init__(name, concurrency=concurrency, secrets=secrets)
        self.capabilities = _CAPABILITIES[spec.api]
        self._spec = spec
        _check(spec, place=f"models.{name}")
        self._endpoint = Endpoint(
            transport or AiohttpTransport(concurrency=concurrency, environ=environ),
            written=spec.base_url,
            secrets=secrets,
            key_names=PLACEHOLDER.findall(spec.api_key or "") or PLACEHOLDER.findall(json.dumps(dict(spec.headers))),
            policy=RetryPolicy(max_retries=spec.max_retries),
            timing=timing,
            flow=Flow.of(spec, concurrency=concurrency),
            hints=_HINTS,
        )
        self._reader = reader_of(spec.api, clock=timing.clock) if spec.stream else None
        self._url = self._model = ""
        self._headers: dict[str, str] = {}
        self._extra: dict[str, Any] = {}
        self._scorer = PromptScorer(self._ask_score, way=spec.likelihood, first_token=spec.first_token)

    def identity(self) -> Mapping[str, Json]:
        spec = self._spec
        return {
            "backend": "openai",
            "backend_version": VERSION,
            **address_identity("model", spec.model, self._secrets.resolve(spec.model)),
            **address_identity("base_url", spec.base_url, self._secrets.resolve(spec.base_url)),
            "api": spec.api,
            "headers": dict(spec.headers),
            "extra_body": dict(spec.extra_body),
            # Only what is not the default, so that a new setting leaves the stored answers of other suites alone.
            **({"likelihood": spec.likelihood} if spec.likelihood != "echo" else {}),
            **({"first_token": spec.first_token} if spec.first_token is not None else {}),
            **({"split_thinking": False} if not spec.split_thinking else {}),
        }

    async def open(self) -> None:
        spec, place = self._spec, f"models.{self.name}"
        base_url = self._secrets.resolve(spec.base_url)
        check_address(base_url, place=f"{place}.base_url", written=spec.base_url)
        self._url = _endpoint_url(base_url, spec.api)
        own = {"Content-Type": "application/json"}
        if spec.api_key is not None:
            own["Authorization"] = f"Bearer {self._secrets.resolve(spec.api_key).strip()}"
        self._headers = merged_headers(own, self._secrets.resolve(spec.headers), place=f"{place}.headers")
        self._model = self._secrets.resolve(spec.model)
        self._extra = self._secrets.resolve(spec.extra_body)
        await self._endpoint.open()

    async def close(self) -> None:
        await self._endpoint.close()

    async def answer(self, request: Request) -> Response:
        if request.kind == "generate":
            return await self._generated(request)
        return await self._scorer.answer(request)

    async def _ask(self, fields: Mapping[str, Any], reader: Callable[[], StreamReader] | None = None) -> Exchange:
        """The reply to a body with these fields and the model's name; null takes a field out."""
        body = {key: value for key, value in {"model": self._model, **fields}.items() if value is not None}
        return await self._endpoint.ask(
            HttpRequest("POST", self._url, self._headers, json.dumps(body).encode(), self._spec.timeout_s, reader)
        )

    async def _ask_score(self, fields: Mapping[str, Any]) -> tuple[Exchange, Any]:
        """The reply to what scores a text, and its JSON; `extra_body` changes nothing of what is scored."""
        exchange = await self._ask({**self._extra, **fields})
        return exchange, parsed(exchange.reply, self._secrets)

    async def _generated(self, request: Request) -> Response:
        api = self._spec.api
        streamed = stream_fields(api) if self._spec.stream else {}
        asked = generation_fields(request.prompt, request.sampling, api=api)
        exchange = await self._ask({**asked, **streamed, **self._extra}, self._reader)
        tries: dict[str, Any] = {"n_retries": exchange.n_retries, "latency_s": exchange.latency_s}
        try:
            reply = parsed(exchange.reply, self._secrets)
            if api == "responses":
                found = response_of(request.key, reply, **tries)
            else:
                found = answer_of(request.key, reply, api=api, **tries)
        except RequestFailed as failure:
            raise RequestFailed(str(failure), **tries) from failure
        if self._spec.split_thinking:
            found = without_thinking(found)
        found = _cut(found, request.sampling.stop) if api == "responses" else found
        return with_ttft(found, exchange.reply)


def _cut(response: Response, stop: tuple[str, ...]) -> Response:
    """`response` ended by the first stop string in it, as a server that knows stop strings would have ended it."""
    text = cut_at_stop(response.text or "", stop)
    if text == (response.text or ""):
        return response
    status: Status = "ok" if response.status == "truncated" else response.status
    return replace(response, text=text, status=status, finish_reason="stop")


def _endpoint_url(base_url: str, api: str) -> str:
    """The address of the endpoint; a query (`?api-version=…`) stays at the end."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + PATHS[api], fragment=""))


def _check(spec: Spec, *, place: str) -> None:
    check_secrets(place, url=spec.base_url, headers=spec.headers)
    if spec.api_key is not None and not PLACEHOLDER.search(spec.api_key):
        raise UsageError(
            f"{place}.api_key: a key must not be written into a suite, which every record repeats; put it into an "
            "environment variable and write ${env:NAME}, or leave api_key out if the server needs none"
        )
    for path in PATHS.values():
        if urlsplit(spec.base_url).path.rstrip("/").endswith(path):
            raise UsageError(f"{place}.base_url: give the address up to and with /v1, without {path}")
    if not PLACEHOLDER.search(spec.base_url):
        check_address(spec.base_url, place=f"{place}.base_url", written=spec.base_url)
    for field, why in _OWN_FIELDS.items():
        if spec.extra_body.get(field) not in (None, False):
            raise UsageError(f"{place}.extra_body.{field}: this field cannot be set here: {why}")


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> OpenAIModel:
    """Any server that speaks the OpenAI interface (OpenAI, vLLM, llama.cpp, `transformers serve` …).

    It can generate, and with `api: completions` score choices and whole texts by likelihood, where the server tells
    the log-probabilities of a prompt (vLLM, `evalharness serve`). Example::

        candidate:
          backend: openai
          model: my-model
          base_url: http://localhost:8000/v1
          api_key: "${env:MY_KEY}"      # leave it out if the server needs none

    Of the sampling settings those that are set are sent: max_tokens, temperature, top_p, top_k (not known to OpenAI's
    own servers), stop and seed. `extra_body` wins over them, and a null there takes a field out:
    `extra_body: {max_tokens: null, max_completion_tokens: 512}`.

    An answer cut off by max_tokens is "truncated", one that was refused is "refusal"; reasoning, `<think>…</think>` at
    the beginning of a text too, and tool calls are kept in the response's meta and are no part of its text. 429, 5xx,
    timeouts and lost connections are tried again, `max_retries` times, with growing random delays or after the time
    that the server asks for.
    """
    return OpenAIModel(name, spec, environ=environ, concurrency=concurrency)
