"""What a task's group columns are, and which figures over groups it has besides those that it names."""

from __future__ import annotations

from .explained import base_of
from .schema import ClassifyTask, LmEvalTask, ProbeTask, PromptTask, StudyTask, Suite, Task

__all__ = ["asks_for_labels", "group_columns"]


def group_columns(suite: Suite, task: Task) -> tuple[str, ...]:
    """The task's group columns: its own, else its dataset's; of one that explains another those of that one."""
    if isinstance(task, StudyTask):
        of = base_of(task, suite)
        return () if of is None else group_columns(suite, of)
    if task.groups is not None or isinstance(task, LmEvalTask | ProbeTask):
        return task.groups or ()
    dataset = suite.datasets.get(task.dataset)
    return () if dataset is None else dataset.groups


def asks_for_labels(task: Task) -> bool:
    """Whether the answers are labels that a gold label is known for: a classifier's, or one of some choices."""
    if isinstance(task, ClassifyTask):
        return task.target is not None
    return isinstance(task, PromptTask) and task.target is not None and bool(task.choices or task.labels)
