"""The second phase of a run: judges are asked about the answers, and what they said becomes part of these.

A run asks its tasks first. From the answers follow the requests to the judges, which go the same way: the same store,
limits, budget, accounts, journal. An answer that never came is not judged.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from evalharness.core.errors import DataError, Problem, SuiteError, UsageError
from evalharness.core.spool import Lazy, Spool
from evalharness.core.types import FAILED_STATES, Json, Request, Response
from evalharness.metrics.base import answer_text
from evalharness.metrics.judge import LlmJudge
from evalharness.metrics.places import absent_everywhere, parse_place
from evalharness.suite.judgings import judgings_of
from evalharness.suite.metric_specs import build_metric
from evalharness.suite.plan import models_of
from evalharness.suite.variables import Key, shown_path

from .calibration import read_ratings
from .judged import Judged
from .judgement import Judgement
from .scoring import Answered
from .seal import AnsweredTask

if TYPE_CHECKING:
    from evalharness.core.types import Sample
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.plan import PlannedTask

    from .execute import Answers
    from .judged import Judgements

__all__ = ["ask_judges", "judgements_of"]

_NOT_ASKED = -1
_NO_PAIR = -2
_MAX_SHOWN = 20


def judgements_of(
    loaded: LoadedSuite,
    planned: Sequence[PlannedTask],
    identities: Mapping[str, Mapping[str, Json]],
    *,
    limit: int | None = None,
) -> Judgements:
    """The judgings of the planned tasks, with all that they need read and tried on every sample.

    Raises:
        SuiteError: a rubric cannot be read.
        DataError: a rubric does not fit a sample, or ratings cannot be used.
    """
    index = {task.id: position for position, task in enumerate(loaded.suite.tasks)}
    found: dict[tuple[str, str], list[Judgement]] = {}
    wrong: list[Problem] = []
    faults: list[Problem] = []
    tried: set[tuple[str, str]] = set()
    for entry in planned:
        for judging in judgings_of(entry.task):
            metric = build_metric(entry.task.metrics[judging.position])[1]
            assert isinstance(metric, LlmJudge)
            if metric.against == entry.model:
                continue  # its own answers are what the others are compared with
            path: Key = ("tasks", index[entry.task.id], "metrics", judging.position)
            try:
                judgement = _bound(loaded, entry, metric, identities, limit)
                if (entry.task.id, judgement.figure) not in tried:
                    faults += _misfits(loaded, path, judgement, entry.samples)
                tried.add((entry.task.id, judgement.figure))
            except DataError as error:
                faults += error.problems
                continue
            except UsageError as error:
                wrong.append(Problem(loaded.place_of(path), shown_path(path), str(error)))
                continue
            found.setdefault((entry.task.id, entry.model), []).append(judgement)
    if wrong:
        raise SuiteError(wrong)
    if faults:
        raise DataError(faults)
    return found


def _bound(
    loaded: LoadedSuite,
    entry: PlannedTask,
    metric: LlmJudge,
    identities: Mapping[str, Mapping[str, Json]],
    limit: int | None,
) -> Judgement:
    suite, task = loaded.suite, entry.task
    ready = metric.for_run(base=loaded.base, allow_code=False)
    ratings = None
    if metric.calibrate is not None:
        dataset = suite.datasets.get(getattr(task, "dataset", ""))
        limits = (limit, task.limit, dataset.limit if dataset is not None else None)
        ratings = read_ratings(
            ready,
            base=loaded.base,
            task=task.id,
            model=entry.model,
            models=set(models_of(task, suite)) - {metric.against},
            sample_ids=[sample.id for sample in entry.samples],
            whole=not any(limits),
        )
    return Judgement.bound(
        ready,
        task=task.id,
        model=entry.model,
        suite=suite,
        identities=identities,
        base=loaded.base,
        ratings=ratings,
    )


def _misfits(loaded: LoadedSuite, path: Key, judgement: Judgement, samples: Sequence[Sample]) -> Iterator[Problem]:
    """Samples whose fields the rubric cannot be rendered with: found before anything is asked."""
    n = 0
    for sample in samples if judgement.names_fields() else samples[:1]:
        try:
            judgement.rubric_of(sample)
            judgement.documents_before(sample)
        except UsageError as error:
            n += 1
            if n <= _MAX_SHOWN:
                message = f"the rubric of {judgement.figure} does not fit the sample {sample.id!r}: {error}"
                yield Problem(loaded.place_of(path), shown_path(path), message)


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Asked(NamedTuple):
    """A judging, and where the requests about each answer begin; -1 for one that was not judged."""

    judgement: Judgement
    starts: array[int]


async def ask_judges(
    tasks: Sequence[AnsweredTask],
    judgements: Judgements,
    ask: Callable[[Sequence[Request]], Awaitable[Answers]],
    *,
    whole: bool = True,
) -> Judged:
    """Ask the judges about the answers of `tasks`, by way of `ask`.

    Where these are not the `whole` run's, it is no slip that none of them has what a judging compares with.
    """
    requests: Spool[Request] = Spool()
    by_place = {(entry.task.id, entry.model): entry for entry in tasks}
    asked: dict[tuple[str, str], list[_Asked]] = {}
    for place, found in judgements.items():
        for judgement in found:
            asked.setdefault(place, []).append(_plan(judgement, by_place[place], by_place, requests, whole))
    answers = await ask(requests)
    replies = answers.responses.in_order(0, len(requests))
    done = [
        replace(entry, answered=_JudgedList(entry.answered, asked[entry.task.id, entry.model], replies))
        if (entry.task.id, entry.model) in asked
        else entry
        for entry in tasks
    ]
    return Judged(done, requests, answers, judgements)


def _plan(
    judgement: Judgement,
    entry: AnsweredTask,
    by_place: Mapping[tuple[str, str], AnsweredTask],
    requests: Spool[Request],
    whole: bool,
) -> _Asked:
    """Put the requests about the answers of `entry` at the end of `requests`."""
    metric = judgement.metric
    others: Iterator[Response | None] = iter(())
    if metric.against is not None and not metric.against_reference:
        others = _paired(entry, by_place[judgement.task, metric.against])
    starts: array[int] = array("q")
    documents: list[str] | None = None
    n_documented = 0
    for item in entry.answered:
        response = next(others, None)
        if item.response.status in FAILED_STATES:
            starts.append(_NOT_ASKED)
            continue
        other = judgement.other_answer(item.sample, response)
        if metric.against is not None and other is None:
            starts.append(_NO_PAIR)
            continue
        if metric.context is not None:
            documents = judgement.documents_of(item.sample, item.response)
            n_documented += documents is not None
        starts.append(len(requests))
        requests.extend(judgement.requests(item.sample, answer_text(item.response), other, documents or ()))
    if whole and metric.context is not None and not n_documented:
        place = parse_place(metric.context, option="context")
        answers = [item.response for item in entry.answered]
        absent_everywhere(judgement.figure, place, [None] * len(answers), answers)
    return _Asked(judgement, starts)


def _paired(entry: AnsweredTask, other: AnsweredTask) -> Iterator[Response | None]:
    """For each answer of `entry` that of `other` to the same sample: of the same repeat, where there is one."""
    n_samples = sum(1 for request in entry.requests if request.repeat == 0)
    own, theirs = (len(found.requests) // max(n_samples, 1) for found in (entry, other))
    for place in range(len(entry.requests)):
        sample, repeat = divmod(place, own)
        yield other.answered[sample * theirs + repeat % theirs].response


class _JudgedList(Lazy[Answered]):
    """Answers with what the judges said of them in their meta, made as they are looked at."""

    def __init__(self, answered: Sequence[Answered], asked: Sequence[_Asked], replies: Sequence[Response]) -> None:
        self._answered = answered
        self._asked = asked
        self._replies = replies

    def __len__(self) -> int:
        return len(self._answered)

    def item(self, place: int) -> Answered:
        return self._with_verdicts(place, self._answered[place])

    def __iter__(self) -> Iterator[Answered]:
        for place, item in enumerate(self._answered):
            yield self._with_verdicts(place, item)

    def _with_verdicts(self, place: int, item: Answered) -> Answered:
        found: dict[str, Json] = {}
        for judgement, starts in self._asked:
            start = starts[place]
            if start == _NOT_ASKED:
                continue
            replies, reason = None, "there is no other answer to compare with"
            if start >= 0:
                replies = [self._replies[start + index] for index in range(len(judgement.slots))]
            found[judgement.figure] = judgement.judged(item.sample, item.repeat, replies, reason=reason)
        if not found:
            return item
        response = replace(item.response, meta={**item.response.meta, "judged": found})
        return replace(item, response=response)
