"""Gate rules over a record: each rule gives one verdict for each figure that it covers."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..compare.comparable import require_comparable
from ..compare.paired import tango_needed
from ..compare.pairing import PairedFigure, Pairing, identity_of, pair
from ..core.errors import UsageError
from ..core.types import MetricResult, Verdict, VerdictState
from ..suite.names import covers
from ..suite.schema import Gates, Rule
from .decide import Condition, Decision, decide_interval, decide_point, samples_needed, show
from .on_error import policy_failure
from .outcome import GateOutcome, overall_state
from .select import describe_missing, figures_of, rule_name

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["evaluate_gates"]

_NAN = math.nan


def evaluate_gates(
    record: Record, gates: Gates, *, baseline: Record | None = None, confidence: float | None = None
) -> GateOutcome:
    """Decide every rule of `gates` on the figures of `record`.

    A rule on a task covers all its models and matrix variants unless it names one. Conditions on a figure read it and
    its interval from the record; `max_regression` computes both runs' figures anew on the samples that both have, and
    its interval, where `decide_on: interval` asks for one, at `confidence` (default: the record's own). No figure, NaN
    and n = 0 fail.

    Raises:
        UsageError: for a `max_regression` rule without a baseline.
        NotComparableError: if data, prompt, generation or metric of a compared figure differ between the runs.
    """
    level = confidence or float(record.manifest.confidence)
    if baseline is None and any(rule.max_regression is not None for rule in gates.rules):
        raise UsageError(
            "a max_regression rule compares with a baseline, and there is none; promote a run: "
            "evalharness promote RUN --as production, and name it: gates.baseline: SUITE@production (or --baseline RUN)"
        )
    judged: list[tuple[Verdict, Pairing | None]] = []
    for rule in gates.rules:
        figures = figures_of(rule, record.results)
        if not figures:
            judged.append((_missing(rule, record), None))
        for figure in figures:
            if rule.max_regression is None:
                judged.append((_threshold(rule, figure, gates.decide_on), None))
            else:
                assert baseline is not None  # refused above
                judged.append(_regression(rule, figure, gates.decide_on, record, baseline, level))
    failure = policy_failure(record.manifest)
    verdicts = tuple(_fail_by_policy(verdict, failure) for verdict, _ in judged)
    return GateOutcome(
        run_id=record.manifest.id,
        baseline_id=baseline.manifest.id if baseline is not None else None,
        verdicts=verdicts,
        pairings=tuple(pairing for _, pairing in judged),
        state=overall_state(verdicts),
        decide_on=gates.decide_on,
        confidence=level,
        policy_failure=failure,
    )


def _fail_by_policy(verdict: Verdict, failure: str | None) -> Verdict:
    if failure is None or verdict.tier != "block":
        return verdict
    reason = failure if verdict.state == "pass" else f"{verdict.reason} {failure}"
    return dataclasses.replace(verdict, state="fail", reason=reason)


def _verdict(
    rule: Rule,
    figure: MetricResult,
    state: VerdictState,
    reason: str,
    *,
    limit: float,
    value: float,
    interval: tuple[float, float],
    n: int,
    baseline_value: float | None = None,
) -> Verdict:
    return Verdict(
        rule=rule_name(rule, figure),
        state=state,
        tier=rule.tier,
        reason=reason,
        task=figure.task,
        model=figure.model,
        metric=figure.metric,
        value=value,
        ci_low=interval[0],
        ci_high=interval[1],
        limit=limit,
        baseline_value=baseline_value,
        n=n,
    )


def _limit(rule: Rule) -> float:
    given = (rule.at_least, rule.at_most, rule.max_regression)
    return next(float(limit) for limit in given if limit is not None)


def _missing(rule: Rule, record: Record) -> Verdict:
    task, _, metric = rule.metric.rpartition(".")
    reason = describe_missing(rule, record.results)
    return Verdict(
        rule=rule_name(rule),
        state="fail",
        tier=rule.tier,
        reason=f"{reason[0].upper()}{reason[1:]}.",
        task=task,
        model=rule.model or "",
        metric=metric,
        value=_NAN,
        ci_low=_NAN,
        ci_high=_NAN,
        limit=_limit(rule),
    )


def _subject(figure: MetricResult) -> str:
    group = f" for {figure.group}" if figure.group else ""
    return f"{figure.task}.{figure.metric} of {figure.model}{group}"


def _threshold(rule: Rule, figure: MetricResult, decide_on: str) -> Verdict:
    limit = _limit(rule)
    condition: Condition = "at_least" if rule.at_least is not None else "at_most"
    if figure.n == 0:
        decision = Decision("fail", "no sample was scored, and a gate on nothing fails")
    elif decide_on == "interval":
        span = (figure.value, figure.ci_low, figure.ci_high)
        needed = samples_needed(*span, limit, figure.n, method=figure.ci_method, confidence=figure.confidence)
        decision = decide_interval(*span, limit, condition, n=figure.n, needed=needed)
    else:
        decision = decide_point(figure.value, limit, condition)
    reason = f"{_subject(figure)} is {show(figure.value, limit)} (n = {figure.n:,}): {decision.because}."
    return _verdict(
        rule,
        figure,
        decision.state,
        reason,
        limit=limit,
        value=figure.value,
        interval=(figure.ci_low, figure.ci_high),
        n=figure.n,
    )


def _baseline_figure(figure: MetricResult, baseline: Record) -> MetricResult | str:
    """The figure to compare with, or the reason why there is none.

    A baseline whose task ran on one model only is compared with it whatever its name: the model is what changes
    between releases.
    """
    of_task = [
        r for r in baseline.results if r.task == figure.task and r.metric == figure.metric and r.group == figure.group
    ]
    same = [r for r in of_task if r.model == figure.model]
    if len(same) == 1:
        return same[0]
    models = sorted({r.model for r in of_task})
    if len(models) == 1:
        return of_task[0]
    if models:
        return f"the baseline has no model {figure.model!r} there (it has {', '.join(models)})"
    known = sorted({f"{r.task}.{r.metric}" for r in baseline.results if covers(figure.task.split("@")[0], r.task)})
    return f"the baseline has no such figure (of this task it has {', '.join(known) or 'none'})"


def _regression(
    rule: Rule, figure: MetricResult, decide_on: str, record: Record, baseline: Record, confidence: float
) -> tuple[Verdict, Pairing | None]:
    limit = _limit(rule)
    baseline_id = baseline.manifest.id
    against = _baseline_figure(figure, baseline)
    if isinstance(against, str):
        reason = f"{_subject(figure)} has nothing to be compared with in {baseline_id}: {against}."
        span = (figure.ci_low, figure.ci_high)
        return _verdict(rule, figure, "fail", reason, limit=limit, value=figure.value, interval=span, n=0), None
    require_comparable(
        figure,
        against,
        identity_of(record, figure),
        identity_of(baseline, against),
        run_id=record.manifest.id,
        baseline_id=baseline_id,
    )
    paired = pair(record, figure, baseline, against, confidence=confidence, interval=decide_on == "interval")
    pairing = paired.pairing
    if pairing.n_paired == 0:
        decision = Decision("fail", "no sample is in both runs")
    elif decide_on == "interval":
        change = (pairing.regression, pairing.low, pairing.high)
        n = pairing.n_paired
        needed = (
            tango_needed(pairing.n_worse, pairing.n_better, n, limit, confidence)
            if pairing.method == "Tango score"
            else samples_needed(*change, limit, n, method=pairing.method, confidence=confidence)
        )
        decision = decide_interval(*change, limit, "at_most", n=n, needed=needed)
    else:
        decision = decide_point(pairing.regression, limit, "at_most")
    whole = not pairing.n_only_current
    verdict = _verdict(
        rule,
        figure,
        decision.state,
        _sentence(figure, paired, decision, limit, decide_on),
        limit=limit,
        value=paired.current,
        interval=(figure.ci_low, figure.ci_high) if whole else (_NAN, _NAN),
        n=pairing.n_paired,
        baseline_value=paired.baseline,
    )
    return verdict, pairing


def _sentence(figure: MetricResult, paired: PairedFigure, decision: Decision, limit: float, decide_on: str) -> str:
    pairing = paired.pairing
    alone = [
        f"{count:,} only in {where}"
        for count, where in ((pairing.n_only_current, "this run"), (pairing.n_only_baseline, "the baseline"))
        if count
    ]
    changed = f", {pairing.n_worse:,} worse and {pairing.n_better:,} better" if pairing.n_paired else ""
    samples = f"n = {pairing.n_paired:,} paired{changed}" + (f"; {' and '.join(alone)}" if alone else "")
    change = pairing.regression
    if math.isnan(change):
        moved = decision.because
    else:
        way = "worse" if change > 0 else "better"
        moved = "unchanged" if change == 0 else f"{show(abs(change), limit)} {way}"
        if decide_on == "interval":
            moved = f"{moved}; as for the regression, {decision.because}"
        else:
            moved = f"{moved}, and a regression of {show(limit, change)} is allowed"
    return (
        f"{_subject(figure)} is {show(paired.current, paired.baseline)} against "
        f"{show(paired.baseline, paired.current)} in the baseline ({samples}): {moved}."
    )
