"""What the judges of a run would be asked, told before anything is sent.

Where the answer to be judged is in the store, the very request is made; where it is not, one with a text in its place
that is as long as the answer may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from evalharness.core.spool import Spool
from evalharness.core.types import FAILED_STATES, Request, Response, Sample
from evalharness.metrics.base import answer_text

from .answers import reader_of
from .execute import Store
from .judgement import Judgement

if TYPE_CHECKING:
    from evalharness.suite.plan import PlannedTask

    from .judged import Judgements

__all__ = ["judge_requests", "live_probes", "probes"]

_LOOKED_UP = 500
_BYTES_PER_TOKEN = 4
_STAND_IN = "An answer would stand here."

_Expected = tuple[Sample, str | None, bool]
"""A sample, the answer to it (None where there will be none), and whether that is known."""


def judge_requests(
    planned: Sequence[PlannedTask], judgements: Judgements, store: Store | None
) -> Iterator[tuple[str, str, Iterator[Request]]]:
    """(figure as `task.figure`, judge, the requests to it) of each judging; keys with `?` are those not known yet."""
    by_place = {(entry.task.id, entry.model): entry for entry in planned}
    parts: dict[tuple[str, str], list[Judgement]] = {}
    for found in judgements.values():
        for judgement in found:
            for judge in judgement.metric.judges:
                parts.setdefault((f"{judgement.task}.{judgement.figure}", judge), []).append(judgement)

    def asked(judge: str, of: Sequence[Judgement]) -> Iterator[Request]:
        for judgement in of:
            requests = _requests(judgement, by_place, by_place[judgement.task, judgement.model], store)
            yield from (request for request in requests if request.model == judge)

    for (figure, judge), of in parts.items():
        yield figure, judge, asked(judge, of)


def probes(planned: Sequence[PlannedTask], judgements: Judgements) -> Iterator[tuple[Judgement, list[Request]]]:
    """Each judging with the requests about a stand-in for the answer to its first sample."""
    by_place = {(entry.task.id, entry.model): entry for entry in planned}
    for place, found in judgements.items():
        samples = by_place[place].samples
        for judgement in found if len(samples) else ():
            yield (
                judgement,
                list(judgement.requests(samples[0], _STAND_IN, _STAND_IN, judgement.documents_before(samples[0]))),
            )


def live_probes(planned: Sequence[PlannedTask], judgements: Judgements) -> Iterator[tuple[str, Request]]:
    """(judge, request): one for each form of verdict that each judge is asked for."""
    seen: set[tuple[str, str]] = set()
    for judgement, requests in probes(planned, judgements):
        form = judgement.metric.form.schema()
        for request in requests:
            if (request.model, form) not in seen:
                seen.add((request.model, form))
                yield request.model, request


def _requests(
    judgement: Judgement,
    by_place: Mapping[tuple[str, str], PlannedTask],
    entry: PlannedTask,
    store: Store | None,
) -> Iterator[Request]:
    against = judgement.metric.against
    others: Spool[_Expected] = Spool()
    own = theirs = 1
    if against is not None and not judgement.metric.against_reference:
        other = by_place[judgement.task, against]
        others.extend(_answers(other, store))
        own, theirs = (max(len(part.requests) // max(len(part.samples), 1), 1) for part in (entry, other))
    for place, (sample, answer, known) in enumerate(_answers(entry, store)):
        if answer is None:
            continue
        text: str | None = None
        if against is not None:
            text = judgement.other_answer(sample, None)
            if len(others):
                index, repeat = divmod(place, own)
                _, text, known_too = others[index * theirs + repeat % theirs]
                known = known and known_too
            if text is None:
                continue
        documents = judgement.documents_before(sample)
        for number, request in enumerate(judgement.requests(sample, answer, text, documents)):
            yield request if known else replace(request, key=f"?{judgement.model} {place} {number} {judgement.figure}")


def _answers(entry: PlannedTask, store: Store | None) -> Iterator[_Expected]:
    """The stored answers of a task, and texts of the greatest length in the place of those that are missing."""
    read = reader_of(entry.task)
    pairs = zip(entry.request_samples, entry.requests, strict=True)
    while some := list(islice(pairs, _LOOKED_UP)):
        stored: Mapping[str, Response] = {} if store is None else store.get_many(request.key for _, request in some)
        for sample, request in some:
            response = stored.get(request.key)
            if response is None:
                yield sample, "x" * (_BYTES_PER_TOKEN * request.sampling.max_tokens), False
            elif response.status in FAILED_STATES:
                yield sample, None, True
            else:
                yield sample, answer_text(read(sample, response)), True
