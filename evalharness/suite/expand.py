"""`expand_probes`: a suite in which each probe has become the ordinary tasks that it makes.

After `matrix` and before all checks. A task that is made stands where the probe's entry stood, and every problem with
it is one of that entry. Rows of probes that bring their own are read here; those of other tasks are rewritten when the
datasets are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from evalharness.core.errors import DataError, Problem, UsageError
from evalharness.core.types import Row

from .findings import findings_of, with_least_n
from .load import LoadedSuite
from .names import covers, member_id
from .node import Entry, Node
from .probe_rows import ORIGINAL, OwnRows, Rewriting
from .probe_specs import ProbeFault, build_probe, is_rewriting, scoring_options
from .schema import LmEvalTask, ProbeTask, StudyTask, Suite, Task
from .sources import sources_of, template_of
from .variables import Key, shown_path

if TYPE_CHECKING:
    from evalharness.probes.base import ItemsProbe, Part, RewritingProbe, Variant

    from .probed import ProbedTask
    from .schema import DataTask

__all__ = ["expand_probes"]

_PROMPTS = frozenset({"prompt", "messages", "classify", "perplexity"})
# Keys that are the suite's to say, whatever a probe makes.
_NOT_THEIRS = frozenset({"id", "model", "dataset", "limit", "origin"})
# What a variant may replace: all that turns a row into a sample.
_OVERRIDES = _PROMPTS | {"chat", "choices", "delimiter", "few_shot", "reference", "target"}
_LEAST_N = 30

_Made: TypeAlias = "tuple[ProbedTask, OwnRows | Rewriting]"


def expand_probes(loaded: LoadedSuite) -> tuple[LoadedSuite, list[Problem]]:
    """(`loaded` with the tasks that its probes make, problems); a probe with a problem stays as it is."""
    if not any(isinstance(task, ProbeTask) for task in loaded.suite.tasks):
        return loaded, []
    written = loaded.root.get("tasks")
    nodes = written.items if written is not None else []
    tasks: list[Task] = []
    expanded: list[Node] = []
    made: dict[str, OwnRows | Rewriting] = {}
    problems: list[Problem] = []
    for index, (task, node) in enumerate(zip(loaded.suite.tasks, nodes, strict=True)):
        if not isinstance(task, ProbeTask):
            tasks.append(task)
            expanded.append(node)
            continue
        found, faults = _expanded(loaded, index, task)
        problems += faults
        if not found:
            tasks.append(task)
            expanded.append(node)
        for one, rows in found:
            tasks.append(one)
            expanded.append(_renamed(node, one.id))
            made[one.dataset] = rows
    # Made anew: what a suite works out about itself is kept with it.
    suite = Suite.model_construct(loaded.suite.model_fields_set, **{**dict(loaded.suite), "tasks": tuple(tasks)})
    entries = dict(loaded.root.mapping)
    if written is not None:
        entries["tasks"] = Entry(entries["tasks"].key, Node(expanded, written.place))
    return replace(loaded, suite=suite, root=Node(entries, loaded.root.place), made=made), problems


def _renamed(node: Node, name: str) -> Node:
    entry = node.mapping["id"]
    return Node({**node.mapping, "id": Entry(entry.key, Node(name, entry.node.place, name))}, node.place)


def _expanded(loaded: LoadedSuite, index: int, task: ProbeTask) -> tuple[list[_Made], list[Problem]]:
    path: Key = ("tasks", index)
    try:
        probe = build_probe(task)
        found = list(
            _rewritten(loaded, task, probe)  # type: ignore[arg-type]
            if is_rewriting(probe, task.of)
            else _of_items(loaded.base, task, probe)  # type: ignore[arg-type]
        )
    except DataError as error:
        return [], list(error.problems)
    except ProbeFault as error:
        path = (*path, error.option) if error.option else path
        return [], [Problem(loaded.place_of(path, key=error.option in task.options), shown_path(path), str(error))]
    except UsageError as error:
        path = (*path, "probe")
        return [], [Problem(loaded.place_of(path), shown_path(path), str(error))]
    return found, []


# ── items of their own ────────────────────────────────────────────────────────────────────────────────────────────


def _of_items(base: Path, task: ProbeTask, probe: ItemsProbe) -> Iterator[_Made]:
    rows = probe.rows(base)
    if not len(rows):
        raise UsageError(f"the probe {task.probe!r} has no rows")
    _distinct(task, rows)
    seen: set[str] = set()
    for part in probe.parts(rows):
        if part.suffix in seen:
            raise UsageError(f"the probe {task.probe!r} has two parts called {part.suffix!r}")
        seen.add(part.suffix)
        yield _part(task, probe, part, rows)


def _distinct(task: ProbeTask, rows: Iterable[Row]) -> None:
    places: dict[str, Any] = {}
    for row in rows:
        if row.id in places:
            message = f"the id {row.id!r} is taken by the row at {places[row.id]}; ids must be unique"
            raise DataError([Problem(row.place, f"tasks.{task.id}", message)])
        places[row.id] = row.place


def _part(task: ProbeTask, probe: ItemsProbe, part: Part, rows: Sequence[Row]) -> _Made:
    name = member_id(task.id, part.suffix) if part.suffix else task.id
    own = [row for row in rows if part.keep(row)] if part.keep is not None else rows
    if not own:
        raise UsageError(f"the probe {task.probe!r} has no rows for its part {part.suffix!r}")
    keys = dict(part.task)
    if "groups" not in keys:
        # Whichever columns the rows have: a row without one of them is refused with its place.
        keys["groups"] = list(dict.fromkeys(column for row in own for column in row.groups))
    origin = _origin(task, probe, part=part.suffix)
    made = _task(task, probe, name, keys, model=task.model, limit=task.limit, origin=origin)
    return made, OwnRows.of(own, getattr(probe, "unit", None))


# ── rows of other tasks ───────────────────────────────────────────────────────────────────────────────────────────


def _rewritten(loaded: LoadedSuite, task: ProbeTask, probe: RewritingProbe) -> Iterator[_Made]:
    assert task.of is not None
    bases = [other for other in loaded.suite.tasks if other is not task and covers(task.of, other.id)]
    if not bases and len(loaded.suite.tasks) == 1:  # else it is said where names are checked, with the nearest one
        raise ProbeFault(f"there is no task {task.of!r}: the suite has no other one", "of")
    for of in bases:
        if isinstance(of, LmEvalTask | ProbeTask | StudyTask):
            names = {
                "LmEvalTask": "an lm-eval task",
                "ProbeTask": "a probe",
                "ExplainTask": "one that explains another",
                "AttackTask": "one that attacks another",
            }
            what = names[type(of).__name__]
            remedy = (
                "lm-eval writes its prompts itself, so put its documents into a dataset and its prompt into a task of "
                "your own, and name that"
                if isinstance(of, LmEvalTask)
                else "name such a task"
            )
            raise ProbeFault(
                f"the task {of.id!r} is {what}; a probe rewrites the rows of a task with prompt, messages, classify or "
                f"perplexity: {remedy}",
                "of",
            )
        entry: dict[str, Any] = of.model_dump(mode="json", exclude_unset=True)
        settings: Mapping[str, Mapping[str, Any]] = {"": {}}
        if hasattr(probe, "settings"):
            settings = probe.settings(entry)
        for suffix, keys in settings.items():
            yield _of_task(loaded, task, probe, of, suffix, {**entry, **keys})


def _of_task(
    loaded: LoadedSuite, task: ProbeTask, probe: RewritingProbe, of: DataTask, suffix: str, entry: Mapping[str, Any]
) -> _Made:
    variants = tuple(probe.variants(entry, loaded.base))
    reference = bool(getattr(probe, "reference", True))
    if not variants and hasattr(probe, "settings"):
        return _as_they_are(loaded, task, probe, of, suffix, entry)
    _check_variants(task, variants, reference=reference)
    levels = ([ORIGINAL] if reference else []) + [variant.name for variant in variants]
    groups = list(_groups_of(loaded.suite, of))
    if probe.column in groups:
        raise UsageError(
            f"the probe {task.probe!r} makes a group column {probe.column!r}, which the task {of.id!r} has already; "
            "give that one another name"
        )
    asked, answers = _fields_of(loaded.base, of)
    fields = task.fields or asked
    if not fields:
        raise ProbeFault(
            f"there is nothing to rewrite in {of.id!r}: its prompt reads no field that its answer does not; name the "
            "fields to rewrite under `fields`",
            "of",
        )
    metrics = [*probe.metrics(entry.get("metrics", []), levels)]
    keys = {**entry, "metrics": metrics, "groups": [*groups, probe.column]}
    keys = {key: value for key, value in keys.items() if key not in _NOT_THEIRS}
    limits = [n for n in (of.limit, task.limit) if n is not None]
    origin = _origin(
        task,
        probe,
        of=of.id,
        source=of.dataset,
        fields=fields,
        column=probe.column,
        levels=tuple(levels),
        overrides={variant.name: dict(variant.task) for variant in variants if variant.task},
    )
    limit, model = min(limits, default=None), task.model or of.model
    made = _task(task, probe, _of_variant(task.id, of.id), keys, model=model, limit=limit, origin=origin)
    # Typing errors in a gold answer would be no better; a person that the prompt calls by another name is.
    held = tuple(name for name in answers if name not in fields) if getattr(probe, "of_answers", False) else ()
    return made, Rewriting(made.id, of.dataset, variants, fields, probe.column, reference, held)


def _as_they_are(
    loaded: LoadedSuite, task: ProbeTask, probe: RewritingProbe, of: DataTask, suffix: str, entry: Mapping[str, Any]
) -> _Made:
    """The rows of the other task as they are, asked with other settings."""
    keys = {
        **entry,
        "metrics": [*probe.metrics(entry.get("metrics", []), ())],
        "groups": [*_groups_of(loaded.suite, of)],
    }
    keys = {key: value for key, value in keys.items() if key not in _NOT_THEIRS}
    limits = [n for n in (of.limit, task.limit) if n is not None]
    origin = _origin(task, probe, part=suffix, of=of.id, source=of.dataset, fields=())
    name = _of_variant(member_id(task.id, suffix) if suffix else task.id, of.id)
    limit, model = min(limits, default=None), task.model or of.model
    made = _task(task, probe, name, keys, model=model, limit=limit, origin=origin)
    return made, Rewriting(made.id, of.dataset, (), (), probe.column, True)


def _of_variant(name: str, of: str) -> str:
    """The id of a probe of `of`, which may be a variant that `matrix` made: then this is one, too."""
    variant = of.partition("@")[2]
    if not variant:
        return name
    return f"{name},{variant}" if "@" in name else f"{name}@{variant}"


def _check_variants(task: ProbeTask, variants: Sequence[Variant], *, reference: bool) -> None:
    names = [*([ORIGINAL] if reference else []), *(variant.name for variant in variants)]
    if not variants:
        raise UsageError(f"the probe {task.probe!r} has no variants")
    again = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if again is not None:
        raise UsageError(f"the probe {task.probe!r} has two variants called {again!r}")
    for variant in variants:
        wrong = sorted(set(variant.task) - _OVERRIDES)
        if wrong:
            raise UsageError(
                f"the variant {variant.name!r} of the probe {task.probe!r} replaces {', '.join(wrong)}; a variant may "
                f"replace {', '.join(sorted(_OVERRIDES))}"
            )


def _groups_of(suite: Suite, of: DataTask) -> tuple[str, ...]:
    if of.groups is not None:
        return of.groups
    dataset = suite.datasets.get(of.dataset)
    return dataset.groups if dataset is not None else ()


def _fields_of(base: Path, of: DataTask) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the fields that the prompt reads and neither the gold answer nor the choices do, those that these read)."""
    asked: set[str] = set()
    answers: set[str] = set()
    for key, source in sources_of(of):
        (asked if key[0] in _PROMPTS else answers).update(template_of(source, base).names)
    return tuple(sorted(asked - answers)), tuple(sorted(answers))


# ── the task that is made ─────────────────────────────────────────────────────────────────────────────────────────


def _origin(task: ProbeTask, probe: Any, **more: Any) -> dict[str, Any]:
    scoring = scoring_options(probe)
    return {
        "probe": task.probe,
        "options": {key: value for key, value in task.options.items() if key not in scoring},
        "scoring": {key: value for key, value in task.options.items() if key in scoring},
        "question": task.question or probe.question,
        "flagged": getattr(probe, "flagged", "biased"),
        "least_n": task.least_n or getattr(probe, "least_n", None) or _LEAST_N,
        **more,
    }


def _task(
    task: ProbeTask,
    probe: object,
    name: str,
    keys: Mapping[str, Any],
    *,
    model: str | tuple[str, ...] | None,
    limit: int | None,
    origin: Mapping[str, Any],
) -> ProbedTask:
    """The task with `keys`.

    Raises:
        UsageError: they are those of no task, which is the probe's fault and no user's.
    """
    from .probed import probed_class  # most suites have no probe: spare them what it takes

    theirs = sorted(_NOT_THEIRS & set(keys))
    schema = probed_class(keys)
    if theirs or schema is None:
        raise UsageError(
            f"the probe {task.probe!r} makes a task with {', '.join(theirs) or 'no prompt'}; it must be one over its "
            "own rows"
        )
    metrics = with_least_n(keys.get("metrics", ()), task.least_n)
    whole: dict[str, Any] = {**keys, "metrics": metrics, "id": name, "dataset": f"probe {name}", "origin": dict(origin)}
    speaks = getattr(probe, "speaks", lambda figure: True)
    whole["origin"]["findings"] = {name: held for name, held in findings_of(metrics).items() if speaks(name)}
    whole |= {key: value for key, value in (("model", model), ("limit", limit)) if value is not None}
    try:
        return schema.model_validate_json(json.dumps(whole), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"the probe {task.probe!r} makes a task that cannot be asked: {where}: {first['msg']}"
        ) from error
