"""The routes of the server: OpenAI's `models`, `completions` and `chat/completions` over one model.

`POST /v1/completions` answers `echo` with `logprobs`, so that other harnesses can read log-likelihoods. Prompts given
as token ids are scored exactly as they stand; texts are encoded as the model is used to (BOS, where it has one).
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence

from aiohttp import web

from evalharness.core.errors import EvalHarnessError, UsageError
from evalharness.core.types import Prompt, Request, Response, Sampling

from .batching import Batcher
from .body import Common, CompletionBody, chat_body, completion_body
from .engine import Engine, Scores, Wanted
from .errors import ApiError, error_body
from .reply import Transcript, completion, finish_reason, transcript, usage
from .streaming import chunks_of, send_chunks

__all__ = ["CompletionServer"]

# A batch of a few thousand prompts as token ids.
_MAX_BODY_BYTES = 256 * 2**20
# JSON has no infinity; OpenAI's own servers write this for a token that is impossible.
_LEAST = -9999.0


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
        self._engine = engine
        self._name = name
        self._names = frozenset({name, *aliases})
        self._api_key = api_key
        self._clock = clock
        self._new_seed = new_seed
        self._report = report
        self._began = int(clock())
        self._count = itertools.count(1)
        self._scores: Batcher[Wanted, Scores | str] = Batcher(engine.score)
        self._texts: Batcher[Request, Response] = Batcher(engine.generate)

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
        await self._scores.close()
        await self._texts.close()

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

    def _key(self, prefix: str) -> str:
        return f"{prefix}-{self._began:x}-{next(self._count)}"

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
            "max_model_len": self._engine.max_length,
        }

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = completion_body(await self._json(request))
        self._check_model(body.common.model)
        prompts = [self._encoded(index, prompt, body) for index, prompt in enumerate(body.prompts)]
        if body.logprobs is not None or not body.common.max_tokens:
            choices, n_written = await self._scored(body, prompts)
        else:
            choices, n_written = await self._written(body, prompts)
        whole = completion(
            "text_completion",
            key=self._key("cmpl"),
            created=int(self._clock()),
            model=self._name,
            choices=[{"index": index, **choice} for index, choice in enumerate(choices)],
            counts=usage(sum(len(ids) for _, ids in prompts), n_written),
        )
        return await self._sent(request, body.common, whole)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = chat_body(await self._json(request))
        self._check_model(body.common.model)
        ids = self._engine.encode(body.turns)
        room = self._engine.max_length - len(ids)
        if room < (body.common.max_tokens or 1):
            raise self._too_long("messages", len(ids), body.common.max_tokens or 1)
        responses = await self._generated(body.turns, body.common, body.common.max_tokens or room)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": response.text or ""},
                "logprobs": None,
                "finish_reason": finish_reason(response.finish_reason),
            }
            for index, response in enumerate(responses)
        ]
        whole = completion(
            "chat.completion",
            key=self._key("chatcmpl"),
            created=int(self._clock()),
            model=self._name,
            choices=choices,
            counts=usage(len(ids), sum(response.output_tokens or 0 for response in responses)),
        )
        return await self._sent(request, body.common, whole)

    async def _sent(self, request: web.Request, common: Common, whole: Mapping[str, object]) -> web.StreamResponse:
        if not common.stream:
            return web.json_response(whole)
        return await send_chunks(request, chunks_of(whole, include_usage=common.include_usage))

    # ── completions ───────────────────────────────────────────────────────────────────────────────────────────────

    def _encoded(self, index: int, prompt: str | tuple[int, ...], body: CompletionBody) -> tuple[str, tuple[int, ...]]:
        """The text and the ids of a prompt that fits."""
        engine, param = self._engine, f"prompt[{index}]" if len(body.prompts) > 1 else "prompt"
        if isinstance(prompt, str):
            ids = engine.encode(prompt)
            text = prompt
        else:
            ids = prompt
            if not 0 <= min(ids) <= max(ids) < engine.n_vocabulary:
                wrong = next(token for token in ids if not 0 <= token < engine.n_vocabulary)
                raise ApiError(
                    f"{param}: there is no token {wrong}; ids go from 0 to {engine.n_vocabulary - 1}", param=param
                )
            text = engine.decode(ids) if body.echo else ""
        wanted = body.common.max_tokens or 0
        # Scoring reads all tokens but the last, and the one that follows needs no place of its own.
        room = engine.max_length - wanted if body.logprobs is None else engine.max_length + 1 - wanted
        if len(ids) > room:
            raise self._too_long(param, len(ids), wanted)
        return text, ids

    def _too_long(self, param: str, n_tokens: int, max_tokens: int) -> ApiError:
        return ApiError(
            f"{param} has {n_tokens} tokens and max_tokens is {max_tokens}: the model reads {self._engine.max_length} "
            "at most; shorten one of them",
            param=param,
            code="context_length_exceeded",
        )

    async def _scored(
        self, body: CompletionBody, prompts: Sequence[tuple[str, tuple[int, ...]]]
    ) -> tuple[list[dict[str, object]], int]:
        """Choices with log-probabilities: of the prompt (echo), and of one token that follows, the likeliest."""
        follow = body.common.max_tokens == 1
        if body.logprobs is not None and (body.common.max_tokens or 0) > 1:
            raise ApiError(
                f"logprobs of generated text is not supported beyond its first token (max_tokens is "
                f"{body.common.max_tokens}); set max_tokens to 0 or 1, or leave logprobs out",
                param="logprobs",
            )
        if body.logprobs is not None and follow and body.common.temperature > 0:
            raise ApiError(
                "logprobs of a sampled token is not supported; set temperature to 0, or max_tokens to 0",
                param="temperature",
            )
        if body.logprobs is None:
            choices = [_choice(text if body.echo else "", "length", None) for text, _ in prompts]
            return choices, 0
        wanted = [
            Wanted(ids, first=0 if body.echo else len(ids) - 1, follow=follow, top=body.logprobs) for _, ids in prompts
        ]
        results = await self._scores.submit(wanted)
        choices = []
        for (text, ids), found in zip(prompts, results, strict=True):
            if isinstance(found, str):
                raise ApiError(f"the model failed: {found}", status=500)
            choice = self._scored_choice(body, text, ids, found)
            choices += [choice] * body.common.n
        return choices, len(choices) if follow else 0

    def _scored_choice(self, body: CompletionBody, text: str, ids: tuple[int, ...], found: Scores) -> dict[str, object]:
        engine, shown = self._engine, text if body.echo else ""
        reason, n_hidden = "length", 0
        if body.echo and isinstance(body.prompts[0], str):
            n_hidden = engine.n_added(text, ids)
        scores: Scores = found
        if body.common.max_tokens:
            token, value = found.top[-1][0]
            ids, scores = (*ids, token), _Extended((*found.logprobs, value), found.top)
            new = "" if engine.ends(token) else engine.decode((*ids[-2:-1], token), special=False)
            if new:
                new = new.removeprefix(engine.decode(ids[-2:-1], special=False))
            cut = min((at for stop in body.common.stop if (at := new.find(stop)) >= 0), default=None)
            reason = "stop" if cut is not None or engine.ends(token) else "length"
            shown += new[:cut]
        first = 0 if body.echo else len(ids) - (body.common.max_tokens or 0)
        assert body.logprobs is not None
        told = transcript(engine, ids, scores, first=first, n_top=body.logprobs, n_hidden=n_hidden)
        return _choice(shown, reason, _finite(told))

    async def _written(
        self, body: CompletionBody, prompts: Sequence[tuple[str, tuple[int, ...]]]
    ) -> tuple[list[dict[str, object]], int]:
        """Choices of generated text."""
        max_tokens = body.common.max_tokens or 0
        asked: list[Prompt] = [
            given if isinstance(given, str) else self._engine.prompt(given) for given in body.prompts
        ]
        found = await asyncio.gather(*(self._generated(prompt, body.common, max_tokens) for prompt in asked))
        choices = [
            _choice((text if body.echo else "") + (response.text or ""), finish_reason(response.finish_reason), None)
            for (text, _), responses in zip(prompts, found, strict=True)
            for response in responses
        ]
        return choices, sum(response.output_tokens or 0 for responses in found for response in responses)

    async def _generated(self, prompt: Prompt, common: Common, max_tokens: int) -> list[Response]:
        """The `n` responses to a prompt."""
        seed = common.seed
        if seed is None and common.temperature > 0:
            seed = self._new_seed()
        sampling = Sampling(
            max_tokens=max_tokens,
            temperature=common.temperature,
            top_p=common.top_p,
            top_k=common.top_k,
            stop=common.stop,
            seed=seed,
        )
        key = self._key("req")
        requests = [
            Request(f"{key}-{repeat}", self._name, "generate", key, prompt, sampling=sampling, repeat=repeat)
            for repeat in range(common.n)
        ]
        responses = await self._texts.submit(requests)
        for response in responses:
            if response.status == "error":
                raise ApiError(f"the model failed: {response.error}", status=500)
        return responses


class _Extended:
    """Scores with the token that follows taken as one that stands there."""

    def __init__(self, logprobs: Sequence[float], top: Sequence[Sequence[tuple[int, float]]]) -> None:
        self.logprobs = logprobs
        self.top = top


def _choice(text: str, reason: str, told: Mapping[str, object] | None) -> dict[str, object]:
    return {"text": text, "logprobs": told, "finish_reason": reason}


def _finite(told: Transcript) -> dict[str, object]:
    """The transcript with impossible tokens at the least that JSON can say.

    Raises:
        ApiError: the model computed NaN.
    """
    values = [value for value in told.token_logprobs if value is not None]
    if any(map(math.isnan, values)):
        raise ApiError(
            "the log-probabilities are not numbers: the model computed NaN (float16 overflows; try bfloat16)",
            status=500,
        )
    told.token_logprobs = [None if value is None else max(value, _LEAST) for value in told.token_logprobs]
    told.top_logprobs = [
        None if top is None else {text: max(value, _LEAST) for text, value in top.items()} for top in told.top_logprobs
    ]
    return told.json()


def _of_http(request: web.Request, error: web.HTTPException) -> ApiError:
    """A refusal of aiohttp's own (no such route, wrong method, body too large) in the same shape."""
    if error.status == 404:
        routes = sorted({f"{r.method} {r.resource.canonical}" for r in request.app.router.routes() if r.resource})
        known = ", ".join(route for route in routes if not route.startswith("HEAD"))
        return ApiError(f"there is no {request.method} {request.path}; there are: {known}", status=404)
    return ApiError(f"{request.method} {request.path}: {error.reason}", status=error.status)
