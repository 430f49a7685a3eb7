"""The judgements of a record under another suite: found again by what decides them, or refused; no judge is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import NotComparableError
from evalharness.metrics.judge import LlmJudge
from evalharness.suite.judgings import judgings_of
from evalharness.suite.metric_specs import build_metric
from evalharness.suite.plan import models_of

from .calibration import read_ratings
from .judged import Rejudged
from .judgement import Judgement

if TYPE_CHECKING:
    from evalharness.record import Record, TaskSummary
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.schema import Task

__all__ = ["rejudged"]

# What says how a model is reached, and not which one it is.
_OPERATIONAL = frozenset(
    {
        "api_key", "headers", "timeout_s", "max_retries", "concurrency", "requests_per_minute", "tokens_per_minute",
        "deadline_s", "price", "stream",
    }
)  # fmt: skip


def rejudged(record: Record, loaded: LoadedSuite, task: Task, entry: TaskSummary) -> Rejudged:
    """The judgings that the suite asks for of the answers of one model.

    Raises:
        NotComparableError: the record has not been judged so: by this rubric, these judges, in this form, as often.
        DataError: ratings cannot be used.
    """
    found, names = [], []
    for judging in judgings_of(task):
        metric = build_metric(task.metrics[judging.position])[1]
        assert isinstance(metric, LlmJudge)
        if metric.against == entry.model:
            continue
        _same_models(record, loaded, task, metric)
        judgement = _bound(record, loaded, task, entry, metric)
        names.append(_recorded_name(record, task, entry, judgement))
        found.append(judgement)
    return Rejudged(tuple(found), tuple(names))


def _bound(record: Record, loaded: LoadedSuite, task: Task, entry: TaskSummary, metric: LlmJudge) -> Judgement:
    ready = metric.for_run(base=loaded.base, allow_code=False)
    ratings = None
    if metric.calibrate is not None:
        ids = {row.sample.id for row in record.iter_samples(task=entry.id, model=entry.model)}
        ratings = read_ratings(
            ready,
            base=loaded.base,
            task=entry.id,
            model=entry.model,
            models=set(models_of(task, loaded.suite)) - {metric.against},
            sample_ids=ids,
            whole=record.manifest.execution.get("limit") is None and task.limit is None,
        )
    return Judgement.bound(
        ready,
        task=task.id,
        model=entry.model,
        suite=loaded.suite,
        identities=record.manifest.models,
        base=loaded.base,
        ratings=ratings,
    )


def _same_models(record: Record, loaded: LoadedSuite, task: Task, metric: LlmJudge) -> None:
    """Raise where a judge is another model than the one of this name in the record."""
    recorded: Any = record.manifest.suite.get("models") or {}
    for name in metric.judges:
        if name not in recorded or name not in record.manifest.models:
            raise _refused(record, task, metric, f"the record was not judged by {name!r}")
        new = loaded.suite.models[name].model_dump(mode="json", exclude_none=True)
        old = recorded[name]
        for key in sorted((new.keys() | old.keys()) - _OPERATIONAL):
            if new.get(key) != old.get(key):
                raise _refused(
                    record,
                    task,
                    metric,
                    f"the judge {name!r} has another {key}: {new.get(key)!r}, in the record {old.get(key)!r}",
                )


def _recorded_name(record: Record, task: Task, entry: TaskSummary, judgement: Judgement) -> str:
    """What the record calls the figure of this judging."""
    known = [body for body in _bodies(record) if (body.get("task"), body.get("model")) == (task.id, entry.model)]
    same = [body for body in known if body.get("judgement") == judgement.digest]
    own = [body for body in same if body["figure"] == judgement.figure] or same
    if own:
        return str(own[0]["figure"])
    if not known:
        raise _refused(record, task, judgement.metric, f"its answers of {entry.model!r} were not judged")
    nearest = next((body for body in known if body["figure"] == judgement.figure), known[0])
    raise _refused(record, task, judgement.metric, _difference(nearest, judgement))


def _bodies(record: Record) -> Sequence[Mapping[str, Any]]:
    judging: Any = record.manifest.execution.get("judging") or {}
    bodies: Sequence[Mapping[str, Any]] = judging.get("judgements") or ()
    return bodies


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "rubric": lambda value: "another rubric",
    "verdict": lambda value: "another scale, other classes, or a reason asked for or not",
    "classes": lambda value: "classes that count otherwise",
    "judges": lambda value: f"other judges, or other settings of these ({', '.join(value)})",
    "repeats": lambda value: f"another number of repeats ({value})",
    "against": lambda value: f"another opponent ({str(value).split(' ')[0]})",
    "context": lambda value: f"other documents shown ({value or 'none'})",
    "prompt": lambda value: "other words around the rubric, of another version of evalharness",
}


def _difference(body: Mapping[str, Any], judgement: Judgement) -> str:
    old = body.get("parts") or {}
    new = judgement.parts
    differing = [words(old.get(key)) for key, words in _WORDS.items() if old.get(key) != new.get(key)]
    return f"its {body['figure']!r} has {'; '.join(differing) or 'another identity'}"


def _refused(record: Record, task: Task, metric: LlmJudge, why: str) -> NotComparableError:
    return NotComparableError(
        f"task {task.id!r}: the judgement {metric.figure!r} is not in the record {record.manifest.id}: {why}; a record "
        "can be scored again only with the judgements that it has: restore them in the suite, or run it"
    )
