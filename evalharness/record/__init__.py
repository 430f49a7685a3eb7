"""The sealed run, and the registry of runs and baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .manifest import RunManifest, TaskSummary
from .ratings import Rating
from .register import register
from .rows import SampleRow, ScoreRow, ScoreTable, StatsRow, StatsTable
from .sealed import Record, seal

if TYPE_CHECKING:
    from .registry import RunRegistry
    from .runinfo import RunInfo

__all__ = [
    "Rating",
    "Record",
    "RunInfo",
    "RunManifest",
    "RunRegistry",
    "SampleRow",
    "ScoreRow",
    "ScoreTable",
    "StatsRow",
    "StatsTable",
    "TaskSummary",
    "register",
    "seal",
]


def __getattr__(name: str) -> Any:
    # SQLAlchemy is loaded when the registry is used: reading a record needs none of it.
    if name == "RunRegistry":
        from .registry import RunRegistry

        return RunRegistry
    if name == "RunInfo":
        from .runinfo import RunInfo

        return RunInfo
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
