"""What earlier runs of the same suite found, for the report of a later one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .plain import has_registry, plain_rows
from .runinfo import parse_utc, utc_text
from .text import unescape

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from .sealed import Record

__all__ = ["FigureKey", "History", "PastFigure", "history_of"]

FigureKey = tuple[str, str, str]
"""Task, model, metric."""


class PastFigure(NamedTuple):
    """A figure of an earlier run; NaN where it had nothing to measure."""

    run_id: str
    created_utc: str
    value: float


_PAST: Final = """
SELECT past.id, past.created_utc, results.task, results.model, results.metric, results.value
FROM (
  SELECT id, created_utc FROM runs
  WHERE suite_name = :suite AND complete AND created_utc < :before AND id <> :id
  ORDER BY created_utc DESC, id DESC LIMIT :most
) AS past
JOIN results ON results.run_id = past.id
WHERE results.group_name IS NULL
ORDER BY past.created_utc, past.id
"""


History = Mapping[FigureKey, tuple[PastFigure, ...]]


def history_of(
    record: Record, reports: Path, *, url: str | None = None, limit: int = 20
) -> dict[FigureKey, tuple[PastFigure, ...]]:
    """The figures of the last `limit` complete runs of the suite before `record`, oldest first.

    Runs that were scored anew from one another stand beside each other: they are runs, too. {} where there is no
    registry, and where the record is the first.

    Raises:
        EvalHarnessError: if there is a registry and it cannot be read.
    """
    if not has_registry(reports, url):
        return {}
    values = {
        "suite": record.manifest.suite_name,
        "before": parse_utc(record.manifest.created_utc, record.folder),
        "id": record.id,
        "most": limit,
    }
    found: dict[FigureKey, list[PastFigure]] = {}
    rows = plain_rows(reports, url, _PAST, values)
    for run_id, created, task, model, metric, value in (
        _decoded(rows) if rows is not None else _asked(reports, url, values)
    ):
        past = PastFigure(run_id, utc_text(created), math.nan if value is None else float(value))
        found.setdefault((task, model, metric), []).append(past)
    return {key: tuple(past) for key, past in found.items()}


def _decoded(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for run_id, created, task, model, metric, value in rows:
        at = datetime.fromisoformat(created).replace(tzinfo=UTC)
        yield (unescape(run_id), at, unescape(task), unescape(model), unescape(metric), value)


def _asked(reports: Path, url: str | None, values: Mapping[str, Any]) -> Sequence[Any]:
    from sqlalchemy import bindparam, text

    from .database import reading
    from .registry import RunRegistry
    from .tables import AnyText, Figure, UtcTime

    kinds: dict[str, TypeEngine[Any]] = {"suite": AnyText(), "before": UtcTime(), "id": AnyText()}
    query = text(_PAST).bindparams(*(bindparam(name, type_=kind) for name, kind in kinds.items()))
    words = {name: AnyText() for name in ("id", "task", "model", "metric")}
    with RunRegistry.open(url, reports=reports) as registry, reading(registry.engine) as connection:
        return connection.execute(query.columns(**words, created_utc=UtcTime(), value=Figure()), values).all()
