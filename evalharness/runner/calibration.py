"""People's ratings of answers, as a judge is calibrated with them: `calibrate: ratings.csv`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.core.cells import from_cell
from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import registry, suggestion
from evalharness.metrics.judge_verdict import PAIR_VALUES
from evalharness.record.text import unescape

if TYPE_CHECKING:
    from evalharness.core.types import Row
    from evalharness.metrics.judge import LlmJudge

__all__ = ["Ratings", "read_ratings"]

_QUESTIONS = {"scale": "scale", "classes": "label", "pair": "pairwise"}
_MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Rating:
    place: Place
    sample_id: str
    model: str | None
    repeat: int | None
    value: float | None
    label: str | None
    against: str | None
    asked: str


@dataclass(frozen=True, slots=True)
class Ratings:
    """What people said of the answers to one task, as the numbers that verdicts have."""

    by_sample: Mapping[str, Sequence[tuple[str | None, int | None, float]]]

    def of(self, sample_id: str, model: str, repeat: int) -> list[float]:
        """The ratings of one answer, one a rater."""
        return [
            value
            for its_model, its_repeat, value in self.by_sample.get(sample_id, ())
            if its_model in (None, model) and its_repeat in (None, repeat)
        ]


def read_ratings(
    metric: LlmJudge,
    *,
    base: Path,
    task: str,
    model: str,
    models: Collection[str],
    sample_ids: Collection[str],
    whole: bool,
) -> Ratings:
    """The ratings that the file `metric.calibrate` has of the answers of `model` to `task`.

    Rows of other tasks, models and questions are passed over, as a file with all ratings of a run has them.

    Args:
        metric: Whose scale or classes the ratings must have.
        base: The folder that the path starts from.
        task: The task's id.
        model: The model whose answers are judged.
        models: All models of the task: with several, each rating must name one.
        sample_ids: The samples of the task.
        whole: Whether those are all samples there are; only then an unknown one is an error.

    Raises:
        UsageError: there is no such file, or its ending stands for no format.
        DataError: rows that cannot be used, or no rating of any of the answers.
    """
    from evalharness.data.source import find_file, format_of

    assert metric.calibrate is not None  # asked for by the caller
    file = find_file(metric.calibrate, base=base)
    name = format_of(file)
    if name is None:
        raise UsageError(
            f"{file}: ratings are read from CSV, TSV, JSON, JSONL and Parquet files; give it such an ending"
        )
    known = set(sample_ids)
    found: dict[str, list[tuple[str | None, int | None, float]]] = {}
    problems: list[Problem] = []
    asked: dict[str, Place] = {}
    n_rows = 0
    for row in registry("datasets").load(name)(str(file)):
        n_rows += 1
        if n_rows == 1:
            _check_columns(row)
        try:
            rating = _rating(row, metric, task)
            if rating is None:
                continue
            if rating.model is None and len(models) > 1:
                raise _Wrong(f"has no model, and the task runs on {', '.join(sorted(models))}: name one in `model`")
            sample_id = _as_written(rating.sample_id, known)
            if sample_id not in known:
                if whole:
                    raise _Wrong(
                        f"there is no sample {rating.sample_id!r} in the task {task!r}"
                        f"{suggestion(rating.sample_id, list(known)[:10_000])}"
                    )
                continue
            value = _value(rating, metric, model)
        except _Wrong as error:
            problems.append(Problem(row.place, "", str(error)))
            continue
        if value is not None and rating.model in (None, model, metric.against):
            its_model = None if metric.against is not None else rating.model
            found.setdefault(sample_id, []).append((its_model, rating.repeat, value))
            asked.setdefault(rating.asked, row.place)
    if problems:
        more = len(problems) - _MAX_SHOWN
        tail = [Problem(problems[_MAX_SHOWN].place, "", f"and {more} more rows")] if more > 0 else []
        raise DataError([*problems[:_MAX_SHOWN], *tail])
    if len(asked) > 1:
        questions = "; ".join(repr(words) for words in asked)
        message = f"the ratings answer several questions, which cannot be pooled: {questions}; keep those of one"
        raise DataError([Problem(list(asked.values())[1], "", message)])
    if not found:
        about = f"{n_rows} rows, none of which rates an answer of {model!r} to {task!r}"
        hint = "; see its columns sample_id, model, task and question" if n_rows else ""
        raise DataError([Problem(Place(str(file)), "", f"no rating fits {metric.figure}: {about}{hint}")])
    return Ratings(found)


class _Wrong(Exception):
    pass


def _check_columns(row: Row) -> None:
    names = set(row.fields)
    if "sample_id" in names and names & {"value", "label"}:
        return
    raise DataError(
        [
            Problem(
                Place(row.place.file, 1),
                "",
                f"ratings need the columns sample_id and value (or label), perhaps model, repeat and rater; this file "
                f"has: {', '.join(sorted(names)[:20])}",
            )
        ]
    )


def _rating(row: Row, metric: LlmJudge, task: str) -> _Rating | None:
    """What a row says; None for one that is about something else."""
    fields = {key: _text(value) for key, value in row.fields.items()}
    if fields.get("task") and fields["task"] not in (task, task.partition("@")[0]):
        return None
    if fields.get("question") and fields["question"] != _QUESTIONS[metric.form.kind]:
        return None
    if fields.get("comment") and not fields.get("value") and not fields.get("label"):
        return None  # a comment without an answer
    if not fields.get("sample_id"):
        raise _Wrong("has no sample_id")
    return _Rating(
        place=row.place,
        sample_id=fields["sample_id"],
        model=fields.get("model") or None,
        repeat=_whole(fields.get("repeat")),
        value=_number(fields.get("value")),
        label=fields.get("label") or None,
        against=fields.get("against") or None,
        asked=fields.get("asked", ""),
    )


def _value(rating: _Rating, metric: LlmJudge, model: str) -> float | None:
    """The number that a verdict would have; None for a rating of another pair."""
    form = metric.form
    if form.kind == "pair":
        return _of_pair(rating, metric, model)
    if form.kind == "classes" and rating.label is not None:
        label = _as_written(rating.label, form.classes)
        if label not in form.classes:
            near = suggestion(rating.label, form.labels) or f"; there is: {', '.join(form.labels)}"
            raise _Wrong(f"the label {rating.label!r} is none of the classes{near}")
        return form.classes[label]
    if rating.value is None:
        raise _Wrong(f"has no {'label' if form.kind == 'classes' else 'value'}")
    if form.kind == "classes" and rating.value not in form.classes.values():
        counts = ", ".join(f"{label} {value:g}" for label, value in form.classes.items())
        raise _Wrong(f"the value {rating.value:g} is that of no class; they count: {counts}")
    if not form.low <= rating.value <= form.high:
        raise _Wrong(f"the value {rating.value:g} is not on the scale from {form.low:g} to {form.high:g}")
    return rating.value


def _of_pair(rating: _Rating, metric: LlmJudge, model: str) -> float | None:
    other = str(metric.against)
    named = {name for name in (rating.model, rating.against) if name is not None}
    if not named <= {model, other}:
        return None
    if rating.label is None and rating.value in PAIR_VALUES.values() and rating.model in (None, model):
        return rating.value
    outcomes = {model: 1.0, other: 0.0, **PAIR_VALUES}
    if rating.label not in outcomes:
        raise _Wrong(f"the label {rating.label!r} names neither {model!r} nor {other!r}, and is not tie")
    return outcomes[rating.label]


def _as_written(cell: str, known: Collection[str]) -> str:
    """The text of a cell: an export marks what a spreadsheet would take for a formula with an apostrophe."""
    return cell if cell in known else unescape(from_cell(cell))


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise _Wrong(f"the value {text[:40]!r} is no number") from None


def _whole(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise _Wrong(f"the repeat {text[:40]!r} is no whole number") from None
