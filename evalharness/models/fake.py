"""The fake backend: scripted answers that depend on nothing but the request; no weights, no network.

It shows a suite's shape before a model is at hand, and it is what tests run on. Its answers:

- generate: the template `reply` over prompt, messages, sampling, sample_id and repeat;
- classify: the same text, as a label or as JSON of `{label: probability}`;
- loglikelihood: for a continuation of w words, -w·(0.5 + 4u) nats over w tokens, with u in [0, 1) from the sha256 of
  prompt and continuation; `is_greedy` where u < 0.1;
- loglikelihood_rolling: the same for the whole prompt, after nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from evalharness.core.canonical import digest
from evalharness.core.templating import Template
from evalharness.core.types import KINDS, Json, LogLikelihood, Request, Response

from .concurrent import ConcurrentModel
from .outputs import label_or_json_response, prompt_text, prompt_turns, request_values
from .values import check_names

__all__ = ["FakeModel", "fake_likelihood", "make"]

VERSION = "1"


class Spec(Protocol):
    """What this backend reads of its suite entry."""

    @property
    def reply(self) -> str:
        """Template of the answer."""
        ...


def fake_likelihood(prompt: Json, continuation: str) -> LogLikelihood:
    """The fake log-likelihood of `continuation` after `prompt`; see the module's docstring for the formula."""
    # 52 bits fill a float's mantissa: u is exact.
    u = int(digest([prompt, continuation])[:13], 16) / 2**52
    words = max(1, len(continuation.split()))
    return LogLikelihood(total=-words * (0.5 + 4 * u), n_tokens=words, is_greedy=u < 0.1)


class FakeModel(ConcurrentModel):
    """A scripted model; see the module."""

    # Studies are carried out by the runner, of models that can be asked often.
    capabilities = frozenset(KINDS) - {"study"}

    def __init__(self, name: str, *, reply: str) -> None:
        super().__init__(name, concurrency=1)
        self._reply = Template(reply)
        check_names(self._reply, place=f"models.{name}.reply")

    def identity(self) -> Mapping[str, Json]:
        return {
            "backend": "fake",
            "backend_version": VERSION,
            "reply": self._reply.source,
            "by_sample_id": "sample_id" in self._reply.names,
        }

    async def answer(self, request: Request) -> Response:
        if request.kind in ("generate", "classify"):
            text = self._reply.text(request_values(request))
            if request.kind == "classify":
                return label_or_json_response(request.key, text)
            counts = len(prompt_text(request.prompt).split()), len(text.split())
            return Response(
                key=request.key, text=text, finish_reason="stop", input_tokens=counts[0], output_tokens=counts[1]
            )
        if request.kind == "loglikelihood":
            prompt: Json = request.prompt if isinstance(request.prompt, str) else prompt_turns(request.prompt)
            found = tuple(fake_likelihood(prompt, continuation) for continuation in request.continuations)
        else:
            found = (fake_likelihood("", prompt_text(request.prompt)),)
        return Response(key=request.key, loglikelihoods=found)


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> FakeModel:
    """A scripted model for trying a suite out: no weights, no network. Its answer is the template `reply`.

    It can do everything. Example::

        candidate: {backend: fake, reply: "You said: {{ prompt }}"}

    The template sees prompt, messages, sampling, sample_id and repeat. For classify tasks the reply is a label, or
    JSON of {label: probability}. Likelihoods are made of a digest of prompt and continuation: always the same, and
    meaningless.
    """
    return FakeModel(name, reply=spec.reply)
