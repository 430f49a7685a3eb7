"""What stands beside a record, for the verbs that show or write its report: ratings, earlier runs, the baseline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

if TYPE_CHECKING:
    from evalharness.gate import GateOutcome
    from evalharness.record import Rating, Record
    from evalharness.record.history import History

__all__ = ["Beside", "beside", "ratings_beside"]

T = TypeVar("T")


class Beside(TypedDict):
    """The keywords of `write_reports` and `render_html`."""

    ratings: tuple[Rating, ...]
    history: History
    baseline: Record | None


def beside(
    record: Record,
    gate: GateOutcome | Mapping[str, Any] | None,
    reports: Path,
    *,
    url: str | None = None,
    baseline: str | None = None,
) -> Beside:
    """What people said of `record`, what earlier runs found, and the run it is compared with.

    That is the run called `baseline`, else the one that the gate compared with. What cannot be read is left out, and
    said on stderr: a report says what its record holds, and must not depend on a database that happens to be away. A
    `baseline` that is asked for by name must be there.
    """
    from evalharness.record.foreign import open_record
    from evalharness.record.history import history_of

    against = None
    if baseline is not None:
        against = open_record(baseline, reports=reports, url=url)
    elif gate is not None:
        name = gate.get("baseline_id") if isinstance(gate, Mapping) else gate.baseline_id
        # A baseline may be another model of the same run: its figures stand in the tables anyway.
        if name and name not in record.manifest.models:
            found = str(name)
            against = _tried("the baseline is", lambda: open_record(found, reports=reports, url=url), None)
    return Beside(
        ratings=ratings_beside(record, reports, url=url),
        history=_tried("earlier runs are", lambda: history_of(record, reports, url=url), {}),
        baseline=against,
    )


def ratings_beside(record: Record, reports: Path, *, url: str | None = None) -> tuple[Rating, ...]:
    """The ratings of `record` in the registry; where that cannot be read, it is said, and there are none."""
    from evalharness.record.rated import ratings_of

    return _tried("people's ratings are", lambda: ratings_of(record.id, reports, url=url), ())


def _tried(what: str, read: Callable[[], T], otherwise: T) -> T:
    from evalharness.core.errors import EvalHarnessError

    try:
        return read()
    except EvalHarnessError as error:
        print(f"evalharness: {what} left out of the report: {error}", file=sys.stderr)
        return otherwise
