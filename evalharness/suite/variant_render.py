"""Renders the tasks that rewrite rows: a variant may have templates of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from evalharness.core.errors import UsageError
from evalharness.core.types import Row, Sample

from .origins import origin_of
from .render import TaskRenderer
from .schema import DataTask, FewShot

if TYPE_CHECKING:
    from .probed import ProbedTask

__all__ = ["Renderer", "few_shots_of", "renderer_of", "variant_tasks"]

Rows = Mapping[str, Sequence[Row]]


class Renderer(Protocol):
    """What makes the samples of a task."""

    task: DataTask

    @property
    def names(self) -> frozenset[str]:
        """The fields that its templates read."""
        ...

    def sample(self, row: Row, groups: Sequence[str] | None = None) -> Sample:
        """The sample of `row`."""
        ...


def variant_tasks(task: DataTask) -> Iterator[tuple[str, DataTask]]:
    """(variant, the task as it is for this variant) of each variant that replaces some of the task's keys.

    Raises:
        UsageError: the task cannot be asked so.
    """
    origin = origin_of(task)
    for name, replaced in (origin.overrides if origin is not None else {}).items():
        entry: dict[str, Any] = task.model_dump(mode="json", exclude_unset=True) | replaced
        entry = {key: value for key, value in entry.items() if value is not None}
        schema: type[ProbedTask] = type(task)  # type: ignore[assignment]
        try:
            yield name, schema.model_validate_json(json.dumps(entry), strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(
                f"the variant {name!r} cannot be asked: {f'{where}: ' if where else ''}{first['msg']}"
            ) from error


def few_shots_of(task: DataTask) -> list[FewShot]:
    """Where the examples of the task come from, those of its variants included; each dataset once."""
    found: dict[str, FewShot] = {}
    for one in (task, *(other for _, other in variant_tasks(task))):
        few_shot: FewShot | None = getattr(one, "few_shot", None)
        if few_shot is not None:
            found.setdefault(few_shot.dataset, few_shot)
    return list(found.values())


def renderer_of(task: DataTask, *, base: Path, rows: Rows) -> Renderer:
    """What renders `task`; `rows` are those of the datasets, for examples.

    Raises:
        UsageError: a template cannot be read or compiled, or there are too few examples.
    """

    def one(task: DataTask) -> TaskRenderer:
        few_shot: FewShot | None = getattr(task, "few_shot", None)
        return TaskRenderer(task, base=base, pool=rows[few_shot.dataset] if few_shot is not None else ())

    others = {name: one(other) for name, other in variant_tasks(task)}
    return _VariantRenderer(one(task), others) if others else one(task)


class _VariantRenderer:
    def __init__(self, renderer: TaskRenderer, others: Mapping[str, TaskRenderer]) -> None:
        origin = origin_of(renderer.task)
        assert origin is not None
        assert origin.column is not None
        self.task = renderer.task
        self._column = origin.column
        self._renderer = renderer
        self._others = others

    @property
    def names(self) -> frozenset[str]:
        return self._renderer.names.union(*(other.names for other in self._others.values()))

    def sample(self, row: Row, groups: Sequence[str] | None = None) -> Sample:
        return self._others.get(row.groups[self._column], self._renderer).sample(row, groups)
