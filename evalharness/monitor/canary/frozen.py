"""Outputs and the verdicts that judges gave on them once: those of a recorded run, or of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import registry, suggestion
from evalharness.core.types import FAILED_STATES
from evalharness.record import Record
from evalharness.suite.judgings import judgings_of
from evalharness.suite.metric_specs import build_metric
from evalharness.suite.names import covers
from evalharness.suite.schema import Suite

if TYPE_CHECKING:
    from evalharness.core.types import Row
    from evalharness.metrics.judge import LlmJudge
    from evalharness.suite.schema import Task

__all__ = ["Frozen", "Verdict", "frozen_file", "frozen_run", "judged_alone", "verdicts_of", "ways_of"]

_SHOWN: Final = 20


class Verdict(NamedTuple):
    """What the judges said of one output: its value, the class or point that it counts as, and its cluster."""

    value: float
    label: str
    cluster: str | None


@dataclass(frozen=True, slots=True)
class Frozen:
    """Outputs by task and sample, verdicts by task and figure and then by sample.

    `ways` stand for all that decided the verdicts, by task and figure; a file does not tell, and has none. `name` is
    what messages call it, `id` names what it holds.
    """

    id: str
    name: str
    outputs: Mapping[str, Mapping[str, str]]
    verdicts: Mapping[tuple[str, str], Mapping[str, Verdict]]
    ways: Mapping[tuple[str, str], str] | None


def judged_alone(task: Task) -> Iterator[int]:
    """The places of the judgings that need nothing but the output: pairs need that of another model, too."""
    return (
        one.position
        for one in judgings_of(task)
        if one.against is None and not str(one.options.get("context", "")).startswith("meta.")
    )


def _tasks(suite: Suite, names: Sequence[str]) -> Iterator[Task]:
    for task in suite.tasks:
        if any(True for _ in judged_alone(task)) and (not names or any(covers(name, task.id) for name in names)):
            yield task


# ── of a run ──────────────────────────────────────────────────────────────────────────────────────────────────────


def frozen_run(record: Record, suite: Suite, names: Sequence[str]) -> Frozen:
    """What the judges said of the first answers of `record`; of models, the first one's.

    `names` are the tasks that are looked at, or none of them for all.
    """
    outputs: dict[str, dict[str, str]] = {}
    verdicts: dict[tuple[str, str], Mapping[str, Verdict]] = {}
    ways: dict[tuple[str, str], str] = {}
    for task in _tasks(suite, names):
        entry = next((one for one in record.manifest.tasks if one.id == task.id), None)
        if entry is None:
            continue
        for row in record.iter_samples(task=task.id, model=entry.model):
            text = row.response.text
            if row.response.status not in FAILED_STATES and text is not None and row.request.repeat == 0:
                outputs.setdefault(task.id, {})[row.sample.id] = text
        verdicts |= {(task.id, name): said for name, said in verdicts_of(record, task.id, entry.model).items()}
        ways |= {(task.id, name): way for name, way in ways_of(record, task.id, entry.model).items()}
    return Frozen(record.id, record.id, outputs, verdicts, ways)


def verdicts_of(record: Record, task: str, model: str) -> dict[str, dict[str, Verdict]]:
    """By figure and sample, the verdicts on the first answer."""
    found: dict[str, dict[str, Verdict]] = {}
    for row in record.iter_samples(task=task, model=model):
        judged: Any = row.response.meta.get("judged")
        if row.request.repeat or not isinstance(judged, Mapping):
            continue
        for figure, said in judged.items():
            if said.get("value") is not None:
                value = float(said["value"])
                label = str(said["label"]) if said.get("label") is not None else _point(value)
                found.setdefault(figure, {})[row.sample.id] = Verdict(value, label, row.sample.cluster)
    return found


def ways_of(record: Record, task: str, model: str) -> dict[str, str]:
    """By figure, what stands for all that decides the verdicts."""
    judging: Any = record.manifest.execution.get("judging") or {}
    bodies = judging.get("judgements") or ()
    return {one["figure"]: one["judgement"] for one in bodies if (one["task"], one["model"]) == (task, model)}


def _point(value: float) -> str:
    return f"{value:.6g}"


# ── of a file ─────────────────────────────────────────────────────────────────────────────────────────────────────


def frozen_file(path: str, suite: Suite, names: Sequence[str], *, base: Path) -> Frozen:
    """The rows of a CSV, TSV, JSON, JSONL or Parquet file: `sample_id`, `output`, and `value` or `label`.

    `task` and `figure` say what was judged where the suite judges several things. Rows of tasks that are not looked at
    (`names`, or none of them for all) are passed over.

    Raises:
        UsageError: there is no such file, or its ending stands for no format.
        DataError: rows that cannot be used, all of them, or none of what the suite judges.
    """
    from evalharness.data.source import find_file, format_of

    file = find_file(path, base=base)
    form = format_of(file)
    if form is None:
        raise UsageError(
            f"{file}: an anchor is read from CSV, TSV, JSON, JSONL and Parquet files; give it such an ending"
        )
    judgings = {
        (task.id, figure): metric
        for task in suite.tasks
        for figure, metric in (build_metric(task.metrics[place]) for place in judged_alone(task))
    }
    wanted = {task.id for task in _tasks(suite, names)}
    outputs: dict[str, dict[str, str]] = {}
    verdicts: dict[tuple[str, str], dict[str, Verdict]] = {}
    problems: list[Problem] = []
    for row in registry("datasets").load(form)(str(file)):
        try:
            task, figure, sample, output, verdict = _read(row, judgings)
            said = verdicts.setdefault((task, figure), {})
            if sample in said:
                raise _Wrong(f"the sample {sample!r} was judged in a row before; keep one verdict of each")
            if outputs.setdefault(task, {}).setdefault(sample, output) != output:
                raise _Wrong(f"the sample {sample!r} has another output in a row before")
            said[sample] = verdict
        except _Wrong as error:
            problems.append(Problem(row.place, "", str(error)))
    if len(problems) > _SHOWN:
        more = f"and {len(problems) - _SHOWN} more rows"
        problems = [*problems[:_SHOWN], Problem(problems[_SHOWN].place, "", more)]
    if not problems and not wanted & outputs.keys():
        problems = [Problem(Place(str(file)), "", f"no row is about {' or '.join(sorted(wanted)) or 'what is judged'}")]
    if problems:
        raise DataError(problems)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Frozen(
        f"sha256:{sha256}",
        str(path),
        {task: of for task, of in outputs.items() if task in wanted},
        {key: of for key, of in verdicts.items() if key[0] in wanted},
        None,
    )


class _Wrong(Exception):
    pass


def _read(row: Row, judgings: Mapping[tuple[str, str], Any]) -> tuple[str, str, str, str, Verdict]:
    fields = row.fields
    sample, output = _cell(fields.get("sample_id")), fields.get("output")
    if not sample:
        raise _Wrong("has no sample_id")
    if not isinstance(output, str) or not output:
        raise _Wrong("has no output, which was judged")
    task = _one_of("task", _cell(fields.get("task")), {task for task, _ in judgings})
    figure = _one_of("figure", _cell(fields.get("figure")), {name for its, name in judgings if its == task})
    return task, figure, sample, output, _verdict(fields, judgings[task, figure])


def _one_of(key: str, given: str, known: set[str]) -> str:
    if not given and len(known) == 1:
        return next(iter(known))
    if given in known:
        return given
    listed = ", ".join(sorted(known)) or "nothing"
    if not given:
        raise _Wrong(f"has no {key}, and the suite judges {listed}: name one")
    raise _Wrong(
        f"the {key} {given[:60]!r} is not judged by itself{suggestion(given, known) or f'; judged is {listed}'}"
    )


def _verdict(fields: Mapping[str, Any], metric: LlmJudge) -> Verdict:
    form, label, written = metric.form, _cell(fields.get("label")), _cell(fields.get("value"))
    if form.kind == "classes" and label:
        if label not in form.classes:
            near = suggestion(label, form.labels) or f"; there is: {', '.join(form.labels)}"
            raise _Wrong(f"the label {label[:60]!r} is none of the classes{near}")
        return Verdict(form.classes[label], label, None)
    try:
        value = float(written)
    except ValueError:
        missing = f"has no {'label' if form.kind == 'classes' else 'value'}"
        raise _Wrong(f"the value {written[:40]!r} is no number" if written else missing) from None
    if form.kind == "classes":
        named = [name for name, counts in form.classes.items() if counts == value]
        if len(named) != 1:
            raise _Wrong(
                f"the value {value:g} is that of {len(named) or 'no'} class{'es' if named else ''}; write label"
            )
        return Verdict(value, named[0], None)
    if not form.low <= value <= form.high:
        raise _Wrong(f"the value {value:g} is not on the scale from {form.low:g} to {form.high:g}")
    return Verdict(value, _point(value), None)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()
