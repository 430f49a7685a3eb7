"""The run whose answers a report sets beside a record's own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalharness.record import Record
    from evalharness.report.sample_baseline import Baseline

__all__ = ["baseline_beside", "named_baseline"]


def named_baseline(record: Record, name: str, reports: Path, *, url: str | None = None) -> Baseline:
    """The baseline that `RUN` or `RUN:MODEL` names.

    Raises:
        UsageError: there is no such run, or it has no sample in common with `record`.
    """
    from evalharness.compare.subjects import subject_of
    from evalharness.core.errors import UsageError
    from evalharness.record.foreign import open_record
    from evalharness.report.sample_baseline import Baseline

    try:
        found = Baseline(open_record(name, reports=reports, url=url))
    except UsageError:
        run, colon, model = name.rpartition(":")
        if not colon:
            raise
        subject = subject_of(open_record(run, reports=reports, url=url), model)
        if subject.model is None:
            raise UsageError(f"--baseline {name}: {model} is a task; name a run, or a model of one: RUN:MODEL") from None
        found = Baseline(subject.record, subject.model)
    if not found.places(record):
        raise UsageError(
            f"--baseline {name}: {found.name} has no figure in common with {record.id}, so that no sample stands beside "
            "another; name a run of the same tasks, or one model of it: RUN:MODEL"
        )
    return found


def baseline_beside(record: Record, gate: Any, reports: Path, *, url: str | None = None) -> Baseline | None:
    """The baseline that the gates of `record` were decided against; None where there was none.

    `gate` is the outcome, or what gate.json holds. Where the run is not here any more, that is said: a report says what
    the record holds, and must not depend on another one.
    """
    from evalharness.core.errors import EvalHarnessError
    from evalharness.record.foreign import open_record
    from evalharness.report.sample_baseline import Baseline

    name = gate.get("baseline_id") if isinstance(gate, Mapping) else getattr(gate, "baseline_id", None)
    if not name:
        return None
    # Another model of the same run may be the baseline.
    if name in record.manifest.models:
        return Baseline(record, name)
    try:
        found = Baseline(open_record(name, reports=reports, url=url))
    except EvalHarnessError as error:
        print(f"evalharness: the report shows no answers of the baseline {name}: {error}", file=sys.stderr)
        return None
    return found if found.places(record) else None
