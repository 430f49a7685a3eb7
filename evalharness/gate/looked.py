"""The gate of a record whose run was looked at while it went on: it decides nothing anew with a fresh error.

The suite's own gates, on the same baseline, were decided by the looks: their blocking verdicts stand as the record has
them, and where a rule was open after the last look it stays open. Other gates were not followed; they may use what the
boundary of the last look leaves to a rule that shares the error with all blocking rules. That is valid whenever the run
was stopped, for the boundaries of all looks together keep the error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..compare.sequential import Design
from ..core.types import Verdict
from ..suite.schema import Gates
from .looks import gates_digest
from .outcome import GateOutcome, overall_state

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["spent_gates", "stand_by_looks"]

# A boundary that cannot be crossed decides nothing; an alpha of 0 is no level.
_LEAST = 1e-12


def _looks(record: Record) -> Mapping[str, Any] | None:
    found = record.manifest.execution.get("looks")
    return found if isinstance(found, Mapping) else None


def spent_gates(record: Record, gates: Gates) -> Gates:
    """`gates` with the alpha that the last look of the record's run leaves to each rule; as they are without looks."""
    looks = _looks(record)
    if looks is None:
        return gates
    planned, made = int(looks["planned"]), int(looks["made"])
    fractions = tuple((number + 1) / planned for number in range(planned))
    blocking = sum(rule.tier == "block" for rule in gates.rules)
    design = Design(fractions, looks["spending"], gates.alpha, gives_up=False)
    level = design.level(made - 1, max(len(looks["rules"]), blocking, 1))
    return gates.model_copy(update={"alpha": max(level, _LEAST), "correction": "none"})


def stand_by_looks(outcome: GateOutcome, record: Record, gates: Gates) -> GateOutcome:
    """`outcome` with the verdicts of the looks where `gates` and the baseline are those that were looked at."""
    looks = _looks(record)
    if looks is None or outcome.policy_failure is not None or not _same(looks, gates, outcome):
        return outcome
    told = {entry["rule"]: entry for entry in looks["rules"]}
    verdicts = tuple(
        _stands(verdict, told[verdict.rule]) if verdict.tier == "block" and verdict.rule in told else verdict
        for verdict in outcome.verdicts
    )
    state = overall_state(verdicts)
    return dataclasses.replace(outcome, verdicts=verdicts, state=state, alpha=gates.alpha, correction=gates.correction)


def _same(looks: Mapping[str, Any], gates: Gates, outcome: GateOutcome) -> bool:
    return bool(looks["gates"] == gates_digest(gates) and looks["baseline_id"] == outcome.baseline_id)


def _stands(verdict: Verdict, told: Mapping[str, Any]) -> Verdict:
    if told["p_pass"] is None:
        return verdict  # there was no figure: the gate says why
    p = told["p_fail"] if told["state"] == "fail" else told["p_pass"]
    return dataclasses.replace(
        verdict,
        state=told["state"],
        reason=told["reason"],
        p_value=p,
        alpha=told["level"],
        further_samples=verdict.further_samples if told["state"] == "inconclusive" else None,
    )
