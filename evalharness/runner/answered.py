"""The planned tasks of a run with the answers that came, of all of their samples or of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evalharness.core.spool import Picked

from .answers import AnswerList, reader_of
from .seal import AnsweredTask

if TYPE_CHECKING:
    from evalharness.stats.arrays import Ints
    from evalharness.suite.plan import PlannedTask
    from evalharness.suite.schema import Suite

    from .book import ResponseBook

__all__ = ["answered_tasks"]


def answered_tasks(
    suite: Suite,
    tasks: Sequence[PlannedTask],
    responses: ResponseBook,
    some: Callable[[int], Ints | None] | None = None,
) -> list[AnsweredTask]:
    """The `tasks` with their answers; their requests are the first ones that were asked, in order.

    `some` gives the places, among the requests of the task at a place, of those that are meant; None for all of them.
    """
    found, start = [], 0
    for place, planned in enumerate(tasks):
        task, requests, samples = planned.task, planned.requests, planned.request_samples
        read = reader_of(task, refusals=planned.kind == "generate" and suite.execution.detect_refusals)
        at = None if some is None else some(place)
        if at is None:
            answers = responses.in_order(start, len(requests))
        else:
            answers = responses.at(start + at)
            requests, samples = Picked(requests, at.tolist()), Picked(samples, at.tolist())
        start += len(planned.requests)
        found.append(
            AnsweredTask(
                task=task,
                model=planned.model,
                kind=planned.kind,
                identity=planned.identity,
                labels=planned.labels,
                requests=requests,
                answered=AnswerList(samples, requests, answers, read),
            )
        )
    return found
