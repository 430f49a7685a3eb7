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

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from evalharness.core.errors import UsageError
from evalharness.core.types import Json, Kind, Request, Response, Status

from .concurrent import RequestFailed
from .echoed import Way
from .endpoint import Exchange, parsed
from .openai_body import PATHS, Api, cut_at_stop, generation_fields
from .openai_streams import reader_of, stream_fields
from .prompt_scores import PromptScorer
from .replies import answer_of
from .response_items import response_of
from .retry import Timing
from .service import ServiceModel, ServiceSpec
from .streams import with_ttft
from .thinking import without_thinking
from .transport import Transport

if TYPE_CHECKING:
    from .batches import BatchService

__all__ = ["OpenAIModel", "make"]

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


class Spec(ServiceSpec, Protocol):
    """What this backend reads of its suite entry."""

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


class OpenAIModel(ServiceModel):
    """A model behind an OpenAI-compatible server; see the module."""

    backend = "openai"
    version = "2"
    own_fields = _OWN_FIELDS
    hints = _HINTS
    without_key = "leave api_key out if the server needs none"

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
        timing = timing or Timing()
        super().__init__(
            name,
            spec,
            path=PATHS[spec.api],
            environ=environ,
            concurrency=concurrency,
            transport=transport,
            timing=timing,
        )
        self.capabilities = _CAPABILITIES[spec.api]
        self._spec = spec
        self._reader = reader_of(spec.api, clock=timing.clock) if spec.stream else None
        self._scorer = PromptScorer(self._ask_score, way=spec.likelihood, first_token=spec.first_token)

    def own_headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def check_path(self, base_url: str, place: str) -> None:
        for path in PATHS.values():
            if urlsplit(base_url).path.rstrip("/").endswith(path):
                raise UsageError(f"{place}: give the address up to and with /v1, without {path}")

    def identity(self) -> Mapping[str, Json]:
        spec = self._spec
        return {
            **super().identity(),
            "api": spec.api,
            # Only what is not the default, so that a new setting leaves the stored answers of other suites alone.
            **({"likelihood": spec.likelihood} if spec.likelihood != "echo" else {}),
            **({"first_token": spec.first_token} if spec.first_token is not None else {}),
            **({"split_thinking": False} if not spec.split_thinking else {}),
        }

    async def answer(self, request: Request) -> Response:
        if request.kind == "generate":
            return await self._generated(request)
        return await self._scorer.answer(request)

    async def _ask_score(self, fields: Mapping[str, Any]) -> tuple[Exchange, Any]:
        """The reply to what scores a text, and its JSON; `extra_body` changes nothing of what is scored."""
        exchange = await self._ask({**self._extra, **fields})
        return exchange, parsed(exchange.reply, self._secrets)

    async def _generated(self, request: Request) -> Response:
        streamed = stream_fields(self._spec.api) if self._spec.stream else {}
        exchange = await self._ask({**self._asked(request), **streamed, **self._extra}, self._reader)
        tries: dict[str, Any] = {"n_retries": exchange.n_retries, "latency_s": exchange.latency_s}
        try:
            found = self.response_in(request, parsed(exchange.reply, self._secrets), **tries)
        except RequestFailed as failure:
            raise RequestFailed(str(failure), **tries) from failure
        return with_ttft(found, exchange.reply)

    def _asked(self, request: Request) -> dict[str, Any]:
        return generation_fields(request.prompt, request.sampling, api=self._spec.api)

    def body_of(self, request: Request) -> dict[str, Any]:
        return self._body({**self._asked(request), **self._extra})

    def response_in(self, request: Request, content: Any, *, n_retries: int, latency_s: float | None) -> Response:
        api = self._spec.api
        if api == "responses":
            found = response_of(request.key, content, n_retries=n_retries, latency_s=latency_s)
        else:
            found = answer_of(request.key, content, api=api, n_retries=n_retries, latency_s=latency_s)
        if self._spec.split_thinking:
            found = without_thinking(found)
        return _cut(found, request.sampling.stop) if api == "responses" else found

    def batches(self) -> BatchService:
        from .openai_batches import OpenAIBatches

        return OpenAIBatches(self, api=self._spec.api)


def _cut(response: Response, stop: tuple[str, ...]) -> Response:
    """`response` ended by the first stop string in it, as a server that knows stop strings would have ended it."""
    text = cut_at_stop(response.text or "", stop)
    if text == (response.text or ""):
        return response
    status: Status = "ok" if response.status == "truncated" else response.status
    return replace(response, text=text, status=status, finish_reason="stop")


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
