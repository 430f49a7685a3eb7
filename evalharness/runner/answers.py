"""Reads the answer out of a response: the likeliest choice, the match of `extract`, the label, or the text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from evalharness.core.spool import Lazy
from evalharness.core.types import FAILED_STATES, LogLikelihood, Request, Response, Sample

from .scoring import Answered

__all__ = ["AnswerList", "AnswerReader", "Normalize", "best_choice", "extracted", "reader_for"]

Normalize = Literal["none", "tokens", "bytes"]
AnswerReader = Callable[[Sample, Response], Response]


def best_choice(
    choices: tuple[str, ...], loglikelihoods: tuple[LogLikelihood, ...], *, normalize: Normalize = "none"
) -> str | None:
    """The choice with the highest log-likelihood, the first one of equals; None where none is a number.

    `normalize` divides each log-likelihood by its number of tokens, or by the UTF-8 bytes of the choice
    (lm-eval's `acc_norm`, which counts the choice without its delimiter).
    """

    def score(choice: str, found: LogLikelihood) -> float:
        if normalize == "tokens":
            return found.total / max(found.n_tokens, 1)
        if normalize == "bytes":
            return found.total / max(len(choice.encode("utf-8", "surrogatepass")), 1)
        return found.total

    scores = [score(c, found) for c, found in zip(choices, loglikelihoods, strict=True)]
    usable = [(value, -index) for index, value in enumerate(scores) if not math.isnan(value)]
    return choices[-max(usable)[1]] if usable else None


def extracted(pattern: re.Pattern[str], text: str) -> str | None:
    """The first group of the first match of `pattern` (the whole match where it has no group), stripped."""
    match = pattern.search(text)
    if match is None:
        return None
    found = match.group(1) if pattern.groups else match.group()
    return None if found is None else found.strip()


def _choose(normalize: Normalize) -> AnswerReader:
    def read(sample: Sample, response: Response) -> Response:
        return replace(response, answer=best_choice(sample.choices, response.loglikelihoods, normalize=normalize))

    return read


def _extract(pattern: re.Pattern[str]) -> AnswerReader:
    def read(sample: Sample, response: Response) -> Response:
        found = extracted(pattern, response.text or "")
        # A refusal or a cut-off answer keeps its state: it says more than that nothing could be read.
        unparsed = found is None and response.status == "ok"
        return replace(response, answer=found, status="unparsed" if unparsed else response.status)

    return read


def _text(sample: Sample, response: Response) -> Response:
    return replace(response, answer=None if response.text is None else response.text.strip())


def reader_for(*, choices: bool, normalize: Normalize = "none", extract: str | None = None) -> AnswerReader:
    """The reader of a task: by likelihood of its choices, by its `extract`, else the stripped text.

    Failed responses pass through unread, and so do those whose backend has given an answer (a classifier's label).
    """
    inner = _choose(normalize) if choices else _extract(re.compile(extract)) if extract else _text

    def read(sample: Sample, response: Response) -> Response:
        if response.status in FAILED_STATES or (response.answer is not None and not extract):
            return response
        return inner(sample, response)

    return read


class AnswerList(Lazy[Answered]):
    """The answers to `requests`, whose samples and responses run in parallel, made as they are looked at."""

    def __init__(
        self,
        samples: Sequence[Sample],
        requests: Sequence[Request],
        responses: Sequence[Response],
        read: AnswerReader,
    ) -> None:
        self._samples = samples
        self._requests = requests
        self._responses = responses
        self._read = read

    def __len__(self) -> int:
        return len(self._requests)

    def item(self, place: int) -> Answered:
        return self._answered(self._samples[place], self._requests[place], self._responses[place])

    def __iter__(self) -> Iterator[Answered]:
        return map(self._answered, self._samples, self._requests, self._responses)

    def _answered(self, sample: Sample, request: Request, response: Response) -> Answered:
        return Answered(sample, self._read(sample, response), request.repeat)
