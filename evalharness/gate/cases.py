"""The cases of a rule: one for each figure that it covers, with what is asked of its evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..compare.pairing import Pairing
from ..core.errors import NotComparableError
from ..core.types import MetricResult
from ..suite.names import covers
from ..suite.schema import BaselineModel, Gates, Rule
from .decide import Condition, Decision, decide_point, show
from .evidence import Evidence, absolute_evidence, interval_evidence
from .missing import bounded_absolute
from .on_error import on_error_of
from .rows import figure_rows
from .select import describe_missing, figures_of, rule_name
from .verdicts import Asked, Question

if TYPE_CHECKING:
    from ..core.protocols import Metric
    from ..record import Record

__all__ = ["Case", "cases_of", "decided_by", "missing_of", "subject_of"]

_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one figure: already decided (`decision`), or a question with its evidence (`asked`).

    `lead` is the beginning of the sentence that says why.
    """

    rule: Rule
    name: str
    task: str
    model: str
    metric: str
    value: float = _NAN
    interval: tuple[float, float] = (_NAN, _NAN)
    n: int = 0
    baseline_value: float | None = None
    pairing: Pairing | None = None
    lead: str = ""
    decision: Decision | None = None
    asked: Asked | None = None


def cases_of(rule: Rule, gates: Gates, record: Record, baseline: Record | None) -> Iterator[Case]:
    """The cases of `rule` in `record`; a rule whose figure is not there gives one that has failed.

    With another model of the run as the baseline, that model's own figures are judged only where a rule names it.

    Raises:
        NotComparableError: if a compared figure's data, prompt, generation or metric differ between the runs.
    """
    from .paired_cases import paired_case

    figures = figures_of(rule, record.results)
    of_model = gates.baseline.model if isinstance(gates.baseline, BaselineModel) and baseline is None else None
    if of_model is not None and (rule.is_paired or rule.model is None):
        figures = tuple(figure for figure in figures if not covers(of_model, figure.model))
    if not figures:
        task, _, metric = rule.metric.rpartition(".")
        reason = Decision("fail", describe_missing(rule, record.results))
        yield Case(rule, rule_name(rule), task, rule.model or "", metric, decision=reason)
    for figure in figures:
        if rule.is_paired:
            yield paired_case(rule, figure, gates, record, baseline)
        else:
            yield _absolute_case(rule, figure, gates, record)


def decided_by(rule: Rule, gates: Gates) -> str:
    """Whether the figure (`point`) or its bounds (`interval`) decide `rule`."""
    return rule.decide_on or gates.decide_on


def subject_of(figure: MetricResult) -> str:
    """How sentences name a figure."""
    group = f" for {figure.group}" if figure.group else ""
    return f"{figure.task}.{figure.metric} of {figure.model}{group}"


def _absolute_case(rule: Rule, figure: MetricResult, gates: Gates, record: Record) -> Case:
    condition: Condition = "at_least" if rule.kind == "at_least" else "at_most"
    case = Case(
        rule,
        rule_name(rule, figure),
        figure.task,
        figure.model,
        figure.metric,
        figure.value,
        (figure.ci_low, figure.ci_high),
        figure.n,
        lead=f"{subject_of(figure)} is {show(figure.value, rule.number)} (n = {figure.n:,})",
    )
    if figure.n == 0:
        return replace(case, decision=Decision("fail", "no sample was scored, and a gate on nothing fails"))
    if decided_by(rule, gates) == "point" or math.isnan(figure.value):
        return replace(case, decision=decide_point(figure.value, rule.number, condition))
    evidence, n_missing = _evidence(figure, gates, record)
    if n_missing:
        lead = f"{case.lead[:-1]}; {n_missing:,} missing, taken at the worst and best that they could be)"
        case = replace(case, lead=lead)
    return replace(case, asked=Asked(Question(((rule.number, condition),)), evidence))


def _evidence(figure: MetricResult, gates: Gates, record: Record) -> tuple[Evidence, int]:
    """The evidence of the figure's rows, or of its recorded interval where they cannot be read; and how many lack."""
    from ..compare.rebuild import metric_of

    recorded = interval_evidence(
        figure.value,
        figure.ci_low,
        figure.ci_high,
        confidence=figure.confidence,
        n=figure.n,
        higher_is_better=figure.higher_is_better,
    )
    try:
        metric = metric_of(record, figure)
        found = figure_rows(record, figure)
        n_missing = missing_of(record, figure, metric, len(found.values)) if gates.missing == "worst_case" else 0
        seed = record.manifest.seed
        if n_missing:
            return bounded_absolute(metric, found.values, n_missing, clusters=found.clusters, seed=seed), n_missing
        evidence = absolute_evidence(metric, found.values, clusters=found.clusters, seed=seed)
    except NotComparableError:
        # Its rows alone do not make the figure: it needs the texts, or somebody's code.
        return recorded, 0
    same = math.isclose(evidence.value, figure.value, rel_tol=1e-6, abs_tol=1e-9)
    return (evidence if same else recorded), 0


def missing_of(record: Record, figure: MetricResult, metric: Metric, n_rows: int) -> int:
    """How many samples of the figure's task have no row in it: those that failed and were not counted wrong."""
    task = next((t for t in record.manifest.tasks if (t.id, t.model) == (figure.task, figure.model)), None)
    if task is None:
        return figure.n_failed
    if figure.group is None:
        return max(task.n_samples - n_rows, 0)
    counted = on_error_of(record.manifest.suite).count_as == "wrong" and metric.scores_blank
    return 0 if counted or getattr(metric, "counts_states", False) else figure.n_failed
