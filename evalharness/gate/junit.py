"""Verdicts as JUnit XML, which every CI system reads."""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from ..core.files import write_atomic
from ..core.types import Verdict
from .outcome import GateOutcome

__all__ = ["junit_xml", "write_junit"]

# What XML 1.0 cannot hold, not even as a character reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(outcome: GateOutcome, *, suite: str) -> str:
    """One test case a verdict: a failed block rule is a failure, an inconclusive one an error.

    JUnit means by a failure that the test says no, by an error that it could not say: so it is here, and both fail a
    build. Rules of the tiers `warn` and `info` never do: where they do not hold they are skipped, with the reason.
    Valid by the schema of Jenkins's xUnit plugin (junit-10.xsd).
    """
    cases = [_case(verdict, suite) for verdict in outcome.verdicts]
    kinds = [_element(verdict) for verdict in outcome.verdicts]
    counts = f'tests="{len(cases)}" failures="{kinds.count("failure")}" errors="{kinds.count("error")}" time="0"'
    name = quoteattr(_clean(f"evalharness gate: {suite}"))
    properties = {
        "run_id": outcome.run_id,
        "baseline_id": outcome.baseline_id or "",
        "state": outcome.state,
        "decide_on": outcome.decide_on,
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name={name} {counts} skipped="{kinds.count("skipped")}">',
        "    <properties>",
        *(f"      <property name={quoteattr(k)} value={quoteattr(_clean(v))}/>" for k, v in properties.items()),
        "    </properties>",
        *cases,
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def write_junit(outcome: GateOutcome, path: Path, *, suite: str) -> None:
    """Write `junit_xml` to `path`, making its folder."""
    write_atomic(path, junit_xml(outcome, suite=suite))


def _element(verdict: Verdict) -> str | None:
    if verdict.state == "pass":
        return None
    if verdict.tier != "block":
        return "skipped"
    return "failure" if verdict.state == "fail" else "error"


def _case(verdict: Verdict, suite: str) -> str:
    classname = ".".join(part for part in (suite, verdict.task, verdict.model) if part)
    head = f'    <testcase classname={quoteattr(_clean(classname))} name={quoteattr(_clean(verdict.rule))} time="0">'
    element = _element(verdict)
    lines = [head]
    if element is not None:
        kind = "" if element == "skipped" else f" type={quoteattr(verdict.state)}"
        prefix = f"[{verdict.tier}] {verdict.state}: " if element == "skipped" else ""
        lines.append(f"      <{element} message={quoteattr(_clean(prefix + verdict.reason))}{kind}/>")
    lines.append(
        f"      <system-out>{escape(_clean(f'{verdict.state} ({verdict.tier}): {verdict.reason}'))}</system-out>"
    )
    lines.append("    </testcase>")
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 0x100 else f"\\u{ord(m[0]):04x}", text)
