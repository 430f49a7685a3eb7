"""Reads the answer out of a response: the likeliest choice, the match of `extract`, the label, or the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from evalharness.core.spool import Lazy
from evalharness.core.types import FAILED_STATES, Request, Response, Sample
from evalharness.metrics.choices import best_choice

from .refusals import marked
from .scoring import Answered

__all__ = [
    "AnswerList",
    "AnswerReader",
    "Normalize",
    "best_choice",
    "extracted",
    "named_choice",
    "reader_for",
    "reader_of",
]

Normalize = Literal["none", "tokens", "bytes"]
AnswerReader = Callable[[Sample, Response], Response]


def extracted(pattern: re.Pattern[str], text: str) -> str | None:
    """The first group of the first match of `pattern` (the whole match where it has no group), stripped."""
    match = pattern.search(text)
    if match is None:
        return None
    found = match.group(1) if pattern.groups else match.group()
    return None if found is None else found.strip()


# What may stand around a choice that is the whole answer: `**B**`, `(B).`, `"yes"`.
_AROUND = " \t\r\n*_`'\"()[]{}.,:;!"


def named_choice(choices: Sequence[str], text: str) -> str | None:
    """The choice that `text` names; None where it names none, or more than one.

    It is named where it is the whole of the text, whatever its case and the marks around it; else where it is the only
    one of the choices that stands in the text as a word of its own. A choice that is part of another (`sure`, `not
    sure`) does not stand where that one does. One of a single sign needs a mark or the end of a line behind it, since
    `A` and `I` are words: "(B)", "B.", "The answer is B", not "A dog".
    """
    bare = text.strip(_AROUND)
    whole = [choice for choice in choices if bare and bare == choice.strip(_AROUND)]
    whole = whole or [choice for choice in choices if bare and bare.casefold() == choice.strip(_AROUND).casefold()]
    if whole:
        return whole[0] if len(set(whole)) == 1 else None
    if not any(choice.strip() for choice in choices):
        return None
    # The longer ones first: the first alternative that fits is taken, and nothing within it is looked at again.
    ordered = sorted({choice.strip() for choice in choices if choice.strip()}, key=len, reverse=True)
    pattern = "|".join(f"({_as_word(choice)})" for choice in ordered)
    found = {ordered[match.lastindex - 1] for match in re.finditer(pattern, text) if match.lastindex}
    named = [choice for choice in choices if choice.strip() in found]
    return named[0] if len(found) == 1 and len(set(named)) == 1 else None


def _as_word(choice: str) -> str:
    if len(choice) == 1:
        return rf"(?<!\w){re.escape(choice)}(?=[ \t]*(?:$|[\n.):,;*'\"\]`]))"
    left = r"(?<!\w)" if _in_words(choice[0]) else ""
    right = r"(?!\w)" if _in_words(choice[-1]) else ""
    return f"{left}(?i:{re.escape(choice)}){right}"


def _in_words(sign: str) -> bool:
    """Whether `sign` stands in words that blanks part; not `-` and `%`, and not the signs of Chinese and Japanese."""
    return sign.isalnum() and not "\u2e80" <= sign < "\ua000"


def _name(pattern: re.Pattern[str] | None) -> AnswerReader:
    def read(sample: Sample, response: Response) -> Response:
        text: str | None = response.text or ""
        if pattern is not None:
            text = extracted(pattern, text or "")
        found = None if text is None else named_choice(sample.choices, text)
        unparsed = found is None and response.status == "ok"
        return replace(response, answer=found, status="unparsed" if unparsed else response.status)

    return read


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


def reader_for(
    *,
    choices: bool,
    normalize: Normalize = "none",
    extract: str | None = None,
    by_generation: bool = False,
    refusals: bool = False,
) -> AnswerReader:
    """The reader of a task: by likelihood of its choices (`by_generation`: by name), by `extract`, else the text.

    Failed responses pass through unread, and so do those whose backend has given an answer (a classifier's label).
    With `refusals` a text that declines to answer is marked as a refusal; what is read from it is the same.
    """
    pattern = re.compile(extract) if extract else None
    inner: AnswerReader
    if choices:
        inner = _name(pattern) if by_generation else _choose(normalize)
    else:
        inner = _text if pattern is None else _extract(pattern)

    def read(sample: Sample, response: Response) -> Response:
        if response.status in FAILED_STATES:
            return response
        if refusals:
            response = marked(sample, response)
        if response.answer is not None and not extract:
            return response
        return inner(sample, response)

    return read


def reader_of(task: object, *, refusals: bool = False) -> AnswerReader:
    """The reader of a task of a suite; `refusals` as in `reader_for`."""
    return reader_for(
        choices=bool(getattr(task, "choices", None)),
        normalize=getattr(task, "normalize", "none"),
        extract=getattr(task, "extract", None),
        by_generation=getattr(task, "choice_by", "likelihood") == "generation",
        refusals=refusals,
    )


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

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples alone, once for each answer."""
        return self._samples

    def item(self, place: int) -> Answered:
        return self._answered(self._samples[place], self._requests[place], self._responses[place])

    def __iter__(self) -> Iterator[Answered]:
        return map(self._answered, self._samples, self._requests, self._responses)

    def _answered(self, sample: Sample, request: Request, response: Response) -> Answered:
        return Answered(sample, self._read(sample, response), request.repeat)
