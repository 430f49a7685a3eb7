"""report.md: the summary of a record for pull requests and archives. Nothing in the data is read as markup."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.visible import parted
from .costs import cost_table
from .gateview import GateOutcomeLike, GateView
from .grid import Grid
from .group_tables import GroupTable
from .pictures import latency_charts, task_charts
from .reliability import Reliability
from .text import MISSING, amount, clip, duration, figure, interval, joined, single_line
from .view import Confusion, ReportView, TaskView, build_view

if TYPE_CHECKING:
    from ..record import Rating, Record
    from .charts import Chart
    from .people import PeopleView
    from .probes import Question

__all__ = ["code_text", "escape_markdown", "markdown_table", "render_markdown"]

# All of ASCII punctuation that CommonMark or GitHub gives a meaning, inside a line or at its start.
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$^=:-])")
_ORDERED = re.compile(r"^(\s*\d+)([.)])")
_SIGN = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}
_CELL = 300
Pictures = Callable[["Chart"], str]
_ATTACKED = 12


def escape_markdown(text: str, *, limit: int = _CELL) -> str:
    """`text` on one line, at most `limit` characters of it: no markup, no HTML, no mention, reference or link."""
    flat = parted(clip(single_line(text), limit))
    return _ORDERED.sub(r"\1\\\2", _ACTIVE.sub(_escaped, flat))


def _escaped(match: re.Match[str]) -> str:
    sign = match[1]
    # Entities for what renderers have been known to act on even behind a backslash.
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "\\|"}.get(sign, f"\\{sign}")


def render_markdown(
    record: Record,
    gate: GateOutcomeLike | Mapping[str, Any] | None = None,
    *,
    ratings: Iterable[Rating] = (),
    baseline: Record | None = None,
    pictures: Pictures | None = None,
) -> str:
    """The report as GitHub-flavoured Markdown, with what people's `ratings` say and what changed against `baseline`.

    `pictures` takes each chart and says under which path the text may show it; without it the text shows none.
    """
    view = build_view(record, gate, ratings)
    manifest = view.manifest
    lines = [f"# {_e(manifest.suite_name)}", "", f"Run `{code_text(manifest.id)}`, {_e(manifest.created_utc)}", ""]
    description = manifest.suite.get("description")
    if description:
        lines += [_e(str(description), limit=2000), ""]
    if not manifest.complete:
        lines += ["**The run is not complete: its figures are those of a part.**", ""]
    if view.gate is not None:
        lines += _gate(view.gate)
    if baseline is not None:
        lines += _changes(record, baseline)
    lines += _probes(view.probes)
    lines += ["## Results", ""]
    charts = {} if pictures is None else task_charts(record, view)
    for task in view.tasks:
        lines += _task(task, view)
        lines += _pictures(charts.get(task.id, ()), pictures)
    lines += _explanations(record)
    lines += _attacks(record)
    if view.people:
        from .peopletext import ALL_HINT

        lines += ["## Ratings by people", "", ALL_HINT, ""]
    for people in view.people:
        lines += _people(people)
    lines += _states(view)
    lines += _costs(view)
    lines += _pictures(latency_charts(record) if pictures is not None else (), pictures)
    if manifest.notes:
        lines += ["## Notes", "", *(f"- {_e(note, limit=2000)}" for note in manifest.notes), ""]
    lines += _provenance(view)
    return "\n".join(lines).rstrip() + "\n"


def _e(text: str, *, limit: int = _CELL) -> str:
    return escape_markdown(text, limit=limit)


def code_text(text: str) -> str:
    """`text` on one line, fit to stand between backticks in a table."""
    return single_line(text).replace("`", "ˋ").replace("|", "\\|")


def markdown_table(head: list[str], rows: Iterable[list[str]], *, right: Iterable[int] = ()) -> list[str]:
    """The lines of a table whose cells are Markdown already; the columns `right` are set to the right."""
    numbers = set(right)
    rule = "|".join("--:" if i in numbers else "---" for i in range(len(head)))
    return [
        f"| {' | '.join(head)} |",
        f"|{rule}|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _pictures(charts: Iterable[Chart], pictures: Pictures | None) -> list[str]:
    if pictures is None:
        return []
    # The alternative text in brackets holds no brackets of its own once it is escaped.
    lines = [f"![{_e(f'{chart.title}. {chart.description}', limit=500)}]({pictures(chart)})" for chart in charts]
    return [*lines, ""] if lines else []


def _changes(record: Record, baseline: Record) -> list[str]:
    from .changes import changes_of
    from .compare_markdown import figures_markdown

    found = changes_of(record, baseline)
    lines = ["## Against the baseline", "", f"**{_e(found.headline)}**", ""]
    if found.comparison is None:
        return [*lines, _e(found.why_not, limit=2000), ""]
    return [*lines, *figures_markdown(found.comparison), f"All of it: `{code_text(found.command)}`", ""]


def _gate(gate: GateView) -> list[str]:
    against = f" against `{code_text(gate.baseline_id)}`" if gate.baseline_id else ""
    lines = [f"**Gate: {_SIGN.get(gate.state, _e(gate.state))}**{against}. {_e(gate.reason, limit=2000)}", ""]
    rows = [
        [
            _SIGN.get(v.state, _e(v.state)),
            _e(v.rule),
            figure(v.value),
            amount(v.n),
            _e(v.tier),
            _e(v.reason, limit=2000),
        ]
        for v in gate.verdicts
    ]
    return lines + (
        markdown_table(["verdict", "rule", "value", "n", "tier", "why"], rows, right=(2, 3)) if rows else []
    )


def _task(task: TaskView, view: ReportView) -> list[str]:
    lines = [f"### {_e(task.id)}", ""]
    rows = [
        [
            f"{_e(r.metric)} {view.way(r)}",
            _e(r.model if r.task == task.id else f"{r.task} · {r.model}"),
            figure(r.value),
            interval(r.ci_low, r.ci_high, like=r.value),
            f"{100 * r.confidence:g} % {_e(r.ci_method)}",
            amount(r.n),
            amount(r.n_failed),
        ]
        for r in task.figures
    ]
    head = ["metric", "model", "value", "interval", "kind of interval", "n", "failed"]
    lines += markdown_table(head, rows, right=(2, 3, 5, 6)) if rows else ["No figures.", ""]
    for confusion in task.confusions:
        lines += _confusion(confusion)
    for table in task.reliabilities:
        lines += _reliability(table)
    for grid in task.grids:
        lines += _grid(grid)
    for group in task.groups:
        lines += _groups(group)
    return lines


def _confusion(matrix: Confusion) -> list[str]:
    head = ["gold ↓ / answer →", *(_e(a) for a in matrix.answers)]
    rows = [
        [_e(gold), *(f"{count:,.6g}" for count in counts)]
        for gold, counts in zip(matrix.golds, matrix.counts, strict=True)
    ]
    right = range(1, len(head))
    return [
        f"Confusion matrix of {_e(matrix.model)} in {_e(matrix.task)}:",
        "",
        *markdown_table(head, rows, right=right),
    ]


def _reliability(table: Reliability) -> list[str]:
    head = ["confidence", "n", "mean confidence", "right"]
    rows = [
        [f"{b.low:.3g} to {b.high:.3g}", f"{b.n:,.6g}", figure(b.confidence), figure(b.accuracy)] for b in table.bins
    ]
    where = f"{_e(table.model)} in {_e(table.task)} ({_e(table.metric)})"
    return [f"Reliability of {where}:", "", *markdown_table(head, rows, right=(1, 2, 3))]


def _grid(grid: Grid) -> list[str]:
    head = [f"{_e(grid.of_rows)} ↓ / {_e(grid.of_columns)} →", *map(_e, grid.columns)]
    rows = [[_e(name), *map(grid.shown, line)] for name, line in zip(grid.rows, grid.cells, strict=True)]
    where = f"{_e(grid.metric)} of {_e(grid.model)} in {_e(grid.task)}"
    return [
        f"{where} by {_e(grid.of_rows)} and {_e(grid.of_columns)}, of {grid.sizes} samples each:",
        "",
        *markdown_table(head, rows, right=range(1, len(head))),
    ]


def _probes(questions: Iterable[Question]) -> list[str]:
    lines: list[str] = []
    for question in questions:
        rows = [
            [
                _e(design.name),
                _e(design.result.model),
                figure(design.result.value),
                interval(design.result.ci_low, design.result.ci_high, like=design.result.value),
                _e(design.expected),
                f"{amount(design.result.n)} (least {amount(design.least_n)})",
                MISSING if design.worst is None else _e(f"{design.worst[0]}: {figure(design.worst[1].value)}"),
                MISSING if design.beside is None else _e(f"{design.beside.metric} {figure(design.beside.value)}"),
                f"**{_e(design.finding)}**",
            ]
            for design in question.designs
        ]
        head = [
            "design",
            "model",
            "value",
            "interval",
            "no effect",
            "n",
            "worst group",
            "beside it",
            "finding",
        ]
        lines += [f"### {_e(question.name)}", "", *markdown_table(head, rows, right=(2, 3, 4, 5))]
        lines += [line for text in question.disagreements for line in (_e(text, limit=2000), "")]
    return ["## Probes", "", *lines] if lines else []


def _groups(table: GroupTable) -> list[str]:
    gap = "" if math.isnan(table.gap) else f"; the gap is {figure(table.gap)}"
    rows = [
        [_e(name), figure(r.value), interval(r.ci_low, r.ci_high, like=r.value), amount(r.n)] for name, r in table.rows
    ]
    rows += [
        [f"*{what}*", figure(r.value), interval(r.ci_low, r.ci_high, like=r.value), amount(r.n)]
        for what, r in table.between
    ]
    return [
        f"{_e(table.metric)} of {_e(table.model)} in {_e(table.task)} by {_e(table.column)}, {table.order}{gap}:",
        "",
        *markdown_table([_e(table.column), "value", "interval", "n"], rows, right=(1, 2, 3)),
        *([_e(table.doubt), ""] if table.doubt else []),
    ]


def _explanations(record: Record) -> list[str]:
    """Faithfulness and words; single texts stand in the page, where colours can."""
    from .attribution_bars import signed
    from .explanations import DOUBT, explanation_views

    views = explanation_views(record, max_texts=0)
    lines = ["## Explanations", ""] if views else []
    for view in views:
        unit = f", in {view.unit.replace('_', ' ')}" if view.unit else ""
        failed = f", {view.n_failed} failed" if view.n_failed else ""
        lines += [f"### {_e(view.task)} on {_e(view.model)}: {_e(view.method)}{unit}, {view.n_texts} texts{failed}", ""]
        rows = [
            [
                f"{q.name} {q.way}",
                figure(q.value),
                figure(q.random),
                signed(q.gain),
                interval(q.low, q.high, like=q.gain),
                q.finding,
            ]
            for q in view.quality
        ]
        head = ["figure", "explanations", "random ones", "difference", "interval", "finding"]
        lines += markdown_table(head, rows, right=(1, 2, 3, 4)) if rows else []
        lines += [f"**{DOUBT}**", ""] if view.is_doubtful else []
        for table in (*view.tables, *view.group_tables):
            where = f", {_e(table.group)}" if table.group else ""
            lines += [f"Mean contribution of words to {_e(table.output)}{where} ({amount(table.n_texts)} texts):", ""]
            cells = [
                [_e(row.word), signed(row.mean), interval(row.low, row.high, like=row.mean), amount(row.n)]
                for row in table.rows
            ]
            lines += markdown_table(["word", "mean", "interval", "texts"], cells, right=(1, 2, 3))
    return lines


def _attacks(record: Record) -> list[str]:
    """The words that turned texts round, and the texts of which few words were changed."""
    from .attacks import attack_views

    views = attack_views(record, max_texts=_ATTACKED)
    lines = ["## Attacks", ""] if views else []
    for view in views:
        counts = ", ".join(f"{amount(n)} {name}" for name, n in view.outcomes)
        failed = f", {amount(view.n_failed)} failed" if view.n_failed else ""
        lines += [f"### {_e(view.task)} on {_e(view.model)}: {amount(view.n_texts)} texts, {counts}{failed}", ""]
        rows = [
            [
                _e(text.id),
                text.outcome,
                f"{_e(text.answer_before)} → {_e(text.answer)}",
                ", ".join(f"{_e(old)} → {_e(new)}" for old, new in text.changes),
                "" if text.similarity is None else figure(text.similarity),
                amount(text.n_queries),
            ]
            for text in view.texts
        ]
        head = ["text", "outcome", "answer", "words changed", "similarity", "queries"]
        lines += markdown_table(head, rows, right=(4, 5))
    return lines


def _people(view: PeopleView) -> list[str]:
    from .peopletext import figure_cells, kind_of, people_facts, ranking_hint

    asked = f": {_e(view.asked)}" if view.asked else ""
    lines = [f"### {_e(view.task)} ({kind_of(view)}){asked}", ""]
    facts = [f"{f.name} {f.value}{f' ({f.note})' if f.note else ''}" for f in people_facts(view)]
    lines += [" · ".join(_e(fact) for fact in facts), ""]
    lines += [line for text in (*view.notes, ranking_hint(view)) if text for line in (_e(text, limit=2000), "")]
    head = ["", "model", "value", "interval", "n"]
    rows = [[_e(r.metric), _e(r.model), *figure_cells(r), amount(r.n)] for r in view.results]
    if view.duels is not None:
        scores = [[_e(model), *map(amount, score)] for model, score in view.duels.scores]
        if not rows:
            return [*lines, *markdown_table(["model", "won", "tied", "lost"], scores, right=(1, 2, 3))]
        # Both go from the best to the last.
        head += ["won", "tied", "lost"]
        rows = [[*row, *score[1:]] for row, score in zip(rows, scores, strict=True)]
    return [*lines, *markdown_table(head, rows, right=range(2, len(head)))]


def _states(view: ReportView) -> list[str]:
    rows = [
        [_e(task), _e(model), amount(sum(states.values())), _e(joined(states)) or MISSING]
        for task, model, states in view.states
    ]
    return ["## States of the answers", "", *markdown_table(["task", "model", "answers", "states"], rows, right=(2,))]


def _costs(view: ReportView) -> list[str]:
    table = cost_table(view.manifest)
    if table is None:
        return []
    rows = [[_e(cell) for cell in row] for row in table.rows]
    return ["## Tokens and cost", "", *markdown_table(list(table.heads), rows, right=range(1, len(table.heads)))]


def _provenance(view: ReportView) -> list[str]:
    m = view.manifest
    seconds = m.execution.get("seconds")
    rows = [
        ["suite digest", f"`{code_text(m.suite_digest)}`"],
        *(
            [f"data {_e(n)}", _e(f"{d.get('source')} · {d.get('n_rows')} rows · {d.get('digest')}")]
            for n, d in m.datasets.items()
        ),
        *([f"model {_e(n)}", _e(", ".join(f"{k}={v}" for k, v in i.items()))] for n, i in m.models.items()),
        ["seed", str(m.seed)],
        ["took", duration(float(seconds)) if isinstance(seconds, int | float) else MISSING],
        ["evalharness", _e(m.evalharness_version)],
        ["versions", _e(", ".join(f"{k} {v}" for k, v in m.versions.items()))],
    ]
    return ["## Where it comes from", "", *markdown_table(["what", "is"], rows)]
