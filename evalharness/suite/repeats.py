"""Whether a task asks often enough for metrics that compare the answers to one sample."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.core.protocols import Metric

from .plan import models_of
from .schema import DataTask, StudyTask, Suite

__all__ = ["few_repeats"]


def few_repeats(suite: Suite, task: DataTask | StudyTask, name: str, metric: Metric) -> Iterator[str]:
    """A message for each model of the task that is asked less often than the metric needs."""
    least: int = getattr(metric, "least_repeats", 1)
    for model in models_of(task, suite):
        settings = {
            "model": getattr(suite.models.get(model), "generate", None),
            "task": getattr(task, "generate", None),
        }
        # The model's own wins, as when it is asked.
        given = {who: found.repeats for who, found in settings.items() if found is not None and found.repeats}
        who, repeats = next(iter(given.items()), ("task", 1))
        if repeats < least:
            asked = "once" if repeats == 1 else f"{repeats} times"
            yield (
                f"the metric {name!r} compares {least} or more answers to each sample, and {model} is asked {asked}; "
                f"set the {who}'s generate: {{repeats: {least}, temperature: …}}"
            )
