"""Verdicts as a Markdown table for the summary page of a GitHub job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import UsageError
from .decide import show
from .outcome import GateOutcome

__all__ = ["SUMMARY_VARIABLE", "append_summary", "summary_markdown"]

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_SIGN = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~!@&])")


def summary_markdown(outcome: GateOutcome, *, suite: str) -> str:
    """A heading with the state, why, and one row a verdict. Nothing in names or reasons is read as markup."""
    against = f" against `{_code(outcome.baseline_id)}`" if outcome.baseline_id else ""
    lines = [
        f"### Gate of {_cell(suite)}: {_SIGN[outcome.state]}",
        "",
        _cell(outcome.reason),
        "",
        f"Run `{_code(outcome.run_id)}`{against}.",
        "",
    ]
    if outcome.verdicts:
        lines += ["| verdict | rule | value | n | tier | why |", "|---|---|--:|--:|---|---|"]
        lines += [
            f"| {_SIGN[v.state]} | {_cell(v.rule)} | {show(v.value)} | {v.n:,} | {v.tier} | {_cell(v.reason)} |"
            for v in outcome.verdicts
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def append_summary(outcome: GateOutcome, *, suite: str, environ: Mapping[str, str]) -> bool:
    """Append the table to the file that `GITHUB_STEP_SUMMARY` names; returns whether there is one.

    Raises:
        UsageError: if the file cannot be written.
    """
    target = environ.get(SUMMARY_VARIABLE)
    if not target:
        return False
    try:
        with Path(target).open("a", encoding="utf-8", errors="replace", newline="\n") as handle:
            handle.write(summary_markdown(outcome, suite=suite))
    except OSError as error:
        raise UsageError(
            f"{SUMMARY_VARIABLE} names {target}, which cannot be written ({error.strerror}); unset it or correct it"
        ) from error
    return True


def _cell(text: str) -> str:
    flat = "".join(c if c.isprintable() or c == " " else " " for c in text)
    return _ACTIVE.sub(r"\\\1", flat)


def _code(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c in "-_.@")
