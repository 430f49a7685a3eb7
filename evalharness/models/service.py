"""What the backends of model services have in common: an address, a key, a model's name, and a body of JSON fields."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncIterable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import urlsplit, urlunsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER
from evalharness.core.types import Json, Request, Response

from .addresses import address_identity, check_address, check_secrets, merged_headers
from .concurrent import ConcurrentModel
from .endpoint import Endpoint, EndpointSpec, Exchange, parsed
from .limits import Flow
from .retry import RetryPolicy, Timing
from .transport import AiohttpTransport, HttpReply, HttpRequest, StreamReader, Transport
from .values import Secrets

if TYPE_CHECKING:
    from .batches import BatchService

__all__ = ["ServiceModel", "ServiceSpec"]


class ServiceSpec(EndpointSpec, Protocol):
    """What these backends read of a suite entry."""

    @property
    def model(self) -> str:
        """Name of the model as the server knows it."""
        ...

    @property
    def base_url(self) -> str:
        """Address, without the path of what is asked."""
        ...

    @property
    def api_key(self) -> str | None:
        """Key, as a placeholder."""
        ...

    @property
    def extra_body(self) -> Mapping[str, Any]:
        """Further fields of the request body."""
        ...


class ServiceModel(ConcurrentModel):
    """A model of a service; a subclass says what its interface is, and makes and reads the bodies."""

    backend: ClassVar[str]
    version: ClassVar[str]
    """Of the backend: a new one where replies are read otherwise, so that stored answers are asked again."""
    own_fields: ClassVar[Mapping[str, str]]
    """Fields of the body that `extra_body` must not set, and why."""
    hints: ClassVar[Mapping[bytes, str]] = {}
    """What to do about a refusal whose text has these bytes in it; the first that is there counts."""
    no_key: ClassVar[str | None] = None
    """The `api_key` that stands for none, besides None."""
    without_key: ClassVar[str]
    """What to do with `api_key` where the server needs none."""

    def __init__(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        path: str,
        environ: Mapping[str, str],
        concurrency: int,
        transport: Transport | None,
        timing: Timing,
    ) -> None:
        concurrency = spec.concurrency or concurrency
        secrets = Secrets(environ, spec.base_url, spec.api_key, spec.headers, spec.extra_body, spec.model)
        super().__init__(name, concurrency=concurrency, secrets=secrets)
        self._service = spec
        self._path = path
        self._check(f"models.{name}")
        self._endpoint = Endpoint(
            transport or AiohttpTransport(concurrency=concurrency, environ=environ),
            written=spec.base_url,
            secrets=secrets,
            key_names=PLACEHOLDER.findall(spec.api_key or "") or PLACEHOLDER.findall(json.dumps(dict(spec.headers))),
            policy=RetryPolicy(max_retries=spec.max_retries),
            timing=timing,
            flow=Flow.of(spec, concurrency=concurrency),
            hints=self.hints,
        )
        self._base_url = self._url = self._model = ""
        self._headers: dict[str, str] = {}
        self._extra: dict[str, Any] = {}

    @abstractmethod
    def own_headers(self, key: str | None) -> Mapping[str, str]:
        """The headers of the interface; `key` is the resolved key, where there is one."""

    @abstractmethod
    def check_path(self, base_url: str, place: str) -> None:
        """Raise a `UsageError` if `base_url` goes on into what this backend adds."""

    def identity(self) -> Mapping[str, Json]:
        spec = self._service
        return {
            "backend": self.backend,
            "backend_version": self.version,
            **address_identity("model", spec.model, self._secrets.resolve(spec.model)),
            **address_identity("base_url", spec.base_url, self._secrets.resolve(spec.base_url)),
            "headers": dict(spec.headers),
            "extra_body": dict(spec.extra_body),
        }

    async def open(self) -> None:
        spec, place = self._service, f"models.{self.name}"
        self._base_url = self._secrets.resolve(spec.base_url)
        check_address(self._base_url, place=f"{place}.base_url", written=spec.base_url)
        self._url = self._address(self._path)
        key = self._secrets.resolve(spec.api_key).strip() if spec.api_key else None
        own = {"Content-Type": "application/json", **self.own_headers(key)}
        self._headers = merged_headers(own, self._secrets.resolve(spec.headers), place=f"{place}.headers")
        self._model = self._secrets.resolve(spec.model)
        self._extra = self._secrets.resolve(spec.extra_body)
        await self._endpoint.open()

    async def close(self) -> None:
        await self._endpoint.close()

    async def _ask(self, fields: Mapping[str, Any], reader: Callable[[], StreamReader] | None = None) -> Exchange:
        """The reply to a body with these fields and the model's name; null takes a field out."""
        data = json.dumps(self._body(fields)).encode()
        return await self._endpoint.ask(
            HttpRequest("POST", self._url, self._headers, data, self._service.timeout_s, reader)
        )

    def _body(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in {"model": self._model, **fields}.items() if value is not None}

    def _address(self, path: str, query: str = "") -> str:
        """The base address with `path` after it; its own query (`?api-version=…`) stays, `query` comes behind it."""
        parts = urlsplit(self._base_url)
        queries = "&".join(part for part in (parts.query, query) if part)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=queries, fragment=""))

    # ── asking in batches ─────────────────────────────────────────────────────────────────────────────────────────

    def batches(self) -> BatchService | None:
        """The batch interface of the service; None where there is none."""
        return None

    def body_of(self, request: Request) -> dict[str, Any]:
        """The body that asks for text, streaming aside; the model must be open.

        Raises:
            RequestFailed: the interface cannot take such a request.
        """
        raise NotImplementedError

    def response_in(self, request: Request, content: Any, *, n_retries: int, latency_s: float | None) -> Response:
        """The response in `content`, the parsed body of a whole reply to `request`.

        Raises:
            RequestFailed: there is no answer in it.
        """
        raise NotImplementedError

    def redacted(self, response: Response) -> Response:
        """`response` without the secrets that this model knows."""
        return self._without_secrets(response)

    def hidden(self, text: str) -> str:
        """`text` without the secrets that this model knows."""
        return self._secrets.hide(text)

    def json_in(self, reply: HttpReply) -> Any:
        """The JSON of a whole reply.

        Raises:
            RequestFailed: it is none.
        """
        return parsed(reply, self._secrets)

    @property
    def written_address(self) -> str:
        """The address as the suite writes it."""
        return self._service.base_url

    @property
    def max_retries(self) -> int:
        """Further tries of a request that failed for a reason that may pass."""
        return self._service.max_retries

    async def ask_about(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        upload: Callable[[], AsyncIterable[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        reader: Callable[[], StreamReader] | None = None,
        timeout_s: float = 0.0,
        once: bool = False,
    ) -> Exchange:
        """The 2xx reply to another request to the service, with this model's address, key, patience and limits.

        Raises:
            RequestFailed: there is none.
        """
        given = {name.lower() for name in headers or {}}
        kept = {name: value for name, value in self._headers.items() if name.lower() not in given}
        request = HttpRequest(
            method,
            self._address(path, query),
            {**kept, **(headers or {})},
            body,
            max(timeout_s, self._service.timeout_s),
            reader,
            upload,
        )
        return await self._endpoint.ask(request, once=once, other=True)

    def _check(self, place: str) -> None:
        spec = self._service
        check_secrets(place, url=spec.base_url, headers=spec.headers)
        if spec.api_key not in (None, self.no_key) and not PLACEHOLDER.search(spec.api_key or ""):
            raise UsageError(
                f"{place}.api_key: a key must not be written into a suite, which every record repeats; put it into an "
                f"environment variable and write ${{env:NAME}}, or {self.without_key}"
            )
        self.check_path(spec.base_url, f"{place}.base_url")
        if not PLACEHOLDER.search(spec.base_url):
            check_address(spec.base_url, place=f"{place}.base_url", written=spec.base_url)
        for field, why in self.own_fields.items():
            if spec.extra_body.get(field) not in (None, False):
                raise UsageError(f"{place}.extra_body.{field}: this field cannot be set here: {why}")
