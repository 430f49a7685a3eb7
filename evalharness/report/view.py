"""What a report says, as plain values: one view, from which console, Markdown and HTML are drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.types import FAILED_STATES, STATUSES, MetricResult
from .gateview import GateOutcomeLike, GateView, VerdictView
from .grid import Grid, grid_of
from .group_tables import GroupTable, group_tables, is_between_groups
from .probes import Question, questions_of
from .reliability import Reliability, reliability_of
from .ways import best_between, way_of

if TYPE_CHECKING:
    from ..record import Rating, Record, RunManifest, TaskSummary
    from .people import PeopleView

__all__ = [
    "Confusion",
    "ReportView",
    "TaskView",
    "asked_results",
    "build_view",
    "confusion_of",
    "operations_of",
]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of gold (rows) against answer (columns); `answers` may hold one more, for no readable answer."""

    task: str
    model: str
    golds: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task with all its models and matrix variants.

    `results` are the figures that the suite asks for, `operations` those that every task has besides (time, tokens).
    """

    id: str
    kind: str
    results: tuple[MetricResult, ...]
    operations: tuple[MetricResult, ...]
    runs: tuple[TaskSummary, ...]
    confusions: tuple[Confusion, ...]
    groups: tuple[GroupTable, ...]
    reliabilities: tuple[Reliability, ...] = ()
    grids: tuple[Grid, ...] = ()

    @property
    def figures(self) -> tuple[MetricResult, ...]:
        """The results but for confusion matrices, which are drawn as such."""
        return tuple(r for r in self.results if confusion_of(r) is None)

    @property
    def everything(self) -> tuple[MetricResult, ...]:
        """All its figures, those of groups too."""
        of_groups = (r for table in self.groups for _, r in (*table.rows, *table.between))
        return (*self.results, *self.operations, *of_groups)

    @property
    def several(self) -> bool:
        """Whether more than one model or variant stands in the table."""
        return len({(r.task, r.model) for r in self.results}) > 1


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything but the samples; `people` is what people's ratings of the run say, `probes` what probes found.

    `best` are the values that are best of figures that may lie on either side of them, by task and figure.
    """

    manifest: RunManifest
    gate: GateView | None
    tasks: tuple[TaskView, ...]
    states: tuple[tuple[str, str, Mapping[str, int]], ...]
    total_states: Mapping[str, int]
    people: tuple[PeopleView, ...] = ()
    probes: tuple[Question, ...] = ()
    best: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def way(self, result: MetricResult) -> str:
        """The sign of the way in which a figure is better: `↑`, `↓`, or `→ 0.5`."""
        return way_of(result, self.best.get((result.task, result.metric)))

    @property
    def has_two_sided(self) -> bool:
        """Whether a figure in a table of a task is best between its bounds."""
        return any(self.way(result).startswith("→") for task in self.tasks for result in task.figures)

    @property
    def verdicts(self) -> tuple[VerdictView, ...]:
        """What failed first, then what is undecided, then what holds."""
        order = {"fail": 0, "inconclusive": 1}
        return tuple(sorted(self.gate.verdicts, key=lambda v: order.get(v.state, 2))) if self.gate else ()

    @property
    def has_groups(self) -> bool:
        """Whether any figure is given for groups."""
        return any(task.groups for task in self.tasks)

    @property
    def n_failed(self) -> int:
        """Answers in a failed state."""
        return sum(self.total_states.get(state, 0) for state in FAILED_STATES)

    @property
    def n_answers(self) -> int:
        """Answers of all states."""
        return sum(self.total_states.values())


def _base(task: str) -> str:
    return task.partition("@")[0]


def _order(results: Iterable[MetricResult]) -> tuple[MetricResult, ...]:
    # By metric first, so that models and variants stand under one another to be compared.
    results = list(results)
    metrics = list(dict.fromkeys(r.metric for r in results))
    return tuple(sorted(results, key=lambda r: metrics.index(r.metric)))


def confusion_of(result: MetricResult) -> Confusion | None:
    """The matrix in a result whose columns are `n` and then every gold→answer pair, row by row; None for any other.

    Rows and columns of zeros at the end (`(other)`, which nobody gave) are left out.
    """
    pairs = result.columns[1:]
    side = math.isqrt(len(pairs))
    if side < 2 or side * side != len(pairs) or len(result.totals) != len(result.columns):
        return None
    # Labels may hold arrows themselves: a cell on the diagonal is its label twice, so its first half is the label.
    labels = [pairs[i * (side + 1)] for i in range(side)]
    labels = [text[: len(text) // 2] for text in labels]
    if any(pairs[i * side + j] != f"{g}→{a}" for i, g in enumerate(labels) for j, a in enumerate(labels)):
        return None
    counts = [list(result.totals[1 + i * side : 1 + (i + 1) * side]) for i in range(side)]
    golds = side - (not any(counts[-1]))
    answers = side - (not any(row[-1] for row in counts))
    return Confusion(
        result.task,
        result.model,
        tuple(labels[:golds]),
        tuple(labels[:answers]),
        tuple(tuple(row[:answers]) for row in counts[:golds]),
    )


def build_view(
    record: Record, gate: GateOutcomeLike | Mapping[str, Any] | None = None, ratings: Iterable[Rating] = ()
) -> ReportView:
    """The view of `record`, with the gate's outcome (the object, or the content of gate.json) where there is one.

    `ratings` are those that people gave to the run (`RunRegistry.ratings`).
    """
    manifest = record.manifest
    results = tuple(record.results)
    runs = manifest.tasks
    bases = list(dict.fromkeys([*(_base(t.id) for t in runs), *(_base(r.task) for r in results)]))
    tasks = []
    asked = _asked(manifest)
    best = best_between(manifest)
    for base in bases:
        own = [r for r in results if _base(r.task) == base]
        whole = [r for r in own if r.group is None]
        matrices = [c for c in map(confusion_of, whole) if c is not None]
        reliabilities = [table for table in map(reliability_of, whole) if table is not None]
        task_runs = tuple(t for t in runs if _base(t.id) == base)
        told = [r for r in own if (_is_asked(r, asked) or is_between_groups(r)) and confusion_of(r) is None]
        tables = group_tables(told, best)
        maps = {table: grid for table in tables if (grid := grid_of(table)) is not None}
        tasks.append(
            TaskView(
                id=base,
                kind=task_runs[0].kind if task_runs else "",
                results=_order(r for r in whole if _is_asked(r, asked)),
                operations=_order(r for r in whole if not _is_asked(r, asked) and not is_between_groups(r)),
                runs=task_runs,
                confusions=tuple(matrices),
                groups=tuple(table for table in tables if table not in maps),
                reliabilities=tuple(reliabilities),
                grids=tuple(maps.values()),
            )
        )
    states = tuple((t.id, t.model, _by_status(t.states)) for t in runs)
    total: Counter[str] = Counter()
    for _, _, counts in states:
        total.update(counts)
    body = None if gate is None else gate if isinstance(gate, Mapping) else gate.to_dict()
    return ReportView(
        manifest=manifest,
        gate=GateView.of(body) if body is not None else None,
        tasks=tuple(tasks),
        states=states,
        total_states=_by_status(total),
        people=_people(ratings, confidence=results[0].confidence if results else 0.95),
        probes=questions_of(manifest, results),
        best=best,
    )


def _people(ratings: Iterable[Rating], *, confidence: float) -> tuple[PeopleView, ...]:
    given = tuple(ratings)
    if not given:
        return ()
    # A run that has just ended has no ratings, and need not wait for what reckons them.
    from .people import people_view

    return people_view(given, confidence=confidence)


def _by_status(states: Mapping[str, int]) -> dict[str, int]:
    known: dict[str, int] = {status: int(states[status]) for status in STATUSES if states.get(status)}
    return {**known, **{status: int(n) for status, n in states.items() if status not in known and n}}


def _asked(manifest: RunManifest) -> dict[str, set[str]]:
    """The names of the figures that the suite asks for, by task; a task without a list of them is left out."""
    from ..suite.metric_specs import figure_names

    tasks: Any = manifest.suite.get("tasks") or ()
    return {
        str(t.get("id")): {name for spec in t["metrics"] for name in figure_names(spec)}
        for t in tasks
        if t.get("metrics")
    }


def asked_results(record: Record) -> list[MetricResult]:
    """The figures that the suite asks for, without those that every task has besides."""
    asked = _asked(record.manifest)
    return [r for r in record.results if _is_asked(r, asked)]


def _is_asked(result: MetricResult, asked: Mapping[str, set[str]]) -> bool:
    from ..suite.metric_specs import OPERATIONAL

    names = asked.get(result.task, asked.get(_base(result.task)))
    # A task of lm-eval brings its own figures: the suite names none.
    return (
        result.metric not in OPERATIONAL and not is_between_groups(result) if names is None else result.metric in names
    )


class Operations(NamedTuple):
    """A table: one row a task and model, one column a figure."""

    names: tuple[str, ...]
    rows: tuple[OperationsRow, ...]


class OperationsRow(NamedTuple):
    """The figures of one task on one model in the order of the names, None where it has none."""

    task: str
    model: str
    cells: tuple[MetricResult | None, ...]


def operations_of(view: ReportView) -> Operations | None:
    """The figures that every task has besides those asked for, as one table; None where there are none."""
    found = [r for task in view.tasks for r in task.operations]
    if not found:
        return None
    # A rate that is 0 everywhere is not worth a column: the states of the answers stand in a table of their own.
    names = tuple(dict.fromkeys(r.metric for r in found if r.value == r.value and r.value != 0))
    if not names:
        return None
    by_place = {(r.task, r.model, r.metric): r for r in found}
    places = dict.fromkeys((r.task, r.model) for r in found)
    return Operations(
        names, tuple(OperationsRow(t, m, tuple(by_place.get((t, m, name)) for name in names)) for t, m in places)
    )
