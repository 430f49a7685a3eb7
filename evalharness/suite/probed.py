"""The ordinary tasks that probes become, each with where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from pydantic import Field, JsonValue

from .fields import Strict, Text
from .task_entries import ClassifyTask, PerplexityTask, PromptTask, class_of_task

__all__ = [
    "Finding",
    "Origin",
    "ProbedClassify",
    "ProbedPerplexity",
    "ProbedPrompt",
    "ProbedTask",
    "probed_class",
]


class Finding(Strict):
    """What a figure of a probe is held against: `null` is its value where there is nothing to find."""

    null: float
    margin: float = 0.0
    one_sided: bool = Field(False, description="Only values above null speak for anything.")


class Origin(Strict):
    """Where a task comes from: the probe with what it was given, and what a report needs to tell of it.

    `options` are part of what is asked; `scoring`, `question`, `least_n` and `findings` only of how it is read.
    """

    probe: Text
    part: str = ""
    of: str | None = None
    source: str | None = Field(None, description="The dataset whose rows are rewritten.")
    options: dict[str, JsonValue] = Field(default_factory=dict)
    scoring: dict[str, JsonValue] = Field(default_factory=dict)
    fields: tuple[str, ...] | None = None
    column: str | None = None
    levels: tuple[str, ...] | None = None
    overrides: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="By variant, the keys of the other task that it replaces."
    )
    question: Text
    flagged: Text = "biased"
    least_n: int = Field(30, ge=1)
    findings: dict[str, Finding] = Field(default_factory=dict)


# A part has the id `id/part`, and its rows are those that the probe made: neither name can be written in a suite.
class ProbedPrompt(PromptTask):
    """A `PromptTask` that a probe made."""

    id: str
    dataset: str
    origin: Origin


class ProbedClassify(ClassifyTask):
    """A `ClassifyTask` that a probe made."""

    id: str
    dataset: str
    origin: Origin


class ProbedPerplexity(PerplexityTask):
    """A `PerplexityTask` that a probe made."""

    id: str
    dataset: str
    origin: Origin


ProbedTask: TypeAlias = ProbedPrompt | ProbedClassify | ProbedPerplexity

_CLASSES: Mapping[type[Any], type[ProbedTask]] = {
    PromptTask: ProbedPrompt,
    ClassifyTask: ProbedClassify,
    PerplexityTask: ProbedPerplexity,
}


def probed_class(keys: Collection[str]) -> type[ProbedTask] | None:
    """The schema of a task that a probe made with these keys; None where they are those of no task over rows."""
    return _CLASSES.get(class_of_task(keys))
