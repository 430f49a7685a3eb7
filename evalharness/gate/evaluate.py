"""Gate rules over a record: each rule gives one verdict for each figure that it covers."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from ..core.types import Verdict
from ..suite.schema import Gates
from .cases import Case, cases_of
from .decide import Decision
from .looked import spent_gates, stand_by_looks
from .on_error import policy_failure
from .outcome import GateOutcome, overall_state
from .verdicts import Settled, because, further_samples, settle

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["evaluate_gates"]

_NAN = math.nan


def evaluate_gates(record: Record, gates: Gates, *, baseline: Record | None = None) -> GateOutcome:
    """Decide every rule of `gates` on the figures of `record`.

    A rule on a task covers all its models and matrix variants unless it names one. With `decide_on: interval` the
    statistics of the samples are read and one-sided bounds decide (see `gate.evidence`), stepping down over the
    blocking rules; rules of other tiers stand each for itself. With `point` the figures decide. Rules that compare
    compute both runs' figures anew on the samples that both have. No figure, NaN and n = 0 fail.

    Raises:
        UsageError: for a rule that compares, without a baseline.
        NotComparableError: if data, prompt, generation or metric of a compared figure differ between the runs.
    """
    if baseline is None and not hasattr(gates.baseline, "model"):
        for rule in gates.rules:
            if rule.is_paired:
                raise UsageError(
                    f"a {rule.kind} rule compares with a baseline, and there is none; promote a run: evalharness "
                    "promote RUN --as production, and name it: gates.baseline: SUITE@production (or --baseline RUN)"
                )
    given, gates = gates, spent_gates(record, gates)
    cases = [case for rule in gates.rules for case in cases_of(rule, gates, record, baseline)]
    settled = _settled(cases, gates)
    failure = policy_failure(record.manifest)
    found = [_verdict(case, one) for case, one in zip(cases, settled, strict=True)]
    verdicts = tuple(_fail_by_policy(verdict, failure) for verdict in found)
    of_model = getattr(gates.baseline, "model", None)
    outcome = GateOutcome(
        run_id=record.manifest.id,
        baseline_id=baseline.manifest.id if baseline is not None else of_model if _compares(gates) else None,
        verdicts=verdicts,
        pairings=tuple(case.pairing for case in cases),
        state=overall_state(verdicts),
        decide_on=gates.decide_on,
        confidence=float(record.manifest.confidence),
        policy_failure=failure,
        alpha=gates.alpha,
        correction=gates.correction,
    )
    return stand_by_looks(outcome, record, given)


def _compares(gates: Gates) -> bool:
    return any(rule.is_paired for rule in gates.rules)


def _settled(cases: list[Case], gates: Gates) -> list[Settled | None]:
    """What the bounds say of each case, None where none are asked: blocking rules together, others each alone."""
    found: list[Settled | None] = [None] * len(cases)
    blocking = [i for i, case in enumerate(cases) if case.asked is not None and case.rule.tier == "block"]
    asked = [case.asked for i in blocking if (case := cases[i]).asked is not None]
    for i, one in zip(blocking, settle(asked, gates.alpha, gates.correction), strict=True):
        found[i] = one
    for i, case in enumerate(cases):
        if case.asked is not None and case.rule.tier != "block":
            (found[i],) = settle([case.asked], gates.alpha, "none")
    return found


def _verdict(case: Case, settled: Settled | None) -> Verdict:
    more = None
    decision = case.decision
    if settled is not None:
        assert case.asked is not None
        more = further_samples(case.asked, settled)
        decision = because(case.asked, settled, more)
    assert decision is not None  # a case is decided, or asks
    return Verdict(
        rule=case.name,
        state=decision.state,
        tier=case.rule.tier,
        reason=_sentence(case, decision),
        task=case.task,
        model=case.model,
        metric=case.metric,
        value=case.value,
        ci_low=case.interval[0],
        ci_high=case.interval[1],
        limit=case.rule.number,
        baseline_value=case.baseline_value,
        n=case.n,
        further_samples=more,
        p_value=None if settled is None else settled.p_pass,
        alpha=None if settled is None else settled.alpha_pass if settled.state != "fail" else settled.alpha_fail,
        method="" if case.asked is None else case.asked.evidence.method,
    )


def _sentence(case: Case, decision: Decision) -> str:
    text = f"{case.lead}: {decision.because}." if case.lead else f"{decision.because}."
    # A sentence may begin with the name of a figure, which stays as it is written.
    return text if case.lead or text.startswith(case.rule.metric) else text[0].upper() + text[1:]


def _fail_by_policy(verdict: Verdict, failure: str | None) -> Verdict:
    if failure is None or verdict.tier != "block":
        return verdict
    reason = failure if verdict.state == "pass" else f"{verdict.reason} {failure}"
    return dataclasses.replace(verdict, state="fail", reason=reason, further_samples=None)
