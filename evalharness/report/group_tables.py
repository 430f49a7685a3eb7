"""A figure for each value of a group column: which group is worst, and how far they lie apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..core.types import MetricResult

__all__ = ["GroupTable", "group_tables", "is_between_groups"]


@dataclass(frozen=True, slots=True)
class GroupTable:
    """A metric's figures for each value of a group column, worst first; `overall` is the figure of all samples."""

    task: str
    model: str
    metric: str
    column: str
    rows: tuple[tuple[str, MetricResult], ...]
    overall: MetricResult | None
    between: tuple[tuple[str, MetricResult], ...] = ()
    """The disparities between the groups, each with its name (difference, ratio, worst)."""

    best: float | None = None
    """The value that is best of a figure that may lie on either side of it: a bias score's 0."""

    @property
    def order(self) -> str:
        """In which order the groups stand."""
        return "worst first" if self.best is None else f"farthest from {self.best:g} first"

    @property
    def all_rows(self) -> tuple[tuple[str, MetricResult], ...]:
        """The groups, then all samples together."""
        return (*self.rows, *([("all samples", self.overall)] if self.overall is not None else []))

    @property
    def doubt(self) -> str:
        """Why nothing is sure of the disparities between the groups; "" where something is."""
        doubts = (r.ci_method for _, r in self.between if r.ci_method.startswith(("too few: ", "none: ")))
        return next(doubts, "").removeprefix("none: ")

    @property
    def gap(self) -> float:
        """The largest figure less the smallest; NaN for fewer than two."""
        values = [r.value for _, r in self.rows if not math.isnan(r.value)]
        return max(values) - min(values) if len(values) > 1 else math.nan


def group_tables(results: Sequence[MetricResult], best: Mapping[tuple[str, str], float]) -> tuple[GroupTable, ...]:
    """The tables of the figures of groups in `results`; `best` is what `ways.best_between` found."""
    overall = {(r.task, r.model, r.metric): r for r in results if r.group is None}
    tables: dict[tuple[str, str, str, str], list[tuple[str, MetricResult]]] = {}
    for result in results:
        if result.group is not None:
            column, _, value = result.group.partition("=")
            tables.setdefault((result.task, result.model, result.metric, column), []).append((value, result))
    between = _disparities(results)
    found = []
    for key in dict.fromkeys([*tables, *between]):
        rows, apart = tables.get(key, []), tuple(between.get(key, ()))
        # What a figure is not about, as the untouched rows of one that is of negations, is no group of it; where groups
        # are compared, one of which nothing is known must be seen.
        measured = rows if apart else [row for row in rows if _has_answers(row[1])]
        none = best.get((key[0], key[2]))
        found.append(
            GroupTable(
                *key,
                rows=tuple(sorted(measured or rows, key=lambda row: _badness(row[1], none))),
                best=none,
                overall=overall.get(key[:3]),
                between=apart,
            )
        )
    return tuple(found)


def _has_answers(result: MetricResult) -> bool:
    return result.n > 0 or result.n_failed > 0


def _badness(result: MetricResult, best: float | None) -> tuple[bool, float]:
    # Groups with nothing to measure stand last.
    if math.isnan(result.value):
        return True, 0.0
    if best is not None:
        return False, -abs(result.value - best)
    return False, result.value if result.higher_is_better else -result.value


def _disparities(results: Iterable[MetricResult]) -> dict[tuple[str, str, str, str], list[tuple[str, MetricResult]]]:
    """The disparities that nobody asked for by name, by task, model, figure and column."""
    from ..metrics.disparity import column_of_signature

    found: dict[tuple[str, str, str, str], list[tuple[str, MetricResult]]] = {}
    for result in results:
        if is_between_groups(result):
            metric, _, what = result.metric.partition("@")[0].rpartition("_")
            column = column_of_signature(result.signature) or ""
            found.setdefault((result.task, result.model, metric, column), []).append((what, result))
    return found


def is_between_groups(result: MetricResult) -> bool:
    """Whether it is a disparity between groups that nobody asked for by name; it stands with its groups."""
    if "@" not in result.metric:
        return False
    from ..metrics.group_figures import is_group_figure

    return is_group_figure(result.metric, result.signature)
