"""Which figures of a record a rule speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.registry import suggestion
from ..core.types import MetricResult
from ..suite.names import covers
from ..suite.schema import Rule, RuleKind

__all__ = ["describe_missing", "figures_of", "rule_name"]

_LISTED = 12
_CONDITION: dict[RuleKind, str] = {
    "at_least": "≥ {}",
    "at_most": "≤ {}",
    "non_inferior": "non-inferior within {}",
    "superior": "superior by {}",
    "equivalent": "equivalent within {}",
    "max_regression": "regresses ≤ {}",
    "max_relative_drop": "worse by ≤ {share} %",
}


def _split(metric: str) -> tuple[str, str]:
    # A variant's id can hold dots (triage@temperature=0.7), a metric's name cannot.
    task, _, name = metric.rpartition(".")
    return task, name


def figures_of(rule: Rule, results: Iterable[MetricResult]) -> tuple[MetricResult, ...]:
    """The figures that `rule` is decided on: one for each model and variant of its task."""
    task, metric = _split(rule.metric)
    return tuple(
        r
        for r in results
        if r.metric == metric
        and covers(task, r.task)
        and (rule.model is None or covers(rule.model, r.model))
        and r.group == rule.group
    )


def _number(value: float) -> str:
    return f"{value:.12g}"


def rule_name(rule: Rule, figure: MetricResult | None = None) -> str:
    """How reports name the rule: `triage.accuracy ≥ 0.8 · model small · language=de`."""
    task, metric = _split(rule.metric)
    subject = f"{figure.task if figure else task}.{metric}"
    text = f"{subject} {_CONDITION[rule.kind].format(_number(rule.number), share=_number(100 * rule.number))}"
    if rule.kind == "superior" and rule.number == 0:
        text = f"{subject} superior"
    model = figure.model if figure else rule.model
    return " · ".join([text, *([model] if model else []), *([rule.group] if rule.group else [])])


def _listing(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest


def describe_missing(rule: Rule, results: Sequence[MetricResult]) -> str:
    """Why no figure matches `rule`: the part that does not exist, the nearest name, and the names that do."""
    task, metric = _split(rule.metric)
    named = [r for r in results if r.metric == metric and covers(task, r.task)]
    if not named:
        names = sorted({f"{r.task}.{r.metric}" for r in results})
        known = f"the record has {_listing(names)}" if names else "the record has no figures at all"
        return f"there is no figure {rule.metric!r} in the record{suggestion(rule.metric, names)} ({known})"
    of_model = [r for r in named if rule.model is None or covers(rule.model, r.model)]
    if not of_model:
        models = sorted({r.model for r in named})
        return (
            f"{rule.metric} has no figure for the model {rule.model!r}{suggestion(rule.model or '', models)} "
            f"(it has {_listing(models)})"
        )
    groups = sorted({r.group for r in of_model if r.group is not None})
    if rule.group is not None:
        known = f"it has {_listing(groups)}" if groups else "it has no groups; name the column in the task's `groups`"
        return f"{rule.metric} has no figure for the group {rule.group!r}{suggestion(rule.group, groups)} ({known})"
    return f"{rule.metric} has figures for groups only ({_listing(groups)}); give the rule a `group`"
