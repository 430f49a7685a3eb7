"""The summary of a record on a terminal: figures with intervals, states, verdicts. No markup in data is obeyed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.types import MetricResult
from .costs import cost_rows, usage_line
from .gateview import GateOutcomeLike, GateView
from .probes import question_lines
from .terminal import Printer as _Printer
from .terminal import make_console
from .terminal import table as _table
from .terminal import text as _text
from .text import amount, duration, figure, interval, joined, plural
from .view import ReportView, build_view, operations_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..record import Rating, Record

__all__ = ["make_console", "print_summary", "print_verdicts"]

_WITH_INTERVAL, _NARROW, _MEDIUM = 56, 76, 96
_MOST_LINES = 8
_STATE = {"pass": ("✓ pass", "green"), "fail": ("✗ fail", "bold red"), "inconclusive": ("? inconclusive", "yellow")}
_HEADLINE = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE"}


def print_summary(
    record: Record,
    gate: GateOutcomeLike | Mapping[str, Any] | None = None,
    *,
    console: Console | None = None,
    report: Path | None = None,
    ratings: Iterable[Rating] = (),
) -> None:
    """Print what the record says: the figures, the states, the verdicts, the notes and where the report lies.

    What people's `ratings` say stands in a line a question.
    """
    view = build_view(record, gate, ratings)
    out = _Printer(console or make_console())
    manifest = view.manifest
    out(_text(f"{manifest.suite_name} · run {manifest.id}", "bold"))
    if any(task.results for task in view.tasks):
        _figures(view, out)
    for line in question_lines(view.probes):
        out(_text(line))
    for lines, what in (
        (_group_lines(view), "tables of groups"),
        (_operation_lines(view), "lines of times and tokens"),
    ):
        for line in lines[:_MOST_LINES]:
            out(_text(line, "dim"))
        if len(lines) > _MOST_LINES:
            out(_text(f"… {len(lines) - _MOST_LINES} more {what} in the report", "dim"))
    if view.people:
        from .peopletext import people_line

        for people in view.people:
            out(_text(people_line(people)))
    for row in cost_rows(manifest):
        if row.cost != "none":
            out(_text(usage_line(row), "dim"))
    out(_text(_states_line(view), "red" if view.n_failed else "dim"))
    if not manifest.complete:
        out(_text("The run is not complete: its figures are those of a part.", "bold red"))
    for note in manifest.notes:
        out(_text(f"note: {note}", "yellow"))
    if view.gate is not None:
        _verdicts(view.gate, out)
    if report is not None:
        # Not folded, so that a terminal can open it and a script can read it.
        out.console.print(_text(f"report: {report}"), soft_wrap=True)


def print_verdicts(gate: GateOutcomeLike | Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print each verdict with its reason, and the state of the whole last."""
    body = gate if isinstance(gate, Mapping) else gate.to_dict()
    _verdicts(GateView.of(body), _Printer(console or make_console()))


def _figures(view: ReportView, out: _Printer) -> None:
    """One table of all figures; on a narrow terminal one a task and model, under its name."""
    results = [r for task in view.tasks for r in task.results]
    shape = _Shape.of(results, out.console.width, view.way)
    if out.console.width >= _NARROW:
        table = shape.table("task", "metric", "model")
        task = metric = ""
        for result in results:
            new_task = result.task != task
            new_metric = new_task or result.metric != metric
            task, metric = result.task, result.metric
            names = (task if new_task else "", metric if new_metric else "", result.model)
            table.add_row(*map(_text, names), *shape.cells(result))
        out(table)
        return
    for task, model in dict.fromkeys((r.task, r.model) for r in results):
        out(_text(f"{task} · {model}", "underline"))
        table = shape.table("metric")
        for result in results:
            if (result.task, result.model) == (task, model):
                table.add_row(_text(result.metric), *shape.cells(result))
        out(table)


class _Shape:
    """Which columns a table of figures has."""

    def __init__(self, interval: str | None, way: Callable[[MetricResult], str], *, failed: bool) -> None:
        self.interval, self.way, self.failed = interval, way, failed

    @classmethod
    def of(cls, results: Sequence[MetricResult], width: int, way: Callable[[MetricResult], str]) -> _Shape:
        levels = {r.confidence for r in results}
        name = f"{100 * levels.pop():g} % interval" if len(levels) == 1 else "interval"
        failed = width >= _MEDIUM or (width >= _WITH_INTERVAL and any(r.n_failed for r in results))
        return cls(name if width >= _WITH_INTERVAL else None, way, failed=failed)

    def table(self, *names: str) -> Table:
        columns = [*((name, "left") for name in names), ("", "center"), ("value", "right")]
        columns += [(self.interval, "right")] if self.interval else []
        columns += [("n", "right"), *([("failed", "right")] if self.failed else [])]
        return _table(*columns)

    def cells(self, result: MetricResult) -> list[Text]:
        cells = [
            _text(self.way(result), "dim"),
            _text(figure(result.value), "bold"),
        ]
        if self.interval:
            cells.append(_text(interval(result.ci_low, result.ci_high, like=result.value)))
        cells.append(_text(amount(result.n)))
        if self.failed:
            cells.append(_text(amount(result.n_failed), "red" if result.n_failed else "dim"))
        return cells


def _group_lines(view: ReportView) -> list[str]:
    lines = []
    for task in view.tasks:
        for table in task.groups:
            if not table.gap > 0:  # one group only, or all alike
                continue
            worst, result = table.rows[0]
            gap = figure(table.gap, like=result.value)
            said = f"worst {worst}" if table.best is None else f"farthest from {table.best:g} is {worst},"
            apart = f"{gap} from the best" if table.best is None else f"the groups lie up to {gap} apart"
            lines.append(
                f"{table.task}.{table.metric} of {table.model} by {table.column}: {said} "
                f"{figure(result.value)} (n = {result.n:,}), {apart}"
            )
    return lines


def _operation_lines(view: ReportView) -> list[str]:
    """What every task is measured by besides, a line a task and model; rates that are 0 are not worth a place."""
    table = operations_of(view)
    lines = []
    for row in table.rows if table is not None else ():
        worth = [r for r in row.cells if r is not None and not math.isnan(r.value) and r.value != 0]
        if worth:
            lines.append(f"{row.task} · {row.model}: " + " · ".join(f"{r.metric} {figure(r.value)}" for r in worth))
    return lines


def _states_line(view: ReportView) -> str:
    execution = view.manifest.execution
    parts = [plural(view.n_answers, "answer")]
    if view.total_states:
        parts.append(joined(view.total_states))
    stored = execution.get("n_from_store")
    if isinstance(stored, int) and stored:
        parts.append(f"{stored:,} from the response store")
    seconds = execution.get("seconds")
    if isinstance(seconds, int | float):
        parts.append(duration(float(seconds)))
    return " · ".join(parts)


def _verdicts(gate: GateView, out: _Printer) -> None:
    if gate.verdicts:
        narrow = out.console.width < _NARROW
        columns = [("gate", "left"), ("rule", "left")]
        if not narrow:
            columns += [("value", "right"), ("tier", "left")]
        table = _table(*columns)
        for verdict in gate.verdicts:
            label, style = _STATE.get(verdict.state, (verdict.state, ""))
            cells = [_text(label, style), _text(verdict.rule)]
            if not narrow:
                cells += [_text(figure(verdict.value)), _text(verdict.tier, "" if verdict.tier == "block" else "dim")]
            table.add_row(*cells)
        out(table)
        for verdict in gate.verdicts:
            if verdict.state != "pass":
                label, style = _STATE.get(verdict.state, (verdict.state, ""))
                out(_text(f"{label} ({verdict.tier}): {verdict.reason}", style))
    _, style = _STATE.get(gate.state, ("", ""))
    against = f" against {gate.baseline_id}" if gate.baseline_id else ""
    # A failed rule's reason stands above already.
    tail = f": {gate.reason}" if gate.state == "pass" or not gate.verdicts else ""
    out(_text(f"gate {_HEADLINE.get(gate.state, gate.state.upper())}{against}{tail}", style or "bold"))
