"""Which models of a suite judge: read from the entries `llm_judge` of its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .schema import Suite, Task

__all__ = ["JUDGE_METRIC", "Judging", "judges_of", "judgings_of"]

JUDGE_METRIC = "llm_judge"
_REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Judging:
    """An entry `llm_judge` of a task: its place among the metrics, and the models that it names, as they are written.

    Names only: what else it says is checked with the metric.
    """

    position: int
    options: Mapping[str, Any]

    @property
    def judges(self) -> tuple[str, ...]:
        """The models that are asked for a verdict."""
        named = self.options.get("model")
        return tuple(name for name in (named if isinstance(named, list | tuple) else [named]) if isinstance(name, str))

    @property
    def against(self) -> str | None:
        """The model whose answers these are compared with; None also for the reference."""
        found = self.options.get("against")
        return found if isinstance(found, str) and found != _REFERENCE else None


def judgings_of(task: Task) -> Iterator[Judging]:
    """The entries `llm_judge` of `task`."""
    for position, spec in enumerate(task.metrics):
        options = None if isinstance(spec, str) else spec.get(JUDGE_METRIC)
        if isinstance(options, Mapping):
            yield Judging(position, options)


def judges_of(suite: Suite) -> frozenset[str]:
    """The names of all models of `suite` that judge; with those that are not there."""
    return frozenset(name for task in suite.tasks for judging in judgings_of(task) for name in judging.judges)
