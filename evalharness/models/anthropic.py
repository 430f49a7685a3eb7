"""The anthropic backend: the messages API of Anthropic, or of a server that speaks it.

The turns of a chat are sent as they are but for system turns, which must come first and are sent apart, under
`system`; text is one turn of the user's. Of the sampling settings max_tokens, temperature and those of top_p, top_k
and stop that are set are sent. The API takes no seed: answers with a temperature above 0 cannot be had again but from
the response store. `extra_body` is merged over the fields and wins; a null there takes one out, as in
`extra_body: {temperature: null, thinking: {type: enabled, budget_tokens: 4000}}`.

What a response says: `text` is the text blocks and nothing else: thoughts stand in `meta.reasoning_content`, tool
calls in `meta.tool_calls`. An answer cut off by max_tokens is "truncated", one that the model refused is "refusal".
Input tokens are all that the model read, cached ones included; `meta.cached_tokens` of them came from the cache, and
`meta.cache_write_tokens` were put into it. With `stream`, `meta.ttft_s` is the time to the first piece of the answer.
How it is asked for is no part of the identity: the model makes the same tokens, streamed or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER
from evalharness.core.types import Json, Prompt, Request, Response, Sampling

from .anthropic_replies import MessageStream, answer_of
from .concurrent import ConcurrentModel, RequestFailed
from .endpoint import Endpoint, address_identity, check_address, check_secrets, merged_headers, parsed
from .limits import Flow, FlowSpec
from .outputs import prompt_turns
from .retry import RetryPolicy, Timing
from .streams import with_ttft
from .transport import AiohttpTransport, HttpRequest, Transport
from .values import Secrets

__all__ = ["AnthropicModel", "make"]

VERSION = "1"
_PATH = "/v1/messages"
_OWN_FIELDS = {
    "model": "it is set by `model`",
    "messages": "they are made of the task's prompt",
    "system": "it is made of the task's system turns",
    "stream": "set `stream: true` of the model",
}
# The first that stands in the body of a refusal says what to do.
_HINTS = {
    b"credit balance is too low": "the account has no credit left: add some",
    b"prompt is too long": "the prompt is too long for the model",
    b"maximum allowed number of output tokens": "lower generate.max_tokens",
    b"non-whitespace": "this API takes no `stop` of white space alone; read the answer with `extract` instead",
    b"cannot both be specified": "for this model set `extra_body: {temperature: null}`, or leave top_p out",
    b"temperature": "this API takes 0 to 1, and some models none: then set `extra_body: {temperature: null}`",
    b"overloaded_error": "the API is overloaded; lower the concurrency, raise max_retries, or run again later",
}


class Spec(FlowSpec, Protocol):
    """What this backend reads of its suite entry."""

    @property
    def model(self) -> str:
        """Name of the model as the server knows it."""
        ...

    @property
    def base_url(self) -> str:
        """Address up to, and without, /v1."""
        ...

    @property
    def api_key(self) -> str | None:
        """Key, as a placeholder."""
        ...

    @property
    def api_version(self) -> str:
        """Version of the API."""
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


class AnthropicModel(ConcurrentModel):
    """A model behind the messages API; see the module."""

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
        concurrency, timing = spec.concurrency or concurrency, timing or Timing()
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
            timing=timing,
            flow=Flow.of(spec, concurrency=concurrency),
            hints=_HINTS,
        )
        self._reader = partial(MessageStream, timing.clock) if spec.stream else None
        self._url = self._model = ""
        self._headers: dict[str, str] = {}
        self._extra: dict[str, Any] = {}

    def identity(self) -> Mapping[str, Json]:
        spec = self._spec
        return {
            "backend": "anthropic",
            "backend_version": VERSION,
            **address_identity("model", spec.model, self._secrets.resolve(spec.model)),
            **address_identity("base_url", spec.base_url, self._secrets.resolve(spec.base_url)),
            "api_version": spec.api_version,
            "headers": dict(spec.headers),
            "extra_body": dict(spec.extra_body),
        }

    async def open(self) -> None:
        spec, place = self._spec, f"models.{self.name}"
        base_url = self._secrets.resolve(spec.base_url)
        check_address(base_url, place=f"{place}.base_url", written=spec.base_url)
        parts = urlsplit(base_url)
        self._url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATH, fragment=""))
        own = {"Content-Type": "application/json", "anthropic-version": spec.api_version}
        if spec.api_key:
            own["x-api-key"] = self._secrets.resolve(spec.api_key).strip()
        self._headers = merged_headers(own, self._secrets.resolve(spec.headers), place=f"{place}.headers")
        self._model = self._secrets.resolve(spec.model)
        self._extra = self._secrets.resolve(spec.extra_body)
        await self._endpoint.open()

    async def close(self) -> None:
        await self._endpoint.close()

    async def answer(self, request: Request) -> Response:
        body = json.dumps(self._body(request)).encode()
        exchange = await self._endpoint.ask(
            HttpRequest("POST", self._url, self._headers, body, self._spec.timeout_s, self._reader)
        )
        tries: dict[str, Any] = {"n_retries": exchange.n_retries, "latency_s": exchange.latency_s}
        try:
            found = answer_of(request.key, parsed(exchange.reply, self._secrets), **tries)
        except RequestFailed as failure:
            raise RequestFailed(str(failure), **tries) from failure
        return with_ttft(found, exchange.reply)

    def _body(self, request: Request) -> dict[str, Any]:
        asked = {"model": self._model, **_turns(request.prompt), **_sampling_fields(request.sampling)}
        whole = {**asked, **({"stream": True} if self._spec.stream else {}), **self._extra}
        return {key: value for key, value in whole.items() if value is not None}


def _turns(prompt: Prompt) -> dict[str, Any]:
    """The turns, and the system prompt apart from them.

    Raises:
        RequestFailed: the API has no place for them.
    """
    turns = prompt_turns(prompt)
    n_system = next((i for i, turn in enumerate(turns) if turn["role"] != "system"), len(turns))
    system, said = turns[:n_system], turns[n_system:]
    if not said:
        raise RequestFailed("the messages API wants at least one turn after the system prompt, and there is none")
    for turn in said:
        if turn["role"] not in ("user", "assistant"):
            where = " after the first turn" if turn["role"] == "system" else ""
            raise RequestFailed(f"the messages API takes no turn of the role {turn['role']!r}{where}; rewrite the task")
    return {"system": "\n\n".join(turn["content"] for turn in system) or None, "messages": said}


def _sampling_fields(sampling: Sampling) -> dict[str, Any]:
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop_sequences": list(sampling.stop) or None,
    }


def _check(spec: Spec, *, place: str) -> None:
    check_secrets(place, url=spec.base_url, headers=spec.headers)
    if spec.api_key and not PLACEHOLDER.search(spec.api_key):
        raise UsageError(
            f"{place}.api_key: a key must not be written into a suite, which every record repeats; put it into an "
            'environment variable and write ${env:NAME}, or write "" if the server needs none'
        )
    if not PLACEHOLDER.search(spec.base_url):
        check_address(spec.base_url, place=f"{place}.base_url", written=spec.base_url)
    if spec.base_url.rstrip("/").endswith((_PATH, "/v1")):
        raise UsageError(f"{place}.base_url: give the address without /v1 and what follows it")
    for field, why in _OWN_FIELDS.items():
        if spec.extra_body.get(field) not in (None, False):
            raise UsageError(f"{place}.extra_body.{field}: this field cannot be set here: {why}")


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> AnthropicModel:
    """Anthropic's messages API, or a server that speaks it.

    It can generate. Example::

        candidate:
          backend: anthropic
          model: claude-haiku-4-5       # the key comes from the environment variable ANTHROPIC_API_KEY

    max_tokens, temperature and those of top_p, top_k and stop that are set are sent. The API takes no seed, so that
    answers with a temperature above 0 cannot be had again but from the response store. `extra_body` wins over these
    fields, and a null there takes one out: `{temperature: null, thinking: {type: enabled, budget_tokens: 4000}}`.

    System turns must come first, and are sent as the system prompt. An answer cut off by max_tokens is "truncated",
    one that was refused is "refusal"; thoughts and tool calls are kept in the response's meta and are no part of its
    text. 429, 5xx, 529 (overloaded), timeouts, lost connections and streams that break off are tried again,
    `max_retries` times, with growing random delays or after the time that the server asks for.
    """
    return AnthropicModel(name, spec, environ=environ, concurrency=concurrency)
