"""The tables of monitoring: monitors, their intervals with what these measured and found, and who may write.

An interval is `[start_utc, end_utc)`. Read again with other rows it gets a further revision; all of them are kept.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from .tables import METADATA, AnyText, Figure, UtcTime, _column, _number

__all__ = ["DEPLOYMENTS", "FIGURES", "FINDINGS", "INTERVALS", "LEASES", "MONITORS"]

MONITORS: Final = Table(
    "monitors",
    METADATA,
    Column("name", AnyText, primary_key=True),
    _column("definition", AnyText),
    _column("definition_digest", AnyText),
    _column("path", AnyText),
    _column("created_utc", UtcTime),
    _column("updated_utc", UtcTime),
    _column("cursor_utc", UtcTime),
)
"""One monitor a row. `definition` is its JSON, secrets as placeholders; up to `cursor_utc` no scheduled interval is
left to run."""

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("name", AnyText, primary_key=True),
    _column("holder", AnyText),
    _column("token", Integer),
    _column("expires_utc", UtcTime),
)
"""Who may write under a name. `token` grows by one with each new holder: writes with an older one are refused."""

INTERVALS: Final = Table(
    "intervals",
    METADATA,
    _number(),
    _column("monitor", AnyText),
    _column("start_utc", UtcTime),
    _column("end_utc", UtcTime),
    _column("revision", Integer),
    _column("status", AnyText),
    _column("message", AnyText),
    _column("token", Integer),
    _column("attempts", Integer),
    _column("started_utc", UtcTime),
    _column("recorded_utc", UtcTime),
    _column("checked_utc", UtcTime),
    _column("n_rows", Integer),
    _column("n_duplicates", Integer),
    _column("n_quarantined", Integer),
    _column("n_late", Integer),
    _column("n_findings", Integer),
    _column("n_drifted", Integer),
    _column("reference", AnyText),
    _column("definition_digest", AnyText),
    _column("input_digest", AnyText),
    _column("layout_digest", AnyText),
    _column("path", AnyText),
    UniqueConstraint("monitor", "start_utc", "end_utc", "revision"),
    Index(None, "monitor", "end_utc"),
    Index(None, "monitor", "checked_utc"),
)
"""One revision of an interval a row.

`status`: compared, no_reference, no_data, error, or skipped (a span of time that `catch_up` left out). `checked_utc` is
when it was last read (1970 where that was by a clock that was ahead). `path` is relative to the reports folder, ""
where there are no files.
"""

FIGURES: Final = Table(
    "figures",
    METADATA,
    _number(),
    _column("interval_id", Integer, ForeignKey("intervals.id", ondelete="CASCADE")),
    _column("column_name", AnyText),
    _column("segment", AnyText),
    _column("name", AnyText),
    _column("value", Figure, null=True),
    _column("ci_low", Figure, null=True),
    _column("ci_high", Figure, null=True),
    _column("n", Integer),
    Index(None, "interval_id"),
)
"""One figure of an interval a row; `segment` is "" for the whole interval, else language=de."""

FINDINGS: Final = Table(
    "findings",
    METADATA,
    _number(),
    _column("interval_id", Integer, ForeignKey("intervals.id", ondelete="CASCADE")),
    _column("column_name", AnyText),
    _column("segment", AnyText),
    _column("kind", AnyText),
    _column("test", AnyText),
    _column("state", AnyText),
    _column("reason", AnyText),
    _column("p_value", Figure, null=True),
    _column("q_value", Figure, null=True),
    _column("effect", Figure, null=True),
    _column("effect_low", Figure, null=True),
    _column("effect_high", Figure, null=True),
    _column("effect_name", AnyText),
    _column("effect_threshold", Figure, null=True),
    _column("smallest_effect", Figure, null=True),
    _column("statistic", Figure, null=True),
    _column("n_reference", Integer),
    _column("n_current", Integer),
    Index(None, "interval_id"),
)
"""One finding (`core.drifting.DriftFinding`) of an interval a row."""

DEPLOYMENTS: Final = Table(
    "deployments",
    METADATA,
    _number(),
    _column("monitor", AnyText),
    _column("at_utc", UtcTime),
    _column("text", AnyText),
    _column("noted_by", AnyText),
    _column("noted_utc", UtcTime),
    Index(None, "monitor", "at_utc"),
)
"""Something that was put into production, a row; charts of the monitor bear its mark."""
