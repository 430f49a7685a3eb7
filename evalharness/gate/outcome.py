"""What a gate decided: the verdicts, the state of the whole, and the exit code that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compare.pairing import Pairing
from ..core.canonical import to_jsonable
from ..core.files import write_atomic
from ..core.types import Verdict, VerdictState

__all__ = ["EXIT_CODES", "GATE_FILE", "GateOutcome", "overall_state"]

EXIT_CODES: dict[VerdictState, int] = {"pass": 0, "fail": 1, "inconclusive": 4}
GATE_FILE = "gate.json"


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """All verdicts over one record, and what they come to.

    `pairings` stands in the order of `verdicts`, None where a rule has no baseline. `state` follows from the `block`
    rules alone. `policy_failure` is the sentence that fails every block rule (failed samples, an incomplete run), or
    None. Where bounds decide, `alpha` is the one-sided error of the verdicts and `correction` how it is kept.
    """

    run_id: str
    baseline_id: str | None
    verdicts: tuple[Verdict, ...]
    pairings: tuple[Pairing | None, ...]
    state: VerdictState
    decide_on: str
    confidence: float
    policy_failure: str | None = None
    alpha: float = 0.05
    correction: str = "holm"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return EXIT_CODES[self.state]

    @property
    def reason(self) -> str:
        """Why, in one sentence: what fails, else what is undecided, else how many rules hold."""
        block = [v for v in self.verdicts if v.tier == "block"]
        if self.policy_failure is not None and self.state == "fail":
            return self.policy_failure
        if self.state != "pass":
            hits = [v for v in block if v.state == self.state]
            more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
            return f"{hits[0].reason}{more}"
        if not block:
            return "No rule blocks a release, so nothing can fail."
        held = f"All {len(block)} blocking rules hold" if len(block) > 1 else "The blocking rule holds"
        missed = sum(v.state != "pass" for v in self.verdicts if v.tier != "block")
        if not missed:
            return f"{held}."
        return f"{held}; {missed} warn or info rule{'s do' if missed > 1 else ' does'} not pass."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; numbers that are not finite become strings."""
        body: dict[str, Any] = to_jsonable(
            {
                "schema_version": 1,
                "run_id": self.run_id,
                "baseline_id": self.baseline_id,
                "state": self.state,
                "exit_code": self.exit_code,
                "reason": self.reason,
                "decide_on": self.decide_on,
                "confidence": self.confidence,
                "alpha": self.alpha,
                "correction": self.correction,
                "policy_failure": self.policy_failure,
            }
        )
        body["verdicts"] = [
            {**to_jsonable(verdict), "pairing": to_jsonable(pairing)}
            for verdict, pairing in zip(self.verdicts, self.pairings, strict=True)
        ]
        return body

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> GateOutcome:
        """The outcome that `to_dict` wrote."""
        verdicts, pairings = [], []
        for entry in body["verdicts"]:
            entry = dict(entry)
            pairing = entry.pop("pairing", None)
            for key in ("value", "ci_low", "ci_high", "limit", "baseline_value", "p_value", "alpha"):
                entry[key] = None if entry.get(key) is None else float(entry[key])
            verdicts.append(Verdict(**entry))
            if pairing is not None:
                pairing = Pairing(**{**pairing, **{k: float(pairing[k]) for k in ("regression", "low", "high")}})
            pairings.append(pairing)
        return cls(
            run_id=body["run_id"],
            baseline_id=body["baseline_id"],
            verdicts=tuple(verdicts),
            pairings=tuple(pairings),
            state=body["state"],
            decide_on=body["decide_on"],
            confidence=float(body["confidence"]),
            policy_failure=body.get("policy_failure"),
            alpha=float(body.get("alpha", 0.05)),
            correction=str(body.get("correction", "none")),
        )

    def write(self, folder: Path) -> Path:
        """Write `gate.json` beside the record (it is no part of the seal) and return its path."""
        path = folder / GATE_FILE
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        # A lone surrogate from the data becomes \\ud800, which is how JSON writes it.
        write_atomic(path, text.encode("utf-8", "backslashreplace"))
        return path


def overall_state(verdicts: tuple[Verdict, ...]) -> VerdictState:
    """Fail if any block rule fails, else inconclusive if any is, else pass; other tiers never decide."""
    states = {v.state for v in verdicts if v.tier == "block"}
    return "fail" if "fail" in states else "inconclusive" if "inconclusive" in states else "pass"
