"""People's ratings of a record, for the verbs that show or write its report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.record import Rating, Record

__all__ = ["ratings_beside"]


def ratings_beside(record: Record, reports: Path, *, url: str | None = None) -> tuple[Rating, ...]:
    """The ratings of `record` in the registry; where that cannot be read, it is said, and there are none.

    A report says what the record holds: it must not depend on a database that happens to be away.
    """
    from evalharness.core.errors import EvalHarnessError
    from evalharness.record.rated import ratings_of

    try:
        return ratings_of(record.id, reports, url=url)
    except EvalHarnessError as error:
        print(f"evalharness: people's ratings are left out of the report: {error}", file=sys.stderr)
        return ()
