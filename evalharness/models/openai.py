"""The openai backend: any server that speaks the OpenAI interface, by its chat or its completions endpoint.

Of the sampling settings those that are set are sent: max_tokens, temperature, top_p, top_k (not in OpenAI's own
interface, but in that of vLLM, llama.cpp and others), stop and seed. `extra_body` is merged over them and wins; a
null there takes a field out, as in `extra_body: {max_tokens: null, max_completion_tokens: 512}` for models that want
the newer name.

What a response says: `text` is the content of the message and nothing else: reasoning stands in
`meta.reasoning_content`, tool calls in `meta.tool_calls`. An answer cut off by max_tokens is "truncated", one that
the server's filter or the model refused is "refusal". `meta` keeps id, model and system_fingerprint as the server
gives them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER
from evalharness.core.types import Json, Request, Response, Sampling

from .concurrent import ConcurrentModel, RequestFailed
from .endpoint import Endpoint, address_identity, check_address, check_secrets, merged_headers, parsed
from .limits import Flow, FlowSpec
from .outputs import prompt_turns
from .replies import answer_of
from .retry import RetryPolicy, Timing
from .transport import AiohttpTransport, HttpRequest, Transport
from .values import Secrets

__all__ = ["OpenAIModel", "make"]

VERSION = "1"
_PATHS = {"chat": "/chat/completions", "completions": "/completions"}
_OWN_FIELDS = {
    "model": "it is set by `model`",
    "messages": "it is made of the task's prompt",
    "prompt": "it is made of the task's prompt",
    "n": "for several answers to a sample set `repeats` of the task",
    "stream": "answers are read whole",
}
_HINTS = {
    b"max_completion_tokens": "for this model set `extra_body: {max_tokens: null, max_completion_tokens: …}`",
    b"'temperature' does not support": "for this model set `extra_body: {temperature: null}`",
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
    def api(self) -> Literal["chat", "completions"]:
        """Which endpoint is asked."""
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

    capabilities = frozenset({"generate"})

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
        concurrency = spec.concurrency or concurrency
        secrets = Secrets(environ, spec.base_url, spec.api_key, spec.headers, spec.extra_body, spec.model)
        super().__init__(name, concurrency=concurrency, secrets=secrets)
        self._spec = spec
        _check(spec, place=f"models.{name}")
        self._endpoint = Endpoint(
            transport or AiohttpTransport(concurrency=concurrency, environ=environ),
            written=spec.base_url,
            secrets=secrets,
            key_names=PLACEHOLDER.findall(spec.api_key or "") or PLACEHOLDER.findall(json.dumps(dict(spec.headers))),
            policy=RetryPolicy(max_retries=spec.max_retries),
            timing=timing or Timing(),
            flow=Flow.of(spec, concurrency=concurrency),
            hints=_HINTS,
        )
        self._url = self._model = ""
        self._headers: dict[str, str] = {}
        self._extra: dict[str, Any] = {}

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
        body = self._body(request)
        exchange = await self._endpoint.ask(
            HttpRequest("POST", self._url, self._headers, json.dumps(body).encode(), self._spec.timeout_s)
        )
        try:
            return answer_of(
                request.key,
                parsed(exchange.reply, self._secrets),
                api=self._spec.api,
                n_retries=exchange.n_retries,
                latency_s=exchange.latency_s,
            )
        except RequestFailed as failure:
            raise RequestFailed(str(failure), n_retries=exchange.n_retries, latency_s=exchange.latency_s) from failure

    def _body(self, request: Request) -> dict[str, Any]:
        asked: dict[str, Any] = {"model": self._model}
        if self._spec.api == "chat":
            asked["messages"] = prompt_turns(request.prompt)
        elif isinstance(request.prompt, str):
            asked["prompt"] = request.prompt
        else:
            raise RequestFailed(
                "the completions endpoint takes text, and the prompt is chat turns; set `api: chat` for the model, or "
                "use `prompt` instead of `messages` in the task"
            )
        whole = {**asked, **_sampling_fields(request.sampling), **self._extra}
        return {key: value for key, value in whole.items() if value is not None}


def _sampling_fields(sampling: Sampling) -> dict[str, Any]:
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
    }


def _endpoint_url(base_url: str, api: str) -> str:
    """The address of the endpoint; a query (`?api-version=…`) stays at the end."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATHS[api], fragment=""))


def _check(spec: Spec, *, place: str) -> None:
    check_secrets(place, url=spec.base_url, headers=spec.headers)
    if spec.api_key is not None and not PLACEHOLDER.search(spec.api_key):
        raise UsageError(
            f"{place}.api_key: a key must not be written into a suite, which every record repeats; put it into an "
            "environment variable and write ${env:NAME}, or leave api_key out if the server needs none"
        )
    for path in _PATHS.values():
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

    It can generate. Example::

        candidate:
          backend: openai
          model: my-model
          base_url: http://localhost:8000/v1
          api_key: "${env:MY_KEY}"      # leave it out if the server needs none

    Of the sampling settings those that are set are sent: max_tokens, temperature, top_p, top_k (not known to OpenAI's
    own servers), stop and seed. `extra_body` wins over them, and a null there takes a field out:
    `extra_body: {max_tokens: null, max_completion_tokens: 512}`.

    An answer cut off by max_tokens is "truncated", one that was refused is "refusal"; reasoning and tool calls are
    kept in the response's meta and are no part of its text. 429, 5xx, timeouts and lost connections are tried again,
    `max_retries` times, with growing random delays or after the time that the server asks for.
    """
    return OpenAIModel(name, spec, environ=environ, concurrency=concurrency)
