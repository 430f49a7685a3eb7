"""What the registry says of a run, as frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.errors import RecordError
from ..core.types import VerdictState

if TYPE_CHECKING:
    from .sealed import Record

__all__ = [
    "PromotionInfo",
    "Rescan",
    "RunInfo",
    "as_run",
    "figure_values",
    "parse_utc",
    "run_values",
    "stored_path",
    "utc_text",
    "verdict_beside",
]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One registered run. `labels` are those under which it is the baseline of its suite now."""

    id: str
    suite_name: str
    name: str
    created_utc: str
    finished_utc: str | None
    path: Path
    suite_digest: str
    schema_version: int
    evalharness_version: str
    complete: bool
    n_samples: int
    verdict: str | None
    parent: str | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromotionInfo:
    """One promotion: which run was made the baseline of its suite under which label, when and why."""

    suite_name: str
    label: str
    run_id: str
    promoted_utc: str
    note: str


@dataclass(frozen=True, slots=True)
class Rescan:
    """What a rescan found: runs that were not registered, damaged folders with their fault, runs without a folder."""

    added: tuple[str, ...]
    n_found: int
    damaged: Mapping[str, str]
    missing: tuple[str, ...]


def as_run(row: Mapping[str, Any], *, reports: Path, labels: tuple[str, ...]) -> RunInfo:
    """A row of `runs` as a value, its path from where we stand."""
    values = {**row}
    values["path"] = reports / values["path"]  # an absolute path stays what it is
    for name in ("created_utc", "finished_utc"):
        values[name] = None if values[name] is None else utc_text(values[name])
    return RunInfo(**values, labels=labels)


def run_values(record: Record, path: str) -> dict[str, Any]:
    """What the table `runs` says of a record that lies at `path`, its id and verdict aside."""
    m = record.manifest
    return {
        "suite_name": m.suite_name,
        "name": m.name,
        "created_utc": parse_utc(m.created_utc, record.folder),
        "finished_utc": parse_utc(m.finished_utc, record.folder) if m.finished_utc else None,
        "path": path,
        "suite_digest": m.suite_digest,
        "schema_version": m.schema_version,
        "evalharness_version": m.evalharness_version,
        "complete": m.complete,
        "n_samples": sum(task.n_samples for task in m.tasks),
        "parent": m.parent,
    }


def figure_values(record: Record) -> list[dict[str, Any]]:
    """What the table `results` says of a record."""
    names = ("task", "model", "metric", "value", "ci_low", "ci_high", "n", "n_failed")
    return [
        {"run_id": record.id, "group_name": r.group, **{name: getattr(r, name) for name in names}}
        for r in record.results
    ]


def model_values(record: Record) -> list[dict[str, Any]]:
    """What the table `run_models` says of a record: the models that it has figures of, and when it was made."""
    made = parse_utc(record.manifest.created_utc, record.folder)
    models = dict.fromkeys(result.model for result in record.results)
    return [{"run_id": record.id, "model": model, "created_utc": made} for model in models]


def stored_path(folder: Path, reports: Path) -> str:
    """How the registry in `reports` writes the place of a record.

    Relative paths keep working where the whole reports folder is moved, or mounted elsewhere.
    """
    folder, reports = folder.resolve(), reports.resolve()
    return (folder.relative_to(reports) if folder.is_relative_to(reports) else folder).as_posix()


def parse_utc(text: str, folder: Path) -> datetime:
    """The point in time of an ISO 8601 text; one without a zone is taken as UTC.

    Raises:
        RecordError: if the text is no time.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise RecordError(
            f"{folder}: {text!r} is no time in ISO 8601; the record was not made by evalharness"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def verdict_beside(folder: Path) -> str | None:
    """What the gates said of the record in `folder`, where their outcome lies beside it."""
    try:
        body = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    state = body.get("state") if isinstance(body, dict) else None
    return state if state in get_args(VerdictState) else None


def utc_text(value: datetime) -> str:
    """A point in time as ISO 8601 in UTC, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
