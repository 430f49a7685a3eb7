"""A drift report that gives a pandas frame."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ..core.canonical import to_jsonable
from ..core.drifting import DriftFinding, DriftReport

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Drift"]

_TEXT = frozenset({"column", "kind", "test", "state", "reason", "effect_name", "segment"})


@dataclass(frozen=True, slots=True)
class Drift(DriftReport):
    """What `evalharness.drift` returns: the report, as a frame or as JSON."""

    def frame(self) -> pd.DataFrame:
        """One row a column and segment, with the names of `DriftFinding`, and whether it has drifted."""
        import pandas as pd

        rows = [asdict(finding) for finding in self.findings]
        columns: dict[str, Any] = {}
        for field in fields(DriftFinding):
            cells = [row[field.name] for row in rows]
            columns[field.name] = pd.Series(cells, dtype="object" if field.name in _TEXT else None)
        columns["drifted"] = pd.Series([finding.drifted for finding in self.findings], dtype=bool)
        return pd.DataFrame(columns)

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain JSON types; numbers that are not finite as "nan" and "inf"."""
        found: dict[str, Any] = to_jsonable(self)
        return found
