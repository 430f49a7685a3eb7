"""The second half of `plan`: what the rules of the gates can see, and what their margins take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.gate.power_plan import RulePlan
    from evalharness.record import Record
    from evalharness.runner.forecast import Forecast
    from evalharness.runner.prepare import Prepared

__all__ = ["planned_rules", "rule_table"]

_HEADS = ("rule", "samples", "alpha", "detects", "power", "samples for 80 %", "more cost", "more time")


def planned_rules(
    ready: Prepared,
    found: Forecast,
    *,
    baseline: str | None,
    reports: Path,
    registry_url: str | None,
    allow_code: bool,
) -> tuple[list[RulePlan], list[str]]:
    """The plans of the suite's rules, and what is to be noted of all of them."""
    from evalharness.core.errors import EvalHarnessError
    from evalharness.gate.cases import decided_by
    from evalharness.gate.power_plan import plan_rules
    from evalharness.gate.record_gate import find_baseline, needs_baseline
    from evalharness.runner.looks import planned_figures

    gates = ready.suite.gates
    assert gates is not None  # asked for where there are some
    notes: list[str] = []
    name = baseline or (gates.baseline if isinstance(gates.baseline, str) else None)
    against = None
    if name is not None and needs_baseline(gates):
        try:
            against = find_baseline(name, reports=reports, registry_url=registry_url)
        except EvalHarnessError as error:
            if baseline is not None:
                raise
            notes.append(f"{str(error).splitlines()[0]}; the rules are planned without it")
    figures = planned_figures(ready, allow_code=allow_code)
    plans = plan_rules(
        gates,
        figures,
        baseline=against,
        past=_past(ready.suite.name, against, reports, registry_url),
        stop=ready.suite.execution.stop_when_decided,
    )
    planned = {plan.number for plan in plans}
    notes += [
        f"{rule.metric} is not planned: decide_on: point takes the figure as it is, whatever its uncertainty"
        if decided_by(rule, gates) == "point"
        else f"{rule.metric} is not planned: the run will have no such figure, or no sample is of the group"
        for number, rule in enumerate(gates.rules)
        if number not in planned
    ]
    return [_with_costs(plan, found) for plan in plans], notes


def _past(suite: str, baseline: Record | None, reports: Path, registry_url: str | None) -> Record | None:
    """The newest whole run of the suite that is not the baseline; nothing is made where there is nothing."""
    from evalharness.core.errors import EvalHarnessError
    from evalharness.record import Record, RunRegistry
    from evalharness.record.plain import has_registry

    if not has_registry(reports, registry_url):
        return None
    with RunRegistry.open(registry_url, reports=reports) as registry:
        runs = [run for run in registry.list(suite=suite) if run.complete]
    for run in runs:
        if baseline is None or run.id != baseline.manifest.id:
            try:
                return Record.open(run.path)
            except EvalHarnessError:
                continue  # its folder is gone, or damaged: an older one does as well
    return None


def _with_costs(plan: RulePlan, found: Forecast) -> RulePlan:
    """What the samples that a rule lacks would cost and take, at the rate of the forecast; their judges with them."""
    own = [work for work in found.work if (work.task, work.model) == (plan.task, plan.model)]
    if not own or not plan.requests_more or not own[0].n_to_ask:
        return plan
    share = plan.requests_more / own[0].n_to_ask
    every = own + [work for work in found.work if work.task == f"{plan.task}.{plan.metric}"]
    usd = [work.most_usd if work.likely_usd is None else work.likely_usd for work in every]
    seconds = [work.seconds for work in every]
    return replace(plan, usd_more=_sum(usd, share), seconds_more=_sum(seconds, share))


def _sum(parts: Sequence[float | None], share: float) -> float | None:
    """`share` of all parts; None where one is not known."""
    return None if None in parts else sum(part for part in parts if part is not None) * share


def rule_table(plans: list[RulePlan], notes: list[str]) -> str:
    """The rules as text: a line each, then where the variance is from, and the warnings."""
    from .columns import columns

    lines = [""]
    if plans:
        lines.append(columns(_HEADS, [_cells(plan) for plan in plans], right=_HEADS[1:]))
    sources: dict[str, list[str]] = {}
    for plan in plans:
        sources.setdefault(plan.variance_from, []).append(f"{plan.task}.{plan.metric}")
    lines += [f"variance of {', '.join(dict.fromkeys(names))}: {source}" for source, names in sources.items()]
    lines += [_repeats(plan) for plan in plans if plan.repeats_needed and plan.repeats_needed > plan.repeats]
    lines += notes
    lines += [f"warning: {warning}" for plan in plans for warning in plan.warnings]
    return "\n".join(lines)


def _cells(plan: RulePlan) -> list[str]:
    from evalharness.report.text import duration

    repeats = f" × {plan.repeats}" if plan.repeats > 1 else ""
    enough = plan.samples_needed is not None and plan.samples_needed <= plan.n
    return [
        plan.rule if plan.tier == "block" else f"{plan.rule} ({plan.tier})",
        f"{plan.n:,}{repeats}",
        f"{plan.alpha:.3g}",
        _detects(plan),
        "unknown" if plan.power is None else f"{plan.power:.0%}",
        "unknown" if plan.samples_needed is None else f"{plan.samples_needed:,}",
        "-" if enough else "unknown" if plan.usd_more is None else f"~${plan.usd_more:.4f}",
        "-" if enough else "unknown" if plan.seconds_more is None else f"~{duration(plan.seconds_more)}",
    ]


def _detects(plan: RulePlan) -> str:
    if plan.detectable is not None:
        return f"{plan.detectable:.3g}"
    return "unknown" if plan.variance is None else "nothing"


def _repeats(plan: RulePlan) -> str:
    return (
        f"{plan.rule}: with the {plan.n:,} samples that there are, {plan.repeats_needed:,} answers a sample "
        f"(generate.repeats) would do as well; it asks {plan.repeats:,} now"
    )
