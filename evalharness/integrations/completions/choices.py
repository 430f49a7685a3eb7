"""Makes the choices of an answer: text, the log-probabilities of its tokens and of its prompt's, or both.

What is scored without a token being drawn takes one pass. A text that is written is scored afterwards, so that its
log-probabilities are those that `echo` tells of the same tokens: the model's own, before temperature, top_p and top_k.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evalharness.core.types import Prompt, Request, Response, Sampling

from .batching import Batcher
from .body import ChatBody, Common, CompletionBody
from .engine import Engine, Scores, Wanted
from .errors import ApiError
from .reply import Transcript, finish_reason, transcript

__all__ = ["Answer", "Choices"]

# JSON has no infinity; OpenAI's own servers write this for a token that is impossible.
_LEAST = -9999.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The choices of an answer in order, and how many tokens were read and written for them."""

    choices: list[dict[str, object]]
    n_read: int
    n_written: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A prompt that fits: its text (empty where none is echoed), its ids, what is generated from.

    The first `n_hidden` ids are no part of the text.
    """

    text: str
    ids: tuple[int, ...]
    prompt: Prompt
    n_hidden: int


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that was written: its ids with the token that ended it, and why it ended."""

    text: str
    ids: tuple[int, ...]
    reason: str | None


class Choices:
    """Asks `engine`, requests that wait at the same time together; `model` and `new_seed` are as for the server."""

    def __init__(self, engine: Engine, *, model: str, new_seed: Callable[[], int]) -> None:
        self._engine = engine
        self._model = model
        self._new_seed = new_seed
        self._count = itertools.count(1)
        self._scores: Batcher[Wanted, Scores | str] = Batcher(engine.score)
        self._texts: Batcher[Request, Response] = Batcher(engine.generate)

    async def close(self) -> None:
        """Cancel who still waits, which ends what is being written."""
        await self._scores.close()
        await self._texts.close()

    async def of_completion(self, body: CompletionBody) -> Answer:
        """The answer to a request to `/v1/completions`.

        Raises:
            ApiError: a prompt does not fit, or the model failed.
            UsageError: a prompt cannot be encoded.
        """
        asked = [self._asked(index, prompt, body) for index, prompt in enumerate(body.prompts)]
        if body.is_read_only:
            choices, n_written = await self._read(body, asked)
        else:
            choices, n_written = await self._written(body, asked)
        return Answer(choices, sum(len(one.ids) for one in asked), n_written)

    async def of_chat(self, body: ChatBody) -> Answer:
        """The answer to a request to `/v1/chat/completions`; raises as `of_completion` does."""
        ids = self._engine.encode(body.turns)
        room = self._engine.max_length - len(ids)
        if room < (body.common.max_tokens or 1):
            raise self._too_long("messages", len(ids), body.common.max_tokens or 1)
        responses = await self._generated(body.turns, body.common, body.common.max_tokens or room)
        choices: list[dict[str, object]] = [
            {
                "message": {"role": "assistant", "content": response.text or ""},
                "logprobs": None,
                "finish_reason": finish_reason(response.finish_reason),
            }
            for response in responses
        ]
        return Answer(choices, len(ids), sum(response.output_tokens or 0 for response in responses))

    # ── prompts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _asked(self, index: int, prompt: str | tuple[int, ...], body: CompletionBody) -> _Asked:
        engine, param = self._engine, f"prompt[{index}]" if len(body.prompts) > 1 else "prompt"
        if isinstance(prompt, str):
            ids = engine.encode(prompt)
        else:
            ids = prompt
            if not 0 <= min(ids) <= max(ids) < engine.n_vocabulary:
                wrong = next(token for token in ids if not 0 <= token < engine.n_vocabulary)
                raise ApiError(
                    f"{param}: there is no token {wrong}; ids go from 0 to {engine.n_vocabulary - 1}", param=param
                )
        wanted = body.common.max_tokens or 0
        # Scoring reads all tokens but the last, and the one that follows needs no place of its own.
        room = engine.max_length - wanted + (body.is_read_only and body.logprobs is not None)
        if len(ids) > room:
            raise self._too_long(param, len(ids), wanted)
        if isinstance(prompt, str):
            return _Asked(prompt if body.echo else "", ids, prompt, engine.n_added(prompt, ids) if body.echo else 0)
        return _Asked(engine.decode(ids) if body.echo else "", ids, engine.prompt(ids), 0)

    def _too_long(self, param: str, n_tokens: int, max_tokens: int) -> ApiError:
        return ApiError(
            f"{param} has {n_tokens} tokens and max_tokens is {max_tokens}: the model reads {self._engine.max_length} "
            "at most; shorten one of them",
            param=param,
            code="context_length_exceeded",
        )

    # ── one pass ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, body: CompletionBody, asked: Sequence[_Asked]) -> tuple[list[dict[str, object]], int]:
        """Choices with log-probabilities: of the prompt (echo), and of one token that follows, the likeliest."""
        if body.logprobs is None:
            return [_choice(one.text, "length", None) for one in asked], 0
        follow = body.common.max_tokens == 1
        found = await self._scored(
            [
                Wanted(one.ids, first=0 if body.echo else len(one.ids) - 1, follow=follow, top=body.logprobs)
                for one in asked
            ]
        )
        choices, n_written = [], 0
        for one, scores in zip(asked, found, strict=True):
            text = _Text("", (), "length")
            if follow:
                token, value = scores.top[-1][0]
                text, scores = (
                    self._one_token(token, body.common.stop),
                    _Extended((*scores.logprobs, value), scores.top),
                )
                n_written += body.common.n * (text.reason != "eos")
            choices += [self._told(body, one, text, scores)] * body.common.n
        return choices, n_written

    def _one_token(self, token: int, stops: Sequence[str]) -> _Text:
        """The text of one token alone."""
        if self._engine.ends(token):
            return _Text("", (token,), "eos")
        text = self._engine.decode((token,), special=False)
        cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)
        return _Text(text[:cut], (token,), "length" if cut is None else "stop")

    async def _scored(self, wanted: Sequence[Wanted]) -> list[Scores]:
        found = []
        for scores in await self._scores.submit(wanted):
            if isinstance(scores, str):
                raise ApiError(f"the model failed: {scores}", status=500)
            found.append(scores)
        return found

    # ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _written(self, body: CompletionBody, asked: Sequence[_Asked]) -> tuple[list[dict[str, object]], int]:
        """Choices of generated text, with the log-probabilities of its tokens where they are asked for."""
        max_tokens = body.common.max_tokens or 0
        found = await asyncio.gather(*(self._generated(one.prompt, body.common, max_tokens) for one in asked))
        n_written = sum(response.output_tokens or 0 for responses in found for response in responses)
        pairs = [
            (one, _Text(response.text or "", self._engine.written(response), response.finish_reason))
            for one, responses in zip(asked, found, strict=True)
            for response in responses
        ]
        if body.logprobs is None:
            return [self._told(body, one, text, None) for one, text in pairs], n_written
        scored = await self._scored(
            [
                Wanted(
                    (*one.ids, *text.ids), first=0 if body.echo else len(one.ids) - 1, follow=False, top=body.logprobs
                )
                for one, text in pairs
            ]
        )
        choices = [self._told(body, one, text, scores) for (one, text), scores in zip(pairs, scored, strict=True)]
        return choices, n_written

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
        key = f"req-{next(self._count)}"
        requests = [
            Request(f"{key}-{repeat}", self._model, "generate", key, prompt, sampling=sampling, repeat=repeat)
            for repeat in range(common.n)
        ]
        try:
            responses = await self._texts.submit(requests)
        except asyncio.CancelledError:
            # The client has gone, or the server ends.
            self._engine.abandon({request.key for request in requests})
            raise
        for response in responses:
            if response.status == "error":
                raise ApiError(f"the model failed: {response.error}", status=500)
        return responses

    # ── what is said of them ──────────────────────────────────────────────────────────────────────────────────────

    def _told(self, body: CompletionBody, one: _Asked, text: _Text, scores: Scores | None) -> dict[str, object]:
        """A choice: the prompt where it is echoed, then `text`; `scores` of the tokens of both."""
        shown = self._joined(one, text)
        if scores is None or body.logprobs is None:
            return _choice(shown, finish_reason(text.reason), None)
        found = transcript(
            self._engine,
            (*one.ids, *text.ids),
            scores,
            first=0 if body.echo else len(one.ids),
            n_top=body.logprobs,
            n_hidden=one.n_hidden,
            n_prompt=len(one.ids),
            text=shown,
        )
        if text.reason == "stop":
            # What stands behind a stop string is no part of the answer, and so are its tokens.
            n_echoed = len(one.ids) if body.echo else 0
            found.cut(max(n_echoed, sum(offset < len(shown) for offset in found.text_offset)))
        return _choice(shown, finish_reason(text.reason), _finite(found))

    def _joined(self, one: _Asked, text: _Text) -> str:
        """`text` behind the echoed prompt: with the space that decoders leave out at the beginning of a text."""
        if not one.text or not text.text or text.text.startswith(" "):
            return one.text + text.text
        before = self._engine.decode(one.ids[-1:], special=False)
        behind = self._engine.decode((*one.ids[-1:], *text.ids), special=False)
        space = behind.startswith(f"{before} ") and not before.endswith(" ")
        return f"{one.text} {text.text}" if space else one.text + text.text


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
