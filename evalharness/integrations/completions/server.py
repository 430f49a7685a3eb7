"""The routes of the server: OpenAI's `models`, `completions` and `chat/completions` over one model.

`POST /v1/completions` answers `echo` with `logprobs`, so that other harnesses can read log-likelihoods. Prompts given
as token ids are scored exactly as they stand; texts are encoded as the model is used to (BOS, where it has one).
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
from collections.abc import Callable, Collection

from aiohttp import web

from evalharness.core.errors import EvalHarnessError, UsageError

from .body import Common, chat_body, completion_body
from .choices import Answer, Choices
from .engine import Engine
from .errors import ApiError, error_body
from .reply import completion, usage
from .streaming import chunks_of, send_chunks

__all__ = ["CompletionServer"]

# A batch of a few thousand prompts as token ids.
_MAX_BODY_BYTES = 256 * 2**20
_PREFIXES = {"text_completion": "cmpl", "chat.completion": "chatcmpl"}


class CompletionServer:
    """An application over `engine`, which answers to `name` (and to `aliases`, and to requests that name no model).

    Args:
        engine: The model.
        name: What `/v1/models` calls it.
        aliases: Further names that requests may use.
        api_key: What `Authorization: Bearer …` must carry (None: nothing is asked).
        clock: Seconds since 1970.
        new_seed: The seed of a request that samples and gives none.
        report: Told of each failure that is not the client's.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str,
        aliases: Collection[str] = (),
        api_key: str | None = None,
        clock: Callable[[], float],
        new_seed: Callable[[], int],
        report: Callable[[str], None],
    ) -> None:
        self._max_length = engine.max_length
        self._name = name
        self._names = frozenset({name, *aliases})
        self._api_key = api_key
        self._clock = clock
        self._report = report
        self._began = int(clock())
        self._count = itertools.count(1)
        self._choices = Choices(engine, model=name, new_seed=new_seed)

    def application(self) -> web.Application:
        """The routes, ready to be run."""
        app = web.Application(middlewares=[self._answered], client_max_size=_MAX_BODY_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{name:.+}", self._model)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, app: web.Application) -> None:
        await self._choices.close()

    # ── what is around every answer ───────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _answered(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        try:
            self._check_key(request)
            found: web.StreamResponse = await handler(request)  # type: ignore[misc]
        except ApiError as error:
            fault = error
        except web.HTTPException as error:
            fault = _of_http(request, error)
        except UsageError as error:
            fault = ApiError(str(error))
        except EvalHarnessError as error:
            self._report(f"{request.method} {request.path}: {error}")
            fault = ApiError(str(error), status=500)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            fault = ApiError("the server is shutting down", status=503)
        except Exception as error:  # noqa: BLE001 - the per-request boundary: the client is told, and so is the terminal
            self._report(f"{request.method} {request.path}: {type(error).__name__}: {error}")
            fault = ApiError(f"internal error: {type(error).__name__}: {error}", status=500)
        else:
            return found
        return web.json_response(error_body(fault), status=fault.status)

    def _check_key(self, request: web.Request) -> None:
        if self._api_key is None or request.path == "/health":
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise ApiError(
                "the API key is missing or wrong; send it as `Authorization: Bearer KEY`",
                status=401,
                code="invalid_api_key",
            )

    async def _json(self, request: web.Request) -> object:
        try:
            return json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            raise ApiError(f"the body is not JSON: {error}") from error

    def _check_model(self, asked: str | None) -> None:
        if asked is not None and asked not in self._names:
            raise ApiError(
                f"there is no model {asked!r} here; this server has {self._name!r}",
                param="model",
                status=404,
                code="model_not_found",
            )

    # ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "model": self._name})

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._described()]})

    async def _model(self, request: web.Request) -> web.Response:
        self._check_model(request.match_info["name"])
        return web.json_response(self._described())

    def _described(self) -> dict[str, object]:
        return {
            "id": self._name,
            "object": "model",
            "created": self._began,
            "owned_by": "evalharness",
            "max_model_len": self._max_length,
        }

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = completion_body(await self._json(request))
        self._check_model(body.common.model)
        return await self._sent(request, "text_completion", body.common, await self._choices.of_completion(body))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = chat_body(await self._json(request))
        self._check_model(body.common.model)
        return await self._sent(request, "chat.completion", body.common, await self._choices.of_chat(body))

    async def _sent(self, request: web.Request, kind: str, common: Common, answer: Answer) -> web.StreamResponse:
        whole = completion(
            kind,
            key=f"{_PREFIXES[kind]}-{self._began:x}-{next(self._count)}",
            created=int(self._clock()),
            model=self._name,
            choices=[{"index": index, **choice} for index, choice in enumerate(answer.choices)],
            counts=usage(answer.n_read, answer.n_written),
        )
        if not common.stream:
            return web.json_response(whole)
        return await send_chunks(request, chunks_of(whole, include_usage=common.include_usage))


def _of_http(request: web.Request, error: web.HTTPException) -> ApiError:
    """A refusal of aiohttp's own (no such route, wrong method, body too large) in the same shape."""
    if error.status == 404:
        routes = sorted({f"{r.method} {r.resource.canonical}" for r in request.app.router.routes() if r.resource})
        known = ", ".join(route for route in routes if not route.startswith("HEAD"))
        return ApiError(f"there is no {request.method} {request.path}; there are: {known}", status=404)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return ApiError(f"{request.path} takes {allowed}, not {request.method}", status=error.status)
    return ApiError(f"{request.method} {request.path}: {error.reason}", status=error.status)
