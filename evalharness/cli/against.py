"""The run that a report sets beside a record."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalharness.record import Record

__all__ = ["baseline_beside"]


def baseline_beside(
    record: Record, gate: Any, reports: Path, *, url: str | None = None, baseline: str | None = None
) -> Record | None:
    """The run called `baseline`, which must be there, else the one that the gates were decided against.

    `gate` is their outcome, or what gate.json holds. Where that run is not here any more, it is said: a report says
    what its record holds, and must not depend on another one.

    Raises:
        UsageError: there is no run called `baseline`.
    """
    from evalharness.core.errors import EvalHarnessError
    from evalharness.record.foreign import open_record

    if baseline is not None:
        return open_record(baseline, reports=reports, url=url)
    name = gate.get("baseline_id") if isinstance(gate, Mapping) else getattr(gate, "baseline_id", None)
    # Another model of the same run is found without.
    if not name or name in record.manifest.models:
        return None
    try:
        return open_record(str(name), reports=reports, url=url)
    except EvalHarnessError as error:
        print(f"evalharness: the baseline is left out of the report: {error}", file=sys.stderr)
        return None
