"""The case of a rule that compares: the figure, the baseline's, and the evidence of the samples that both have."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..compare.comparable import require_comparable
from ..compare.paired import figure_of, paired_point
from ..compare.pairing import Pairing, identity_of
from ..core.nulls import best_between
from ..core.protocols import Metric
from ..core.types import MetricResult
from ..suite.names import covers
from ..suite.schema import BaselineModel, Gates, Rule
from .cases import Case, decided_by, missing_of, subject_of
from .decide import Decision, decide_point, show
from .evidence import Evidence, paired_evidence
from .missing import bounded_paired
from .rows import PairedRows, paired_rows
from .select import rule_name
from .verdicts import Asked, Question

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["baseline_figure", "paired_case", "question_of"]

_NAN = math.nan


def question_of(rule: Rule, *, higher_is_better: bool = True) -> Question:
    """What a rule that compares asks of `paired_evidence` (with `relative` for `max_relative_drop`)."""
    margin = rule.number
    if rule.kind == "superior":
        return Question(((margin, "at_least"),), "the improvement", strict=True)
    if rule.kind == "equivalent":
        return Question(((-margin, "at_least"), (margin, "at_most")), "the improvement")
    if rule.kind == "max_relative_drop":
        share = f"{1 - margin if higher_is_better else 1 + margin:.12g}·baseline"
        subject = f"(current − {share})" if higher_is_better else f"({share} − current)"
        return Question(((0.0, "at_least"),), subject)
    return Question(((-margin, "at_least"),), "the improvement")


def paired_case(rule: Rule, figure: MetricResult, gates: Gates, record: Record, baseline: Record | None) -> Case:
    """The case of `rule` on `figure`, compared with `baseline`, or with the model of the run that the gates name.

    Raises:
        NotComparableError: if data, prompt, generation or metric differ between the runs.
    """
    other = record if baseline is None else baseline
    of_model = gates.baseline.model if baseline is None and isinstance(gates.baseline, BaselineModel) else None
    case = Case(rule, rule_name(rule, figure), figure.task, figure.model, figure.metric, figure.value)
    against = baseline_figure(figure, other, of_model)
    where = other.manifest.id if of_model is None else of_model
    if isinstance(against, str):
        lead = f"{subject_of(figure)} has nothing to be compared with in {where}"
        return replace(case, interval=(figure.ci_low, figure.ci_high), lead=lead, decision=Decision("fail", against))
    require_comparable(
        figure,
        against,
        identity_of(record, figure),
        identity_of(other, against),
        run_id=record.manifest.id,
        baseline_id=where,
    )
    from ..compare.rebuild import metric_of

    metric = metric_of(record, figure)
    paired = paired_rows(record, figure, other, against)
    return _compared(case, figure, against, metric, paired, gates, (record, other))


def _compared(
    case: Case,
    figure: MetricResult,
    against: MetricResult,
    metric: Metric,
    paired: PairedRows,
    gates: Gates,
    runs: tuple[Record, Record],
) -> Case:
    rule, n_all = case.rule, len(paired.current)
    paired = paired.measured(metric)
    n = len(paired.current)
    now, before = figure_of(metric, paired.current), figure_of(metric, paired.baseline)
    plain = paired_point(paired.current, paired.baseline, metric)
    pairing = Pairing(
        n_paired=n,
        n_only_current=len(paired.only_current),
        n_only_baseline=len(paired.only_baseline),
        n_worse=plain.n_worse,
        n_better=plain.n_better,
        regression=plain.regression,
        low=_NAN,
        high=_NAN,
        method=plain.method,
        confidence=1 - 2 * gates.alpha,
    )
    n_neither = 0
    if gates.missing == "worst_case" and decided_by(rule, gates) == "interval":
        n_neither = max(
            missing_of(runs[0], figure, metric, n_all + pairing.n_only_current) - pairing.n_only_baseline, 0
        )
    whole = not pairing.n_only_current
    case = replace(
        case,
        value=now,
        baseline_value=before,
        interval=(figure.ci_low, figure.ci_high) if whole else (_NAN, _NAN),
        n=n,
        pairing=pairing,
        lead=_lead(figure, now, before, pairing, n_neither),
    )
    best = best_between(metric)
    if best is not None and rule.kind != "equivalent":
        # Lower is better only where the bias is above: a drop from 0.5 to 0.2 would pass as an improvement.
        text = (
            f"it is best at {best:g}, and a rule of this kind takes "
            f"{'higher' if metric.higher_is_better else 'lower'} for better; use equivalent, or at_least and at_most "
            f"around {best:g}"
        )
        return replace(case, decision=Decision("fail", text))
    question = question_of(rule, higher_is_better=metric.higher_is_better)
    relative = rule.number if rule.kind == "max_relative_drop" else 0.0
    if n == 0:
        nothing = "nothing was measured" if n_all else "no sample is in both runs"
        return replace(case, decision=Decision("fail", nothing))
    if math.isnan(plain.regression):
        return replace(case, decision=decide_point(_NAN, 0.0, "at_least"))
    if relative >= 1 and metric.higher_is_better:
        text = f"a drop by {100 * relative:.12g} % can never be exceeded: it is a share, and 5 % are 0.05"
        return replace(case, decision=Decision("fail", text))
    if relative and before <= 0:
        text = f"a share of {show(before)} is no drop that could be allowed; use max_regression for this figure"
        # Any rise above 0 is more than a share of it; what is not worse breaks nothing, and shows nothing either.
        return replace(case, decision=Decision("fail" if plain.regression > 0 else "inconclusive", text))
    moved = "unchanged" if plain.regression == 0 else _moved(plain.regression, rule.number)
    if decided_by(rule, gates) == "point":
        decision = _by_point(rule, question, -plain.regression + relative * before)
        return replace(case, decision=Decision(decision.state, f"{moved}, {decision.because}"))
    seed = runs[0].manifest.seed
    evidence: Evidence
    if gates.missing == "worst_case":
        evidence = bounded_paired(metric, paired, n_neither, seed=seed, relative=relative)
    else:
        evidence = paired_evidence(
            metric, paired.current, paired.baseline, clusters=paired.clusters, seed=seed, relative=relative
        )
    low, high = evidence.bounds(gates.alpha)
    shift = relative * before
    pairing = replace(pairing, low=shift - high, high=shift - low, method=evidence.method)
    return replace(case, pairing=pairing, lead=f"{case.lead}: {moved}", asked=Asked(question, evidence))


def _moved(regression: float, limit: float) -> str:
    return f"{show(abs(regression), limit)} {'worse' if regression > 0 else 'better'}"


def _by_point(rule: Rule, question: Question, value: float) -> Decision:
    if rule.kind in ("max_regression", "non_inferior"):
        decision = decide_point(-value, rule.number, "at_most")
        return Decision(decision.state, f"and a regression of {show(rule.number, -value)} is allowed")
    found = [decide_point(value, limit, condition) for limit, condition in question.limits]
    failed = any(decision.state == "fail" for decision in found)
    if question.strict and decide_point(value, rule.number, "at_most").state == "pass":
        failed = True  # the limit itself is not enough
    wanted = {
        "superior": f"an improvement by more than {show(rule.number, value)} is required",
        "equivalent": f"at most {show(rule.number, abs(value))} either way is required",
        "max_relative_drop": f"{100 * rule.number:.12g} % of the baseline are allowed",
    }[rule.kind]
    return Decision("fail" if failed else "pass", f"and {wanted}")


def _lead(figure: MetricResult, now: float, before: float, pairing: Pairing, n_neither: int) -> str:
    alone = [
        f"{count:,} only in {where}"
        for count, where in ((pairing.n_only_current, "this run"), (pairing.n_only_baseline, "the baseline"))
        if count
    ]
    alone += [f"{n_neither:,} in neither"] if n_neither else []
    changed = f", {pairing.n_worse:,} worse and {pairing.n_better:,} better" if pairing.tells_samples else ""
    samples = f"n = {pairing.n_paired:,} paired{changed}" + (f"; {' and '.join(alone)}" if alone else "")
    return f"{subject_of(figure)} is {show(now, before)} against {show(before, now)} in the baseline ({samples})"


def baseline_figure(figure: MetricResult, baseline: Record, of_model: str | None) -> MetricResult | str:
    """The figure to compare with, or the reason why there is none.

    A baseline whose task ran on one model only is compared with it whatever its name: the model is what changes
    between releases. `of_model` is the model that is the baseline where it ran in the same run: of its variants the
    one that was made as the figure's.
    """
    of_task = [
        r for r in baseline.results if r.task == figure.task and r.metric == figure.metric and r.group == figure.group
    ]
    if of_model is not None:
        of_task = [r for r in of_task if covers(of_model, r.model)]
        variant = figure.model.partition("@")[2]
        alike = [r for r in of_task if r.model.partition("@")[2] == variant]
        of_task = alike or of_task
    same = [r for r in of_task if r.model == figure.model]
    if len(same) == 1:
        return same[0]
    models = sorted({r.model for r in of_task})
    if len(models) == 1:
        return of_task[0]
    if models:
        return f"the baseline has no model {figure.model!r} there (it has {', '.join(models)})"
    known = sorted({f"{r.task}.{r.metric}" for r in baseline.results if covers(figure.task.split("@")[0], r.task)})
    if of_model is not None:
        return f"the task did not run on the model {of_model!r}, which gates.baseline names"
    return f"the baseline has no such figure (of this task it has {', '.join(known) or 'none'})"
