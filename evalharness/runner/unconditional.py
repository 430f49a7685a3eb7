"""Gives any model that scores choices their likelihood without the question, too: what `acc_mutual_info` divides by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from evalharness.core.canonical import digest
from evalharness.core.protocols import Model
from evalharness.core.types import FAILED_STATES, Request, Response

__all__ = ["with_unconditional"]

# Choices that many samples share (A, B, C, D) are asked once.
_KEPT = 4096
_EVERY = 256


def with_unconditional(models: Mapping[str, Model], raw: Mapping[str, Model]) -> dict[str, Model]:
    """`models` that answer requests with `sampling.unconditional`; `raw` are asked about the choices alone.

    They are not the same where `models` are watched: what is asked of the choices alone has no key in the plan.
    """
    return {name: cast(Model, _Unconditional(model, raw[name])) for name, model in models.items()}


class _Unconditional:
    """A model whose `loglikelihood` also scores the continuations after nothing; in all else the model itself."""

    def __init__(self, model: Model, raw: Model) -> None:
        self._model = model
        self._raw = raw
        self._known: OrderedDict[tuple[str, ...], Response] = OrderedDict()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def loglikelihood(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """The answers to `requests`; those that ask for it hold the sums of the choices alone in `meta`."""
        if not any(request.sampling.unconditional for request in requests):
            async with aclosing(self._model.loglikelihood(requests)) as stream:  # type: ignore[type-var]
                async for response in stream:
                    yield response
            return
        for start in range(0, len(requests), _EVERY):
            some = requests[start : start + _EVERY]
            alone, paid = await self._alone(some)
            plain = [replace(one, sampling=replace(one.sampling, unconditional=None)) for one in some]
            by_key = {one.key: one.continuations for one in some if one.sampling.unconditional}
            async with aclosing(self._model.loglikelihood(plain)) as stream:  # type: ignore[type-var]
                async for response in stream:
                    texts = by_key.get(response.key)
                    if texts is None:
                        yield response
                        continue
                    # Their tokens are those of the first sample that needed them.
                    yield _joined(response, alone[texts], tokens=texts in paid)
                    paid.discard(texts)

    async def _alone(self, requests: Sequence[Request]) -> tuple[dict[tuple[str, ...], Response], set[tuple[str, ...]]]:
        """(what the continuations are worth after nothing, those that were asked just now)."""
        wanted = dict.fromkeys(one.continuations for one in requests if one.sampling.unconditional)
        found = {texts: self._known[texts] for texts in wanted if texts in self._known}
        asked = {digest(["unconditional", list(texts)]): texts for texts in wanted if texts not in found}
        if asked:
            model = requests[0].model
            news = [
                Request(key, model, "loglikelihood", "unconditional", "", continuations=texts)
                for key, texts in asked.items()
            ]
            async with aclosing(self._raw.loglikelihood(news)) as stream:  # type: ignore[type-var]
                async for response in stream:
                    texts = asked[response.key]
                    found[texts] = response
                    if response.status not in FAILED_STATES:
                        self._known[texts] = response
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        missing = Response(key="", status="error", error="the model gave none")
        return {texts: found.get(texts, missing) for texts in wanted}, set(asked.values())


def _joined(response: Response, other: Response, *, tokens: bool) -> Response:
    """`response` with the sums of `other`, the choices alone, and with its tokens where `tokens` says so."""
    if response.status in FAILED_STATES:
        return response
    if other.status in FAILED_STATES or len(other.loglikelihoods) != len(response.loglikelihoods):
        why = other.error or "it gave other likelihoods than were asked for"
        return Response(
            key=response.key,
            status="error",
            error=f"the model has no likelihood of the choices without the question: {why}",
            created_utc=response.created_utc,
        )
    meta = {**(response.meta or {}), "unconditional": [one.total for one in other.loglikelihoods]}
    if tokens and response.input_tokens is not None and other.input_tokens is not None:
        response = replace(response, input_tokens=response.input_tokens + other.input_tokens)
    return replace(response, meta=meta)
