"""The judges of a suite: which of its models judge, what, and what is wrong with how they are asked to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion

from .judgings import JUDGE_METRIC, Judging, judges_of, judgings_of
from .kinds import capabilities_of
from .names import covers
from .plan import models_of
from .schema import DataTask, OpenAIModel, PromptFile, PromptTask, Suite, Task
from .sources import read_source, template_of
from .variables import Key

__all__ = [
    "RUBRIC_NAMES",
    "judge_notes",
    "judge_problems",
    "models_in_use",
    "rubric_problems",
    "rubric_source",
    "speaks_turns",
]

RUBRIC_NAMES = frozenset({"answer", "answers", "question", "prompt", "reference", "references", "row"})
"""What rubrics see beside the fields of the row, before which these names go."""

_LATEST = re.compile(r"(?:^|[-:@/])latest$")


def rubric_source(rubric: str | Mapping[str, str], path: str | None) -> str | PromptFile:
    """The rubric's template, where `path` is the file that it names."""
    return str(rubric) if path is None else PromptFile(file=path)


def judge_problems(suite: Suite, index: int, task: DataTask) -> Iterator[tuple[Key, str]]:
    """(path, message) of what is wrong with the models that the judgings of `task`, the one at `index`, name."""
    for judging in judgings_of(task):
        base: Key = ("tasks", index, "metrics", judging.position, JUDGE_METRIC)
        several = isinstance(judging.options.get("model"), list | tuple)
        for place, name in enumerate(judging.judges):
            path: Key = (*base, "model", place) if several else (*base, "model")
            spec = suite.models.get(name)
            if spec is None:
                yield path, f"there is no model {name!r}{_near(name, suite)}"
                continue
            can = capabilities_of(spec)
            if can is not None and "generate" not in can:
                yield (
                    path,
                    f"the model {name!r} (backend {spec.backend}) cannot judge: it writes no text; use a model that "
                    "generates",
                )
        if judging.against is not None:
            yield from _against(suite, (*base, "against"), task, judging.against)


def _against(suite: Suite, path: Key, task: DataTask, name: str) -> Iterator[tuple[Key, str]]:
    if name not in suite.models:
        yield path, f"there is no model {name!r}{_near(name, suite)}; `reference` stands for the sample's own"
        return
    runs = models_of(task, suite)
    if name not in runs:
        yield (
            path,
            f"the task does not run on the model {name!r}, so there are no answers to compare with; it runs on: "
            f"{', '.join(runs)}: name {name!r} under the task's `model`, too",
        )
    elif len(runs) == 1:
        yield path, f"the task runs on {name!r} alone: name another model under its `model`, or write `reference`"


def _near(name: str, suite: Suite) -> str:
    variants = [other for other in suite.models if covers(name, other)]
    if variants:
        return f"; `matrix` makes variants of it: {', '.join(variants[:5])}: name one or several of them"
    return suggestion(name, suite.models) or f"; there is: {', '.join(list(suite.models)[:10])}"


def rubric_problems(
    base: Any, task: DataTask, rubric: str | Mapping[str, str], path: str | None, columns: frozenset[str]
) -> Iterator[str]:
    """What is wrong with a rubric; `columns` are those of the dataset, none where they are not known."""
    source = rubric_source(rubric, path)
    try:
        text, _ = read_source(source, base)
        template = template_of(source, base)
    except UsageError as error:
        yield str(error)
        return
    if not text.strip():
        yield "the rubric is empty"
    has_reference = isinstance(task, PromptTask) and task.reference is not None
    if template.names & {"reference", "references"} and not has_reference:
        yield "the rubric speaks of the reference, and the task has none: give it a `reference`"
    for name in sorted(template.required - RUBRIC_NAMES - columns) if columns else ():
        known = {*RUBRIC_NAMES, *columns}
        near = suggestion(name, known) or f"; there is: {', '.join(sorted(known)[:20])}"
        yield f"the rubric uses {name!r}, which is neither a column of the dataset nor a name of ours{near}"


def judge_notes(suite: Suite) -> list[str]:
    """What a reader of the suite's judged figures should know: none of it is an error."""
    notes: dict[str, None] = {}
    for task in suite.tasks:
        for judging in judgings_of(task):
            for name in judging.judges:
                notes |= dict.fromkeys(_notes(suite, task, judging, name))
    return list(notes)


def _notes(suite: Suite, task: Task, judging: Judging, name: str) -> Iterator[str]:
    spec = suite.models.get(name)
    if spec is None:
        return
    if name in models_of(task, suite):
        yield (
            f"{task.id}: the model {name!r} judges its own answers, which models tend to prefer; its figures are not "
            "comparable with those of the others"
        )
    called = getattr(spec, "model", None)
    if isinstance(called, str) and _LATEST.search(called):
        yield (
            f"the judge {name!r} is not pinned: what {called!r} names changes without notice; name a dated version, so "
            "that figures stay comparable"
        )
    elif _is_hub_name(spec) and getattr(spec, "revision", None) is None:
        yield (
            f"the judge {name!r} is not pinned: {getattr(spec, 'path', '')!r} is whatever the hub has today; give its "
            "`revision`"
        )
    repeats = judging.options.get("repeats")
    settings = spec.generate
    drawn = spec.backend not in ("fake", "python", "replay")
    if drawn and isinstance(repeats, int) and repeats > 1 and not (settings is not None and settings.temperature):
        yield (
            f"{task.id}: the judge {name!r} is asked {repeats} times at temperature 0, where its verdicts hardly "
            f"vary; give it one: models.{name}.generate.temperature"
        )


def models_in_use(suite: Suite) -> frozenset[str]:
    """The models that a run of the suite asks: those that tasks run on, and the judges."""
    return frozenset(name for task in suite.tasks for name in models_of(task, suite)) | judges_of(suite)


def _is_hub_name(spec: object) -> bool:
    path = getattr(spec, "path", "")
    backend = str(getattr(spec, "backend", ""))
    return backend.startswith("hf-") and bool(re.fullmatch(r"[\w.-]+/[\w.-]+", path)) and not path.startswith(".")


def speaks_turns(spec: object) -> bool:
    """Whether the model can be sent chat turns."""
    return not (isinstance(spec, OpenAIModel) and spec.api == "completions")
