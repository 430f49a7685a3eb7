"""What a run will measure, before and while it measures: the figures that rules speak of, and their rows so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..core.types import Json
from ..suite.names import covers

if TYPE_CHECKING:
    from ..core.protocols import Array, Metric
    from ..suite.schema import Rule, Suite

__all__ = ["Figures", "LookDecider", "MakeDecider", "PlannedFigure", "RowsSoFar", "figures_planned"]


@dataclass(frozen=True, slots=True)
class PlannedFigure:
    """A figure that a run will have: `n` samples, each asked `repeats` times.

    `groups` counts the samples of each group, by "column=value"; `identity` is that of its task.
    """

    task: str
    model: str
    name: str
    metric: Metric
    n: int
    repeats: int = 1
    groups: Mapping[str, int] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    fractions: Mapping[str | None, tuple[float, ...]] = field(default_factory=dict)
    """Of a run in parts: the share of the samples that is answered at each look, by group and, under None, of all."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Task, model and name, which tell it from all others."""
        return self.task, self.model, self.name


class RowsSoFar(NamedTuple):
    """The (n, k) statistics of the samples that were scored so far, in order, with what pairs and groups them."""

    values: Array
    digests: Sequence[str]
    clusters: Sequence[str | None]
    members: Mapping[str, Array]
    """(n,) true where the sample is of a group, by "column=value"."""
    n_failed: int = 0
    """Samples asked so far that have no usable answer."""
    metric: Metric | None = None
    """What makes a figure of them, where that is known of the answers only; else it is the planned figure's."""


Figures = Mapping[tuple[str, str, str], RowsSoFar]


class LookDecider(Protocol):
    """Decides, look by look, on the rows that there are."""

    @property
    def needed(self) -> frozenset[tuple[str, str, str]]:
        """The figures that it looks at."""
        ...

    def look(self, number: int, figures: Figures) -> bool:
        """Whether all is decided at look `number`, counted from 0."""
        ...

    @property
    def n_given_up(self) -> int:
        """How many rules were given up, and are not decided."""
        ...

    def body(self) -> dict[str, Json]:
        """What the record keeps of the looks."""
        ...


class MakeDecider(Protocol):
    """Makes the decider of a run; a room on the same floor as the runner has it, so that it is handed in."""

    def __call__(self, suite: Suite, figures: Sequence[PlannedFigure]) -> LookDecider:
        """The decider of the suite's gates, once the figures of its run are known.

        Raises:
            UsageError: a rule cannot be decided: it has no figure, no baseline, or none that it can be compared with.
        """
        ...


def figures_planned(rule: Rule, figures: Sequence[PlannedFigure]) -> list[PlannedFigure]:
    """The figures that `rule` will be decided on: one for each model and variant of its task."""
    task, _, name = rule.metric.rpartition(".")
    return [
        figure
        for figure in figures
        if figure.name == name
        and covers(task, figure.task)
        and (rule.model is None or covers(rule.model, figure.model))
        and (rule.group is None or rule.group in figure.groups)
    ]
