"""The gates that a record's own suite names: finds the baseline, decides, and hands the outcome on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from ..suite.schema import Gates
from .evaluate import evaluate_gates
from .junit import write_junit
from .outcome import GateOutcome
from .summary import append_summary

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["decide_record", "find_baseline", "gates_of", "publish"]


def gates_of(record: Record) -> Gates | None:
    """The gates in the suite that the record carries; None where it has none."""
    body = record.manifest.suite.get("gates")
    return None if body is None else Gates.model_validate(body)


def needs_baseline(gates: Gates) -> bool:
    """Whether a rule compares with a baseline."""
    return any(rule.is_paired for rule in gates.rules)


def find_baseline(name: str, *, reports: Path, registry_url: str | None = None) -> Record:
    """The record that `suite@label`, a run id, its beginning, `latest`, a folder or a file of lm-eval's names.

    Raises:
        UsageError: if there is none, with the command that makes one.
    """
    from ..record.foreign import open_record

    try:
        return open_record(name, reports=reports, url=registry_url)
    except UsageError as error:
        message = f"the baseline {name!r} cannot be had: {error}"
        if "evalharness promote" not in message:
            message += f"\npromote a run: evalharness promote RUN --as {name.partition('@')[2] or 'production'}"
        raise UsageError(message) from error


def decide_record(
    record: Record,
    *,
    gates: Gates | None = None,
    baseline: str | None = None,
    reports: Path = Path("reports"),
    registry_url: str | None = None,
) -> GateOutcome | None:
    """Decide `gates` (default: those of the record's suite) on `record`; None where there are none.

    `baseline` overrides the one that the gates name; it is looked up only if a rule needs it.

    Raises:
        UsageError: if a rule needs a baseline and there is none.
        NotComparableError: if the baseline cannot be compared with.
    """
    gates = gates if gates is not None else gates_of(record)
    if gates is None:
        return None
    name = baseline or (gates.baseline if isinstance(gates.baseline, str) else None)
    against = None
    if name is not None and needs_baseline(gates):
        against = find_baseline(name, reports=reports, registry_url=registry_url)
    return evaluate_gates(record, gates, baseline=against)


def publish(
    outcome: GateOutcome,
    record: Record,
    *,
    junit: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """Write gate.json beside the record, JUnit XML to `junit`, and GitHub's step summary where it is asked for.

    Returns the path of gate.json.

    Raises:
        UsageError: if one of the files cannot be written.
    """
    suite = record.manifest.suite_name
    try:
        path = outcome.write(record.folder)
        if junit is not None:
            write_junit(outcome, junit, suite=suite)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written ({error.strerror}); choose another place") from error
    append_summary(outcome, suite=suite, environ=os.environ if environ is None else environ)
    return path
