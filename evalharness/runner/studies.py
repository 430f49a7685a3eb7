"""Gives any model the verb `study`: a procedure that asks it many times about one sample (explanation, attack).

A model that makes games of its own (`game(request)`, the Hugging Face backends) is explained in its own tokens, on the
thread that it computes on. Any other is asked through its own verbs about texts with words masked, many at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from evalharness.core.canonical import digest
from evalharness.core.errors import EvalHarnessError, ModelError
from evalharness.core.protocols import Model
from evalharness.core.types import FAILED_STATES, Kind, Message, Prompt, Request, Response
from evalharness.models.concurrent import utc_now

if TYPE_CHECKING:
    from evalharness.core.games import Game
    from evalharness.stats.arrays import Floats

    from .attack_encoder import AttackEncoder

__all__ = ["explained_text", "studied", "study"]

_KINDS: Mapping[str, Kind] = {
    "classify": "classify",
    "choices": "loglikelihood",
    "answer": "loglikelihood",
    "margin": "loglikelihood",
}


def studied(
    models: Mapping[str, Model], raw: Mapping[str, Model], encoders: Mapping[str, AttackEncoder] | None = None
) -> dict[str, Model]:
    """`models` with the verb `study`; `raw` are those that are asked about masked texts.

    They are not the same where `models` are watched: what a study asks on its own has no key in the plan. `encoders`
    are those of attacks, by `attack_encoder.encoder_name`.
    """
    return {name: cast(Model, _Studied(model, raw[name], encoders or {})) for name, model in models.items()}


class _Studied:
    """A model that can be studied; in all else the model itself."""

    def __init__(self, model: Model, raw: Model, encoders: Mapping[str, AttackEncoder]) -> None:
        self._model = model
        self._raw = raw
        self._encoders = encoders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def study(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        for request in requests:
            yield await study(self._raw, request, self._encoders)


async def study(model: Model, request: Request, encoders: Mapping[str, AttackEncoder] | None = None) -> Response:
    """What the procedure of `request` finds about its sample; a text that cannot be studied is an error of its own.

    Raises:
        ModelError: the model failed as a whole.
    """
    options = json.loads(request.sampling.study or "{}")
    started = time.perf_counter()
    used = _Used()
    try:
        make = getattr(model, "game", None)
        if options.get("procedure") == "attack":
            found = await _attacked(model, request, options, used, encoders or {})
        elif make is not None:
            on_worker: Callable[[Callable[[], Any]], Any] = model.on_worker  # type: ignore[attr-defined]

            def work() -> dict[str, Any]:
                game = _token_game(make, request, options)
                return _explained(game, request, options, lambda: _of_random_weights(model, make, request, options))

            found = await on_worker(work)
        else:
            found = await _through_verbs(model, request, options, used)
    except (ModelError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - the per-sample boundary
        said = str(error) if isinstance(error, EvalHarnessError | ValueError) else f"{type(error).__name__}: {error}"
        return _counted(Response(key=request.key, status="error", error=said, created_utc=utc_now()), used)
    response = Response(
        key=request.key,
        answer=found["answer" if options.get("procedure") == "attack" else "predicted"],
        latency_s=time.perf_counter() - started,
        created_utc=utc_now(),
        meta={"attack" if options.get("procedure") == "attack" else "explanation": found},
    )
    return _counted(response, used)


def _counted(response: Response, used: _Used) -> Response:
    return replace(response, input_tokens=used.input_tokens, output_tokens=used.output_tokens, n_retries=used.n_retries)


def _token_game(make: Callable[..., Game], request: Request, options: Mapping[str, Any]) -> Game:
    given = {"players": options["players"]}
    if options.get("mask") is not None:
        given["mask"] = options["mask"] or "remove"
    if options["asks"] == "choices":
        # The usual unit of two answers is their margin, which would leave one output of the two.
        given["output"] = "probability"
    return make(request, **given)


@contextlib.contextmanager
def _of_random_weights(
    model: Any, make: Callable[..., Game], request: Request, options: Mapping[str, Any]
) -> Iterator[Game]:
    # The same draw for every text: one model that knows nothing.
    with model.randomised(seed=int(options["seed"])):
        yield _token_game(make, request, options)


def _explained(
    game: Game,
    request: Request,
    options: Mapping[str, Any],
    randomised: Callable[[], contextlib.AbstractContextManager[Game]] | None = None,
) -> dict[str, Any]:
    from .explaining import explain_sample

    return explain_sample(game, options, text=explained_text(request.prompt), randomised=randomised)


def explained_text(prompt: Prompt) -> str:
    """The text whose words are masked: the prompt, or of a chat what the user said last."""
    return prompt if isinstance(prompt, str) else prompt[_last_turn(prompt)].content


def _last_turn(prompt: Sequence[Message]) -> int:
    said = [place for place, turn in enumerate(prompt) if turn.role == "user"]
    return said[-1] if said else len(prompt) - 1


def _with_text(prompt: Prompt, text: str) -> Prompt:
    if isinstance(prompt, str):
        return text
    place = _last_turn(prompt)
    return (*prompt[:place], replace(prompt[place], content=text), *prompt[place + 1 :])


# ── models that are asked about texts ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Used:
    """What the masked texts of one sample took, None where the model does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    n_retries: int = 0

    def add(self, response: Response) -> None:
        self.n_retries += response.n_retries
        if response.input_tokens is not None:
            self.input_tokens = (self.input_tokens or 0) + response.input_tokens
        if response.output_tokens is not None:
            self.output_tokens = (self.output_tokens or 0) + response.output_tokens


@dataclass(slots=True)
class _Asker:
    """Asks the model, in the event loop, for a procedure that computes on a thread beside it."""

    model: Model
    request: Request
    kind: Kind
    loop: asyncio.AbstractEventLoop
    used: _Used
    stopped: bool = field(default=False)
    changed: str = "masked"

    def __call__(self, texts: Sequence[str]) -> list[Response]:
        """The answers to the sample's question with each of `texts` in the place of its own.

        Raises:
            GameError: one of them has no answer.
        """
        from evalharness.core.games import GameError

        if self.stopped:
            raise GameError("the run was stopped")
        asked = [self._request(text) for text in texts]
        found = asyncio.run_coroutine_threadsafe(self._collect(asked), self.loop).result()
        answers = []
        for request, text in zip(asked, texts, strict=True):
            response = found.get(request.key)
            if response is None or response.status in FAILED_STATES:
                why = "it gave none" if response is None else response.error
                shown = text if len(text) <= 80 else f"{text[:80]}…"
                hint = (
                    ""
                    if text.strip() or self.changed != "masked"
                    else "; a model that reads no empty text needs a `mask` in the place of its words"
                )
                raise GameError(f"the model has no answer to the {self.changed} text {shown!r}: {why}{hint}")
            answers.append(response)
        return answers

    def _request(self, text: str) -> Request:
        request = self.request
        return Request(
            key=digest([request.key, text]),
            model=request.model,
            kind=self.kind,
            sample_id=request.sample_id,
            prompt=_with_text(request.prompt, text),
            continuations=request.continuations,
        )

    async def _collect(self, requests: Sequence[Request]) -> dict[str, Response]:
        verb: Callable[[Sequence[Request]], Any] = getattr(self.model, self.kind)
        found: dict[str, Response] = {}
        async with contextlib.aclosing(verb(requests)) as stream:
            async for response in stream:
                found[response.key] = response
                self.used.add(response)
        return found


async def _through_verbs(model: Model, request: Request, options: Mapping[str, Any], used: _Used) -> dict[str, Any]:
    asks = str(options["asks"])
    asker = _Asker(model, request, _KINDS[asks], asyncio.get_running_loop(), used)

    def work() -> dict[str, Any]:
        return _explained(_text_game(asker, asks, options), request, options)

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        asker.stopped = True
        raise


async def _attacked(
    model: Model, request: Request, options: Mapping[str, Any], used: _Used, encoders: Mapping[str, AttackEncoder]
) -> dict[str, Any]:
    from .attacking import attack_sample

    encoder = None
    if "encoder" in options:
        from .attack_encoder import encoder_name

        encoder = encoders[encoder_name(options["encoder"])]
    asker = _Asker(model, request, "classify", asyncio.get_running_loop(), used, changed="changed")
    try:
        return await asyncio.to_thread(attack_sample, asker, options, explained_text(request.prompt), encoder)
    except asyncio.CancelledError:
        asker.stopped = True
        raise


def _text_game(asker: _Asker, asks: str, options: Mapping[str, Any]) -> Game:
    from evalharness.explain.text_game import TextGame
    from evalharness.stats.arrays import np

    text = explained_text(asker.request.prompt)
    outputs, unit = _outputs(asker, asks, text, options)

    def ask(texts: Sequence[str]) -> Floats:
        return np.array([_values(response, asks, outputs) for response in asker(texts)], dtype=np.float64)

    mask = options.get("mask")
    return TextGame(text, ask, outputs, meta={"output": unit}, **({} if mask is None else {"mask": mask}))


def _outputs(asker: _Asker, asks: str, text: str, options: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """What is explained, and its unit."""
    said = [continuation.strip() for continuation in asker.request.continuations]
    if asks == "classify":
        # Only the model knows its labels.
        (response,) = asker([text])
        return tuple(sorted(_probabilities(response))), "probability"
    if asks == "choices":
        return tuple(said), "probability"
    return (said[0],) if asks == "answer" else (f"{said[0]} rather than {said[1]}",), "log_odds"


def _probabilities(response: Response) -> Mapping[str, float]:
    if response.label_probabilities:
        return response.label_probabilities
    return {} if response.answer is None else {response.answer: 1.0}


def _values(response: Response, asks: str, outputs: Sequence[str]) -> list[float]:
    if asks == "classify":
        found = _probabilities(response)
        return [float(found.get(label, 0.0)) for label in outputs]
    totals = [one.total for one in response.loglikelihoods]
    if asks == "choices":
        top = max(totals)
        shares = [math.exp(total - top) for total in totals]
        return [share / sum(shares) for share in shares]
    if asks == "margin":
        return [totals[0] - totals[1]]
    return [_log_odds(totals[0])]


def _log_odds(log_likelihood: float) -> float:
    """Ln p − ln(1 − p) from ln p; finite also where p rounds to 1."""
    bounded = min(log_likelihood, -1e-12)
    return bounded - math.log(-math.expm1(bounded))
