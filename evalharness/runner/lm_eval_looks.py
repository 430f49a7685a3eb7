"""lm-eval's tasks in a run in parts: asked document by document, and scored by lm-eval as far as they are answered.

lm-eval makes the items of each document by itself and aggregates them afterwards, so that the figures of the documents
that are in are those that lm-eval would give if there were no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalharness.core.spool import Picked
from evalharness.stats.arrays import Ints, np

from .lm_eval_score import answered_lm_eval, members_of

if TYPE_CHECKING:
    from evalharness.suite.schema import Suite

    from .lm_eval_plan import LmEvalWork
    from .scoring import FigureStats
    from .seal import AnsweredTask

__all__ = ["of_documents", "planned_work", "request_starts"]


def request_starts(work: LmEvalWork, place: int) -> Ints:
    """(n + 1,) where the requests about each document of a task begin, and behind them the end of the last."""
    counts = [
        sum(ask.repeats if ask.kind == "generate" else 1 for ask in document.asks)
        for document in work.loaded.tasks[place].documents
    ]
    found: Ints = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return found


def of_documents(work: LmEvalWork, some: Sequence[Ints]) -> LmEvalWork:
    """`work` as though each of its tasks had only the documents at these places, in order."""
    tasks, planned = [], []
    for place, documents in enumerate(some):
        loaded, whole = work.loaded.tasks[place], work.planned[place]
        starts = request_starts(work, place)
        spans = [range(starts[i], starts[i + 1]) for i in documents.tolist()]
        requests = [number for span in spans for number in span]
        tasks.append(replace(loaded, documents=tuple(loaded.documents[i] for i in documents.tolist())))
        planned.append(
            replace(
                whole,
                samples=tuple(whole.samples[i] for i in documents.tolist()),
                requests=Picked(whole.requests, requests),
                request_samples=Picked(whole.request_samples, requests),
            )
        )
    return replace(work, loaded=replace(work.loaded, tasks=tuple(tasks)), planned=tuple(planned))


def planned_work(work: LmEvalWork, suite: Suite) -> Iterator[tuple[AnsweredTask, tuple[int, ...], list[FigureStats]]]:
    """Each task and group of `work`, the places of the tasks that it stands for, and its figures without any rows."""
    nothing = of_documents(work, [np.zeros(0, dtype=np.int64) for _ in work.planned])
    members = members_of(work)
    for entry in answered_lm_eval(nothing, {}, suite):
        yield entry, members[entry.task.id], [stats for stats, _ in entry.done]
