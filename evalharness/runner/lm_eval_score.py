"""Answers to lm-eval's tasks to figures: lm-eval makes the items, the rest is as for any other task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from evalharness.core.canonical import digest
from evalharness.core.protocols import Array, Metric
from evalharness.core.types import FAILED_STATES, MetricResult, Response
from evalharness.metrics.aggregations import Aggregation, Mean, Members, UnfitItems, aggregation_of
from evalharness.metrics.lm_eval import LmEvalFigure, OpaqueFigure
from evalharness.suite.names import member_id

from .answers import reader_for
from .scoring import Answered, Figure, FigureStats, score_task
from .seal import AnsweredTask

if TYPE_CHECKING:
    from evalharness.integrations.lm_eval.groups import GroupFigure
    from evalharness.integrations.lm_eval.scoring import Items, Scored
    from evalharness.integrations.lm_eval.tasks import LoadedTask
    from evalharness.suite.plan import PlannedTask
    from evalharness.suite.schema import Suite

    from .lm_eval_plan import LmEvalWork

__all__ = ["answered_lm_eval", "members_of"]

_best_choice = reader_for(choices=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """A task with its answers: one `Answered` a document, and its figures by metric and filter."""

    task: AnsweredTask
    documents: Sequence[Answered]
    scored: Scored
    figures: Mapping[tuple[str, str], LmEvalFigure | OpaqueFigure]


def answered_lm_eval(work: LmEvalWork, responses: Mapping[str, Response], suite: Suite) -> list[AnsweredTask]:
    """The tasks of `work` with their answers and figures, each group before its tasks."""
    from evalharness.integrations.lm_eval.groups import group_figures

    parts = {
        loaded.name: _part(loaded, planned, responses, suite)
        for loaded, planned in zip(work.loaded.tasks, work.planned, strict=True)
    }
    scored = {name: part.scored for name, part in parts.items()}
    found = []
    for group in work.loaded.groups:
        task_id = _group_id(work, group.name)
        figures = list(group_figures(group, scored))
        if figures:
            found.append(_group(task_id, work, [parts[name] for name in group.members], figures, parts, suite))
    return [*found, *(part.task for part in parts.values())]


def members_of(work: LmEvalWork) -> dict[str, tuple[int, ...]]:
    """The places in `work` of the tasks that each task id stands for: one for a task, several for a group."""
    places = {loaded.name: place for place, loaded in enumerate(work.loaded.tasks)}
    found = {_group_id(work, group.name): tuple(places[m] for m in group.members) for group in work.loaded.groups}
    return found | {planned.task.id: (place,) for place, planned in enumerate(work.planned)}


def _group_id(work: LmEvalWork, name: str) -> str:
    return work.task.id if name == work.loaded.root else member_id(work.task.id, name)


# ── a task ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _part(loaded: LoadedTask, planned: PlannedTask, responses: Mapping[str, Response], suite: Suite) -> _Part:
    from evalharness.integrations.lm_eval.scoring import score

    blanks = suite.execution.on_error.count_as == "wrong"
    answers = _by_document(loaded, planned, responses)
    scored = score(loaded, answers, blanks=blanks)
    items = [
        _read(Answered(sample, responses[request.key], request.repeat), scored)
        for sample, request in zip(planned.request_samples, planned.requests, strict=True)
    ]
    documents = _documents(items)
    figures = {
        (item.metric, item.filter): _figure(loaded, item, blanks=blanks and loaded.kinds == ("generate",))
        for item in scored.figures
    }
    names = {(item.metric, item.filter): item.name for item in scored.figures}
    done = _score(planned.task.id, planned, documents, [(names[key], f) for key, f in figures.items()], suite)
    return _Part(
        AnsweredTask(
            task=planned.task,
            model=planned.model,
            kind=planned.kind,
            identity=planned.identity,
            labels=(),
            requests=planned.requests,
            answered=items,
            done=tuple(done),
        ),
        documents,
        scored,
        figures,
    )


def _by_document(
    loaded: LoadedTask, planned: PlannedTask, responses: Mapping[str, Response]
) -> dict[str, list[list[Response]]]:
    """The responses to each document: a list for each of its asks, in the order in which they were planned."""
    coming = iter(planned.requests)
    found = {}
    for document in loaded.documents:
        found[document.sample.id] = [
            [_usable(responses[next(coming).key]) for _ in range(ask.repeats if ask.kind == "generate" else 1)]
            for ask in document.asks
        ]
    return found


def _usable(response: Response) -> Response:
    # What came with an error is no answer, even if there is text.
    return replace(response, text=None, loglikelihoods=()) if response.status in FAILED_STATES else response


def _read(item: Answered, scored: Scored) -> Answered:
    """The answer as the task's first filter, or the likeliest choice, gives it; a fault of the task's code is said."""
    sample, response = item.sample, item.response
    if sample.id in scored.faults and response.status not in FAILED_STATES:
        response = replace(response, status="error", error=scored.faults[sample.id])
    elif sample.choices and response.loglikelihoods:
        response = _best_choice(sample, response)
    elif sample.id in scored.answers and response.text is not None and item.repeat == 0:
        response = replace(response, answer=scored.answers[sample.id])
    return Answered(sample, response, item.repeat)


def _documents(items: Sequence[Answered]) -> list[Answered]:
    """One for each document: failed where any of its requests failed."""
    found: dict[str, Answered] = {}
    for item in items:
        kept = found.get(item.sample.id)
        if kept is None or (item.response.status in FAILED_STATES and kept.response.status not in FAILED_STATES):
            found[item.sample.id] = Answered(item.sample, item.response)
    return list(found.values())


def _figure(loaded: LoadedTask, item: Items, *, blanks: bool) -> LmEvalFigure | OpaqueFigure:
    subject = _subject("task", loaded.name, item.metric, item.filter, loaded.version, item.settings)
    values = list(item.items.values())
    aggregation = aggregation_of(item.aggregation, values)
    try:
        rows = None if aggregation is None else aggregation.rows(values)
    except UnfitItems:
        rows = None
    if rows is None or aggregation is None:
        return _opaque(item, subject, item.items, item.function, blanks=blanks)
    return LmEvalFigure(
        name=item.name,
        subject=subject,
        aggregation=aggregation,
        higher_is_better=item.higher_is_better,
        table=dict(zip(item.items, rows, strict=True)),
        scores_blank=blanks,
    )


def _opaque(
    item: Items, subject: str, values: Mapping[str, Any], function: Callable[[list[Any]], Any], *, blanks: bool
) -> OpaqueFigure:
    import numpy as np

    return OpaqueFigure(
        name=item.name,
        subject=subject,
        function=function,
        function_name=item.aggregation or getattr(item.function, "__name__", "function"),
        items=list(values.values()),
        higher_is_better=item.higher_is_better,
        table={sample_id: np.array([1.0, index]) for index, sample_id in enumerate(values)},
        scores_blank=blanks,
    )


def _subject(what: str, name: str, metric: str, filter_name: str, *more: str) -> str:
    parts = [f"{what}:{name}", f"metric:{metric}", f"filter:{filter_name}", *(part for part in more if part)]
    return "|".join(part.replace("|", "/") for part in [*parts, f"lm-eval:{version('lm-eval')}"])


def _score(
    task_id: str,
    planned: PlannedTask,
    documents: Sequence[Answered],
    figures: Sequence[tuple[str, LmEvalFigure | OpaqueFigure]],
    suite: Suite,
) -> Sequence[tuple[FigureStats, list[MetricResult]]]:
    return score_task(
        task_id,
        planned.model,
        documents,
        [Figure(name, cast(Metric, figure)) for name, figure in figures],
        count_as=suite.execution.on_error.count_as,
        confidence=suite.confidence,
        seed=suite.seed,
        groups=planned.task.groups or (),
    ).figures


# ── a group ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _group(
    task_id: str,
    work: LmEvalWork,
    members: Sequence[_Part],
    figures: Sequence[GroupFigure],
    parts: Mapping[str, _Part],
    suite: Suite,
) -> AnsweredTask:
    first = work.planned[0]
    done: list[tuple[FigureStats, list[MetricResult]]] = []
    for figure in figures:
        of = {name: parts[name] for name in figure.members}
        documents = [document for part in of.values() for document in part.documents]
        done += _score(task_id, first, documents, [(figure.name, _group_figure(task_id, figure, of))], suite)
    identities = [part.task.identity for part in members]
    return AnsweredTask(
        task=work.task.model_copy(update={"id": task_id}),
        model=work.model,
        kind=first.kind,
        identity={key: digest([identity.get(key) for identity in identities]) for key in identities[0]},
        labels=(),
        requests=(),
        answered=(),
        done=tuple(done),
    )


def _group_figure(task_id: str, group: GroupFigure, of: Mapping[str, _Part]) -> LmEvalFigure | OpaqueFigure:
    figures = [part.figures[group.metric, group.filter] for part in of.values()]
    subject = _subject("group", task_id.partition("@")[0], group.metric, group.filter, f"tasks:{digest(list(of))[:12]}")
    known = [figure for figure in figures if isinstance(figure, LmEvalFigure)]
    better = figures[0].higher_is_better
    if len(known) < len(figures):
        return _opaque_group(group, subject, list(of), figures)
    aggregation, table = _joined([figure.aggregation for figure in known], [f.table for f in known], group.by_size)
    return LmEvalFigure(
        name=group.name,
        subject=subject,
        aggregation=aggregation,
        higher_is_better=better,
        table=table,
        scores_blank=all(figure.scores_blank for figure in known),
    )


def _joined(
    aggregations: Sequence[Aggregation], tables: Sequence[Mapping[str, Array]], by_size: bool
) -> tuple[Aggregation, dict[str, Array]]:
    import numpy as np

    if by_size and all(type(aggregation) is Mean for aggregation in aggregations):
        # Means weighted by their numbers of documents are the mean of all documents.
        return Mean(), {sample_id: row for table in tables for sample_id, row in table.items()}
    joint = Members(tuple(aggregations), by_size)
    rows = [
        np.array(list(table.values()), dtype=np.float64).reshape(len(table), len(aggregation.columns))
        for aggregation, table in zip(aggregations, tables, strict=True)
    ]
    return joint, dict(zip([i for table in tables for i in table], joint.joined(rows), strict=True))


def _opaque_group(
    group: GroupFigure, subject: str, names: Sequence[str], figures: Sequence[LmEvalFigure | OpaqueFigure]
) -> OpaqueFigure:
    """A mean of members of which at least one only lm-eval can compute: items carry the name of their task."""
    members = group.members

    def value(items: list[tuple[str, Any]]) -> float:
        own: dict[str, list[Any]] = {}
        for name, item in items:
            own.setdefault(name, []).append(item)
        weights = {name: float(len(found)) if group.by_size else 1.0 for name, found in own.items()}
        total = sum(weights[name] * float(members[name].function(found)) for name, found in own.items())
        return total / sum(weights.values())

    every = {i: (name, item) for name in names for i, item in members[name].items.items()}
    found = _opaque(members[names[0]], subject, every, value, blanks=all(f.scores_blank for f in figures))
    return replace(found, name=group.name, function_name=f"{'sized' if group.by_size else 'equal'}-functions")
