"""The http backend: any endpoint that takes a request and gives JSON or plain text, such as /ask of a Flask app.

The strings of `body`, at any depth, are templates over prompt, messages, sampling, sample_id and repeat; one that is
exactly one expression, `"{{ messages }}"`, keeps the type of its value. With GET the fields of the body become the
query. `response` says where the answer stands in the reply: `text`, `choices.0.text`, `$.data[0].text`, or `.` for
the whole reply, which may then be plain text. An answer that is no text is taken as JSON text. `keep` names further
places, whose values become part of the response's meta: the documents that an answer was made from. With
`kind: classify` the answer is a label, `{label: probability}`, or a list of `{label, score}`.

With `stream` the reply is a stream of events, and `response` says where a piece of the answer stands in each of them;
events without one are passed over. So the answer depends on it, and it is part of the identity.
"""

from __future__ import annotations

import contextlib
import json
import secrets as random_secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER, placeholders
from evalharness.core.templating import Template
from evalharness.core.types import Json, Request, Response

from .addresses import address_identity, check_address, check_secrets, merged_headers
from .concurrent import ConcurrentModel, RequestFailed
from .endpoint import Endpoint, EndpointSpec, parsed
from .http_streams import HttpStream
from .jsonpath import WHOLE, find, parse_path
from .limits import Flow
from .outputs import label_response, request_values, shown
from .retry import RetryPolicy, Timing
from .streams import with_ttft
from .transport import AiohttpTransport, HttpReply, HttpRequest, Transport
from .values import Secrets, check_names, strings_in

__all__ = ["HttpModel", "make"]

VERSION = "1"


class Spec(EndpointSpec, Protocol):
    """What this backend reads of its suite entry."""

    @property
    def url(self) -> str:
        """Address that is asked."""
        ...

    @property
    def method(self) -> Literal["GET", "POST", "PUT"]:
        """HTTP method."""
        ...

    @property
    def body(self) -> Any:
        """Body template."""
        ...

    @property
    def response(self) -> str:
        """Where the answer stands."""
        ...

    @property
    def kind(self) -> Literal["generate", "classify"]:
        """Whether the answer is a text, or a label with its probability."""
        ...

    @property
    def keep(self) -> Mapping[str, str]:
        """What else is kept of the reply: a name for each place in it."""
        ...

    @property
    def stream_end(self) -> str | None:
        """Where an event says that it is the last."""
        ...

    @property
    def version(self) -> str | None:
        """What the user calls the version behind the address."""
        ...


Filler = Callable[[Mapping[str, Any], Mapping[str, str]], Any]
"""Makes a body of the values of a request and the values of the environment's variables."""


class HttpModel(ConcurrentModel):
    """A model behind any JSON endpoint; see the module."""

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
        secrets = Secrets(environ, spec.url, spec.headers, spec.body)
        super().__init__(name, concurrency=concurrency, secrets=secrets)
        self._spec = spec
        self.capabilities = frozenset({spec.kind})
        place = f"models.{name}"
        check_secrets(place, url=spec.url, headers=spec.headers)
        if not PLACEHOLDER.search(spec.url):
            check_address(spec.url, place=f"{place}.url", written=spec.url)
        if spec.method == "GET" and not isinstance(spec.body, Mapping | None):
            raise UsageError(f"{place}.body: with GET the fields of the body become the query: it must be a mapping")
        self._path = _path(spec.response, place=f"{place}.response")
        self._keep = {name: _path(path, place=f"{place}.keep.{name}") for name, path in spec.keep.items()}
        end = None if spec.stream_end is None else _path(spec.stream_end, place=f"{place}.stream_end")
        self._reader = (
            partial(HttpStream, timing.clock, path=self._path, end=end, response=spec.response) if spec.stream else None
        )
        self._fill = _compiled(spec.body, place=f"{place}.body")
        self._endpoint = Endpoint(
            transport or AiohttpTransport(concurrency=concurrency, environ=environ),
            written=spec.url,
            secrets=secrets,
            key_names=secrets.names,
            policy=RetryPolicy(max_retries=spec.max_retries),
            timing=timing,
            flow=Flow.of(spec, concurrency=concurrency),
        )
        self._url = ""
        self._headers: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def identity(self) -> Mapping[str, Json]:
        spec = self._spec
        return {
            "backend": "http",
            "backend_version": VERSION,
            **address_identity("url", spec.url, self._secrets.resolve(spec.url)),
            "method": spec.method,
            "headers": dict(spec.headers),
            "body": spec.body,
            "response": spec.response,
            "version": spec.version,
            "by_sample_id": any("sample_id" in text for text in strings_in(spec.body)),
            **({"stream": True, "stream_end": spec.stream_end} if spec.stream else {}),
            **({"keep": dict(spec.keep)} if spec.keep else {}),
            **({"kind": spec.kind} if spec.kind != "generate" else {}),
        }

    async def open(self) -> None:
        spec = self._spec
        self._url = self._secrets.resolve(spec.url)
        check_address(self._url, place=f"models.{self.name}.url", written=spec.url)
        own = {"Accept": "application/json, text/plain, */*"}
        if spec.method != "GET" and spec.body is not None:
            own["Content-Type"] = "application/json"
        given = self._secrets.resolve(spec.headers)
        self._headers = merged_headers(own, given, place=f"models.{self.name}.headers")
        self._values = {name: self._secrets.resolve(f"${{env:{name}}}") for name in self._secrets.names}
        await self._endpoint.open()

    async def close(self) -> None:
        await self._endpoint.close()

    async def answer(self, request: Request) -> Response:
        spec = self._spec
        body = self._fill(request_values(request), self._values)
        if spec.method == "GET":
            sent = HttpRequest("GET", _with_query(self._url, body), self._headers, None, spec.timeout_s, self._reader)
        else:
            data = None if spec.body is None else json.dumps(body).encode()
            sent = HttpRequest(spec.method, self._url, self._headers, data, spec.timeout_s, self._reader)
        exchange = await self._endpoint.ask(sent)
        tries: dict[str, Any] = {"n_retries": exchange.n_retries, "latency_s": exchange.latency_s}
        try:
            if spec.kind == "classify":
                answer = label_response(request.key, self._labels(exchange.reply))
            else:
                answer = Response(key=request.key, text=self._read(exchange.reply))
            found = replace(answer, meta=self._kept(exchange.reply), **tries)
        except RequestFailed as failure:
            raise RequestFailed(str(failure), **tries) from failure
        return with_ttft(found, exchange.reply)

    def _kept(self, reply: HttpReply) -> dict[str, Json]:
        """What the spec keeps of the reply beside the answer; what is not there is left out."""
        found: dict[str, Json] = {}
        for name, path in self._keep.items():
            with contextlib.suppress(RequestFailed):
                found[name] = find(parsed(reply, self._secrets), path)
        return found

    def _labels(self, reply: HttpReply) -> Any:
        """A label, or `{label: probability}`; servers also list them as `{label, score}`, perhaps in a list of one."""
        if self._path == WHOLE and "json" not in reply.headers.get("content-type", ""):
            return reply.text()
        found = find(parsed(reply, self._secrets), self._path)
        while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        if not isinstance(found, list):
            return found
        scores: dict[str, Any] = {}
        for one in found:
            match one:
                case {"label": str(label), "score": score} if label not in scores:
                    scores[label] = score
                case _:
                    raise RequestFailed(
                        f"the list at {self._spec.response!r} must have a label and a score in each place, no label "
                        f"twice; got {shown(one)}"
                    )
        return scores

    def _read(self, reply: HttpReply) -> str:
        if self._reader is not None:
            match parsed(reply, self._secrets):
                case {"text": str(text)}:
                    return text
                case {"problem": str(problem)}:
                    raise RequestFailed(problem)
                case other:
                    raise RequestFailed(f"the reply is no stream of events; got {shown(other)}")
        is_json = "json" in reply.headers.get("content-type", "")
        if self._path == WHOLE and not is_json:
            return reply.text()
        found = find(parsed(reply, self._secrets), self._path)
        if found is None:
            raise RequestFailed(f"the answer at {self._spec.response!r} is null")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _path(text: str, *, place: str) -> tuple[str, ...]:
    try:
        return parse_path(text)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _compiled(body: Any, *, place: str) -> Filler:
    """`body` with its strings compiled, so that a wrong template is found before anything is sent."""
    if isinstance(body, str):
        return _compiled_text(body, place=place)
    if isinstance(body, Mapping):
        fields = {str(key): _compiled(value, place=f"{place}.{key}") for key, value in body.items()}
        return lambda values, environ: {key: fill(values, environ) for key, fill in fields.items()}
    if isinstance(body, list | tuple):
        items = [_compiled(value, place=f"{place}[{index}]") for index, value in enumerate(body)]
        return lambda values, environ: [fill(values, environ) for fill in items]
    return lambda values, environ: body


def _compiled_text(text: str, *, place: str) -> Filler:
    # A secret is put in after rendering: it is no template, and what the data holds is no placeholder. Until then a
    # random token, which no data can contain, stands for it.
    tokens = {name: f"secret-{random_secrets.token_hex(16)}" for name in placeholders(text)}
    try:
        template = Template(PLACEHOLDER.sub(lambda match: tokens[match.group(1)], text))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    check_names(template, place=place)

    def fill(values: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
        rendered = template.render(values)
        if isinstance(rendered, str):
            for name, token in tokens.items():
                rendered = rendered.replace(token, environ[name])
        return rendered

    return fill


def _with_query(url: str, fields: Mapping[str, Any] | None) -> str:
    """`url` with `fields` added to its query: texts as they are, null left out, other values as JSON."""
    pairs = [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in (fields or {}).items()
        if value is not None
    ]
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(pairs, errors="surrogatepass")) if part)
    return urlunsplit(parts._replace(query=query, fragment=""))


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> HttpModel:
    """Any JSON endpoint, such as the classic /ask of a Flask app.

    It can generate. Example::

        candidate:
          backend: http
          url: http://localhost:5000/ask
          headers: {Authorization: "Bearer ${env:APP_KEY}"}
          body: {question: "{{ prompt }}", limit: "{{ sampling.max_tokens }}"}
          response: answer               # or choices.0.text, $.data[0].text, . for the whole reply

    Strings of `body`, at any depth, are templates over prompt, messages, sampling, sample_id and repeat; one that is
    exactly one expression keeps its type: "{{ messages }}" is a list. With GET the fields of the body become the
    query. An answer that is no text is taken as JSON text; null, or nothing there, is an error of that sample.

    With `stream: true` the answer comes in server-sent events, JSON lines or, with `response: .`, as plain text; its
    pieces are joined, and the time to the first one is kept. `stream_end: done` says where the last event says so; a
    stream that breaks off is asked for again.
    """
    return HttpModel(name, spec, environ=environ, concurrency=concurrency)
