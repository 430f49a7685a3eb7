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

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evalharness.core.errors import UsageError
from evalharness.core.types import Json, Prompt, Request, Response, Sampling

from .anthropic_replies import MessageStream, answer_of
from .concurrent import RequestFailed
from .endpoint import parsed
from .outputs import prompt_turns
from .retry import Timing
from .service import ServiceModel, ServiceSpec
from .streams import with_ttft
from .transport import Transport

if TYPE_CHECKING:
    from .batches import BatchService

__all__ = ["AnthropicModel", "make"]

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


class Spec(ServiceSpec, Protocol):
    """What this backend reads of its suite entry."""

    @property
    def api_version(self) -> str:
        """Version of the API."""
        ...


class AnthropicModel(ServiceModel):
    """A model behind the messages API; see the module."""

    capabilities = frozenset({"generate"})
    backend = "anthropic"
    version = "1"
    own_fields = _OWN_FIELDS
    hints = _HINTS
    no_key = ""
    without_key = 'write "" if the server needs none'

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
            name, spec, path=_PATH, environ=environ, concurrency=concurrency, transport=transport, timing=timing
        )
        self._spec = spec
        self._reader = partial(MessageStream, timing.clock) if spec.stream else None

    def own_headers(self, key: str | None) -> Mapping[str, str]:
        return {"anthropic-version": self._spec.api_version} | ({} if key is None else {"x-api-key": key})

    def check_path(self, base_url: str, place: str) -> None:
        if base_url.rstrip("/").endswith((_PATH, "/v1")):
            raise UsageError(f"{place}: give the address without /v1 and what follows it")

    def identity(self) -> Mapping[str, Json]:
        return {**super().identity(), "api_version": self._spec.api_version}

    async def answer(self, request: Request) -> Response:
        streamed = {"stream": True} if self._spec.stream else {}
        exchange = await self._ask({**_asked(request), **streamed, **self._extra}, self._reader)
        tries: dict[str, Any] = {"n_retries": exchange.n_retries, "latency_s": exchange.latency_s}
        try:
            found = self.response_in(request, parsed(exchange.reply, self._secrets), **tries)
        except RequestFailed as failure:
            raise RequestFailed(str(failure), **tries) from failure
        return with_ttft(found, exchange.reply)

    def body_of(self, request: Request) -> dict[str, Any]:
        return self._body({**_asked(request), **self._extra})

    def response_in(self, request: Request, content: Any, *, n_retries: int, latency_s: float | None) -> Response:
        return answer_of(request.key, content, n_retries=n_retries, latency_s=latency_s)

    def batches(self) -> BatchService:
        from .anthropic_batches import AnthropicBatches

        return AnthropicBatches(self)


def _asked(request: Request) -> dict[str, Any]:
    return {**_turns(request.prompt), **_sampling_fields(request.sampling)}


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
