"""The gate on the summary page of a GitHub job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.errors import UsageError
from .comment import gate_markdown
from .outcome import GateOutcome

__all__ = ["SUMMARY_VARIABLE", "append_summary", "summary_markdown"]

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def summary_markdown(outcome: GateOutcome, *, suite: str) -> str:
    """What a comment on the change says, too: verdict, reason, rules, changes and chart. Nothing is read as markup."""
    return gate_markdown(outcome, suite=suite) + "\n"


def append_summary(outcome: GateOutcome, *, suite: str, environ: Mapping[str, str]) -> bool:
    """Append it to the file that `GITHUB_STEP_SUMMARY` names; returns whether there is one.

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
