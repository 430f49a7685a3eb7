"""What `run.json` says: all about a run but its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from ..core.errors import RecordError
from ..core.types import Json, Kind, MetricResult
from .text import from_plain, to_plain

__all__ = ["SCHEMA_VERSION", "RunManifest", "TaskSummary"]

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task on one model: how much was asked, and in which states the answers came back.

    It reads as a mapping too: `summary["id"]`, `dict(summary)`.
    """

    id: str
    model: str
    kind: Kind
    identity: Mapping[str, str]
    n_samples: int
    n_requests: int
    states: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(f.name for f in fields(self))

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class RunManifest:
    """All about a run but its rows.

    `suite` is the resolved suite with secrets as placeholders and `suite_digest` its hash; `models` holds the identity
    of each model, `datasets` digest, row count and source of each dataset, `execution` how the run was carried out.
    `parent` is the id of the record that this one was scored anew from. `complete` is false for an interrupted run.
    """

    id: str
    name: str
    suite_name: str
    suite_digest: str
    suite: Mapping[str, Json]
    created_utc: str
    finished_utc: str
    evalharness_version: str
    versions: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    datasets: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    tasks: tuple[TaskSummary, ...] = ()
    results: tuple[MetricResult, ...] = ()
    execution: Mapping[str, Json] = field(default_factory=dict)
    seed: int = 0
    confidence: float = 0.95
    notes: tuple[str, ...] = ()
    parent: str | None = None
    complete: bool = True
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Take tasks as mappings too."""
        tasks = tuple(task if isinstance(task, TaskSummary) else _task(task) for task in self.tasks)
        object.__setattr__(self, "tasks", tasks)

    def to_json(self) -> str:
        """The text of `run.json`: indented, strict JSON; the numbers of figures that are not finite as "nan", "inf"."""
        plain: dict[str, Any] = {"schema_version": self.schema_version}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "tasks":
                plain["tasks"] = [_mapping(task) for task in value]
            elif f.name == "results":
                plain["results"] = [_result_to_plain(result) for result in value]
            else:
                plain[f.name] = to_plain(value)
        return json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, place: str = "run.json") -> RunManifest:
        """The manifest that `to_json` was called on.

        Raises:
            RecordError: if the text is not a manifest, or of a newer schema version.
        """
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise RecordError(
                f"{place} is damaged: it is not JSON ({error}); restore the record from a copy"
            ) from error
        if not isinstance(plain, dict) or not isinstance(plain.get("schema_version"), int):
            raise RecordError(f"{place} is not the manifest of a run: it has no schema_version")
        version, writer = plain["schema_version"], plain.get("evalharness_version", "?")
        if version > SCHEMA_VERSION:
            raise RecordError(
                f"{place} has schema version {version} (written by evalharness {writer}), "
                f"and this evalharness reads up to {SCHEMA_VERSION}; upgrade it: pip install -U evalharness"
            )
        known = {f.name for f in fields(cls)}
        try:
            values = {name: from_plain(plain[name]) for name in plain.keys() & known - {"tasks", "results"}}
            values["notes"] = tuple(values.get("notes", ()))
            values["tasks"] = tuple(_task(from_plain(task)) for task in plain["tasks"])
            values["results"] = tuple(_result_from_plain(result) for result in plain["results"])
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(
                f"{place} is damaged: {type(error).__name__}: {error}; restore the record from a copy"
            ) from error


def _mapping(value: Any) -> dict[str, Any]:
    return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}


def _task(values: Mapping[str, Any]) -> TaskSummary:
    return TaskSummary(**{**values, "labels": tuple(values.get("labels", ()))})


_NUMBERS: Final = ("value", "ci_low", "ci_high", "confidence")
_LISTS: Final = ("bounds", "totals")


def _number(value: float) -> float | str:
    value = float(value)
    return value if value - value == 0.0 else repr(value)  # NaN and infinities are the ones that differ from themselves


def _result_to_plain(result: MetricResult) -> dict[str, Any]:
    plain = {f.name: getattr(result, f.name) for f in fields(result)}
    for name in _NUMBERS:
        plain[name] = _number(plain[name])
    for name in _LISTS:
        plain[name] = [_number(item) for item in plain[name]]
    return {name: to_plain(value) for name, value in plain.items()}


def _result_from_plain(plain: dict[str, Any]) -> MetricResult:
    values = from_plain(plain)
    for name in _NUMBERS:
        values[name] = float(values[name])
    low, high = map(float, values["bounds"])
    return MetricResult(
        **{
            **values,
            "bounds": (low, high),
            "columns": tuple(values["columns"]),
            "totals": tuple(float(item) for item in values["totals"]),
        }
    )
