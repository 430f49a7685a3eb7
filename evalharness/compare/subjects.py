"""What is compared: a run, one model of a run, or one variant of a task; and which of their figures belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..core.errors import NotComparableError, UsageError
from ..core.registry import suggestion
from ..core.types import MetricResult

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["FigurePair", "Subject", "labels_of", "pairs_of", "subject_of"]

_LM_EVAL_TASK = re.compile(r"lm_eval\|task:([^|]*)\|")


@dataclass(frozen=True, slots=True)
class Subject:
    """A record, and of it one model or one task alone where `model` or `task` says so."""

    record: Record
    model: str | None = None
    task: str | None = None

    @property
    def figures(self) -> tuple[MetricResult, ...]:
        """The figures that are compared."""
        return tuple(
            r
            for r in self.record.results
            if (self.model is None or r.model == self.model) and (self.task is None or r.task == self.task)
        )

    @property
    def name(self) -> str:
        """How it is written on the command line."""
        part = self.model or self.task
        return self.record.id if part is None else f"{self.record.id}:{part}"


class FigurePair(NamedTuple):
    """Two figures to set against each other."""

    current: MetricResult
    baseline: MetricResult


def subject_of(record: Record, part: str | None) -> Subject:
    """The model, or the task, of `record` that is called `part`; the whole record for None.

    Raises:
        UsageError: it has neither.
    """
    if part is None:
        return Subject(record)
    models = list(dict.fromkeys(r.model for r in record.results))
    tasks = list(dict.fromkeys(r.task for r in record.results))
    if part in models:
        return Subject(record, model=part)
    if part in tasks:
        return Subject(record, task=part)
    near = suggestion(part, [*models, *tasks])
    raise UsageError(
        f"{record.id} has no model and no task {part!r}{near}; its models are {', '.join(models) or 'none'}, "
        f"its tasks {', '.join(tasks) or 'none'}"
    )


def labels_of(subjects: Sequence[Subject]) -> list[str]:
    """A name for each, as short as tells them apart: the model where all are of one run, else the run."""
    if len({id(s.record) for s in subjects}) == 1 or len({s.record.id for s in subjects}) == 1:
        names = [s.model or s.task or s.record.id for s in subjects]
        if len(set(names)) == len(names):
            return names
    models = [{r.model for r in s.record.results} for s in subjects]
    if all("/" in s.record.id for s in subjects) and all(len(m) == 1 for m in models):
        # Outputs of lm-eval are named by their files, which say less than the one model that they are of.
        names = [next(iter(m)) for m in models]
        if len(set(names)) == len(names):
            return names
    names = [s.record.id for s in subjects]
    return names if len(set(names)) == len(names) else [s.name for s in subjects]


def pairs_of(current: Subject, baseline: Subject) -> tuple[list[FigurePair], list[str]]:
    """The figures of both that belong together, and a sentence about each kind of figure that is left out.

    Figures belong together by task, metric and group, and by model where both have it; a side with one model only is
    compared with each of the other's. Where a task was named on either side, what `matrix` varied does not count; a
    task of lm-eval's is also found under another id.

    Raises:
        NotComparableError: nothing belongs together, or it cannot be said which models do.
    """
    by_variant = current.task is not None or baseline.task is not None
    places: dict[tuple[str, str, str | None], dict[str, MetricResult]] = {}
    for figure in baseline.figures:
        there = places.setdefault((_key(figure.task, by_variant), figure.metric, figure.group), {})
        taken = there.setdefault(figure.model, figure)
        if taken is not figure:
            raise NotComparableError(
                f"{baseline.name} has several variants of {_key(figure.task, by_variant)} ({taken.task}, {figure.task}"
                f"…); say which to compare: {baseline.record.id}:{taken.task}"
            )
    aliases = _aliases(current, baseline)
    found: list[FigurePair] = []
    alone: dict[str, None] = {}
    unlike: dict[str, None] = {}
    for figure in current.figures:
        task = _key(figure.task, by_variant)
        against = places.get((aliases.get(task, task), figure.metric, figure.group), {})
        chosen = against.get(figure.model)
        if chosen is None and len(against) == 1:
            chosen = next(iter(against.values()))
        if chosen is not None:
            found.append(FigurePair(figure, chosen))
        elif against:
            unlike[f"{figure.task} of {figure.model} (there: {', '.join(sorted(against))})"] = None
        else:
            alone[f"{figure.task}.{figure.metric}"] = None
    if not found:
        raise NotComparableError(_nothing(current, baseline, list(unlike)))
    notes = []
    if unlike:
        notes.append(f"not compared, as {baseline.record.id} has no such model: {_listed(unlike)}")
    matched = {(p.baseline.task, p.baseline.metric) for p in found}
    theirs = dict.fromkeys(
        f"{r.task}.{r.metric}"
        for r in baseline.figures
        if (r.task, r.metric) not in matched and r.group is None and not unlike
    )
    wholes = {f"{p.current.task}.{p.current.metric}" for p in found}
    ours = [name for name in alone if name not in wholes]
    for side, names in ((current, ours), (baseline, list(theirs))):
        if names:
            notes.append(f"only in {side.name}: {_listed(names)}")
    return found, notes


def _key(task: str, by_variant: bool) -> str:
    return task.partition("@")[0] if by_variant else task


def _aliases(current: Subject, baseline: Subject) -> dict[str, str]:
    """Tasks of lm-eval's that only have another id in the baseline: a suite may call them as it likes."""
    ours, theirs = _lm_eval_tasks(current), _lm_eval_tasks(baseline)
    known = {r.task for r in baseline.figures}
    found = {}
    for task, name in ours.items():
        there = [other for other, same in theirs.items() if same == name]
        if task not in known and len(there) == 1:
            found[task] = there[0]
    return found


def _lm_eval_tasks(subject: Subject) -> dict[str, str]:
    matches = ((r.task, _LM_EVAL_TASK.match(r.signature)) for r in subject.figures)
    return {task: match[1] for task, match in matches if match}


def _nothing(current: Subject, baseline: Subject, unlike: Sequence[str]) -> str:
    if unlike:
        models = list(dict.fromkeys(r.model for r in baseline.figures))
        return (
            f"{current.name} and {baseline.name} have no model in common: {_listed(unlike)}; say which models to "
            f"compare: RUN:MODEL, as in {baseline.record.id}:{models[0]}"
        )
    ours, theirs = (list(dict.fromkeys(f"{r.task}.{r.metric}" for r in s.figures)) for s in (current, baseline))
    remedy = "they must have a task and a metric in common"
    bases = [{r.task.partition("@")[0] for r in subject.figures} for subject in (current, baseline)]
    if bases[0] & bases[1]:
        remedy += "; of variants of a task name one each: RUN:TASK@VARIANT"
    return (
        f"{current.name} and {baseline.name} have no figure in common: the one has {_listed(ours) or 'none'}, "
        f"the other {_listed(theirs) or 'none'}; {remedy}"
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
