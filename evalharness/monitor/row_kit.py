"""Windows compared row by row: an interval's numbers are kept whole, under no bins, and tested by every row.

Exact, and as large as its rows: about a hundred bytes a response, compressed. Texts are not kept, only their lengths.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.canonical import digest
from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse

from .operations import NUMBERS, numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

    from .define import Definition

__all__ = ["COMPARED", "RowKit"]

COMPARED: Final = (*NUMBERS, "error", "finish_reason")
"""The columns that are compared, in their order."""
_CLUSTER: Final = "conversation"
_SEGMENT: Final = "segment "


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of responses as an Arrow table."""

    table: pa.Table

    @property
    def n(self) -> int:
        """How many."""
        return int(self.table.num_rows)


@dataclass(frozen=True, slots=True)
class Columns:
    """The layout of rows: which columns there are."""

    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A hash of them."""
        return digest(["rows", *self.names])

    def to_bytes(self) -> bytes:
        """One name a line."""
        return "\n".join(self.names).encode()


@dataclass(slots=True)
class Kept:
    """The rows of a window."""

    layout: Columns
    tables: list[Any] = field(default_factory=list)

    @property
    def n(self) -> int:
        """How many."""
        return sum(table.num_rows for table in self.tables)

    def update(self, rows: Rows) -> None:
        """Take a batch in."""
        self.tables.append(rows.table)

    @property
    def whole(self) -> Any:
        """All rows as one table."""
        import pyarrow as pa

        return pa.concat_tables(self.tables)

    def to_bytes(self) -> bytes:
        """Arrow's stream format, compressed."""
        import pyarrow as pa

        sink = io.BytesIO()
        whole = self.whole
        with pa.ipc.new_stream(sink, whole.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(whole)
        return sink.getvalue()


class RowKit:
    """What compares the windows of a monitor by their rows (`measure.Kit`, `references.Instruments`)."""

    def __init__(self, definition: Definition) -> None:
        monitor = definition.monitor
        self._drift = monitor.drift
        self._columns = tuple(name for name in COMPARED if monitor.columns is None or name in monitor.columns)
        self._segments = monitor.segments

    @property
    def instruments(self) -> RowKit:
        """Itself."""
        return self

    def table(self, responses: Sequence[ProductionResponse]) -> Rows:
        """A batch of responses as rows."""
        import pyarrow as pa

        numbers = numbers_of(responses)
        found: dict[str, Any] = {}
        for name in self._columns:
            if name == "error":
                found[name] = pa.array([one.error is not None for one in responses], pa.bool_())
            elif name == "finish_reason":
                found[name] = pa.array([one.finish_reason or None for one in responses], pa.string())
            else:
                # NaN is "not known", and null in Arrow.
                found[name] = pa.array(numbers[:, NUMBERS.index(name)], pa.float64(), from_pandas=True)
        for name in self._segments:
            values = [one.attributes.get(name) for one in responses]
            found[_SEGMENT + name] = pa.array([None if v is None else str(v) for v in values], pa.string())
        found[_CLUSTER] = pa.array([one.conversation for one in responses], pa.string())
        return Rows(pa.table(found))

    def freeze(self, tables: Iterable[Rows]) -> Columns:
        """Rows need no bins."""
        return Columns((*self._columns, *(_SEGMENT + name for name in self._segments), _CLUSTER))

    def layout(self, data: bytes) -> Columns:
        """What `Columns.to_bytes` wrote."""
        return Columns(tuple(data.decode().split("\n")))

    def state(self, layout: Any) -> Kept:
        """An empty window."""
        return Kept(layout)

    def restored(self, data: bytes, layout: Any) -> Kept:
        """What `Kept.to_bytes` wrote."""
        import pyarrow as pa

        with pa.ipc.open_stream(data) as reader:
            return Kept(layout, [reader.read_all()])

    def compare(self, reference: Any, current: Any) -> tuple[DriftFinding, ...]:
        """Each column, whole and by segment; one that nobody knows a value of is left out."""
        from evalharness.drift.policy import Policy
        from evalharness.drift.table import Table
        from evalharness.drift.window import compare_tables

        sides = [reference.whole, current.whole]
        known = [n for n in self._columns if any(side.column(n).null_count < side.num_rows for side in sides)]
        if not known:
            return ()
        clustered = all(side.column(_CLUSTER).null_count == 0 for side in sides)
        segments = {_SEGMENT + name: name for name in self._segments}
        tables = []
        for side in sides:
            side = side.select([*known, *segments, *([_CLUSTER] if clustered else [])])
            side = side.rename_columns([segments.get(name, name) for name in side.column_names])
            made = Table.of(
                side,
                kinds={name: "category" if name in ("error", "finish_reason") else "numeric" for name in known},
                columns=known,
                segments=self._segments,
                cluster=_CLUSTER if clustered else None,
                what="the interval",
            )
            tables.append(made)
        rules = self._drift.rules
        policy = Policy(
            alpha=self._drift.alpha,
            correction=self._drift.correction,
            least_n=self._drift.least_n,
            tests={rule.column: rule.test for rule in rules if rule.test is not None},
            effects={rule.column: rule.effect for rule in rules if rule.effect is not None},
        )
        return tuple(f for f in compare_tables(tables[0], tables[1], policy).findings if not _says_nothing(f))


def _says_nothing(finding: DriftFinding) -> bool:
    """Whether neither side has a row of it: a segment of a column that is not known there."""
    return finding.n_reference == 0 and finding.n_current == 0 and math.isnan(finding.p_value)
