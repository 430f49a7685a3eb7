"""What a window of any length leaves behind: counts, moments and sketches that can be added up.

States are a commutative monoid under `merge`, with the empty state as its unit: hours add up to days and shards to a
whole, and nothing has to be read again. Counts are exactly those of a single pass, sums equal up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from ..core.errors import NotComparableError, UsageError
from ..core.registry import suggestion
from ..stats.arrays import Floats, Ints
from .base import Counts, Features, Moments
from .bounded import distinct_estimate
from .column_states import (
    HASHES,
    CategoryState,
    ColumnState,
    EmbeddingState,
    NumericState,
    TextState,
    empty_state,
)
from .groups import group_of
from .layout import OTHER, Layout
from .table import Column, Table

__all__ = ["WindowState"]

StateT = TypeVar("StateT", NumericState, CategoryState, TextState, EmbeddingState)


class WindowState:
    """The state of one window under a frozen layout.

    `n` counts its rows. `clustered` says whether rows had clusters (None: no rows yet). `parts` holds the states of
    all columns for the whole window under "", and for each known value of a segment under "language=de".
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.clustered: bool | None = None
        self.sizes: dict[str, int] = {}
        self.parts: dict[str, dict[str, ColumnState]] = {}
        self.part("")

    @property
    def n(self) -> int:
        """The rows."""
        return self.sizes[""]

    @property
    def segments(self) -> tuple[str, ...]:
        """The values of segments that rows were seen of, such as "language=de", in alphabetical order."""
        return tuple(sorted(name for name in self.parts if name))

    def part(self, segment: str) -> dict[str, ColumnState]:
        """The states of a segment, made if they are not there yet."""
        if segment not in self.parts:
            self.sizes[segment] = 0
            made = {name: empty_state(one, self.layout.groups) for name, one in self.layout.columns.items()}
            self.parts[segment] = made
        return self.parts[segment]

    def update(self, table: Table, *, threads: int = 1) -> None:
        """Add the rows of `table`, its columns in so many threads; columns that the layout does not have are left out.

        Raises:
            UsageError: for a column that is missing or of another kind, and for rows with clusters in a window whose
                rows had none (or the other way round).
        """
        self._check(table)
        if not table.n:
            return
        self._claim(table.clusters is not None)
        group = None if table.clusters is None else group_of(table.clusters, self.layout.groups)
        jobs = [
            (state, column, rows, group)
            for segment, rows in self._rows(table)
            for state, column in self._pairs(segment, table, rows)
        ]
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda job: _add_rows(*job), jobs))
        else:
            for job in jobs:
                _add_rows(*job)

    def _pairs(self, segment: str, table: Table, rows: Ints | None) -> Iterator[tuple[ColumnState, Column]]:
        states = self.part(segment)
        self.sizes[segment] += table.n if rows is None else len(rows)
        for name, state in states.items():
            yield state, table.columns[name]

    def _claim(self, clustered: bool) -> None:
        if self.clustered is None:
            self.clustered = clustered
        elif self.clustered != clustered:
            raise UsageError(
                "some rows of this window have clusters and others have none; name the column of clusters for all or "
                "for none"
            )

    def _check(self, table: Table) -> None:
        for name, one in self.layout.columns.items():
            if name not in table.columns:
                raise UsageError(
                    f"the window has no column {name!r}, which the reference has; its columns: {_list(table.columns)}"
                )
            column = table.columns[name]
            if column.kind != one.kind:
                raise UsageError(f"column {name!r} is {column.kind} here and {one.kind} in the reference")
            if column.encoder != one.encoder:
                raise UsageError(
                    f"column {name!r} comes from another encoder than in the reference; embed both by one, or freeze "
                    "the reference anew"
                )
            width = np.asarray(column.values).shape[1:] if one.kind == "embedding" and table.n else (one.dimensions,)
            # No numbers at all: a chunk in which all vectors are missing.
            if one.kind == "embedding" and width not in ((one.dimensions,), (0,)):
                raise UsageError(
                    f"column {name!r} has vectors of {width[0] if width else 0} numbers here and of {one.dimensions} "
                    "in the reference"
                )
        for name in self.layout.segments:
            if name not in table.segments:
                raise UsageError(f"the window has no segment {name!r}, which the reference has")

    def _rows(self, table: Table) -> Iterator[tuple[str, Ints | None]]:
        yield "", None
        for name, known in self.layout.segments.items():
            column = table.segments[name]
            places = {level: i for i, level in enumerate(known)}
            to = np.array([*(places.get(level, len(known)) for level in column.levels), len(known) + 1], dtype=np.int64)
            codes = to[np.asarray(column.values, dtype=np.int64)]
            order = np.argsort(codes, kind="stable")
            ends = np.cumsum(np.bincount(codes, minlength=len(known) + 2))
            for i, rows in enumerate(np.split(order, ends[:-1])):
                # Rows without a value (the last) are in no segment.
                if rows.size and i <= len(known):
                    yield f"{name}={known[i] if i < len(known) else OTHER}", rows

    def merge(self, other: WindowState) -> None:
        """Add all that another state has seen.

        Raises:
            NotComparableError: where the layouts differ; the message names the field.
            UsageError: where one has clusters and the other none.
        """
        if self.layout.digest != other.layout.digest:
            raise NotComparableError(
                f"two window states are of different layouts: {self.layout.difference(other.layout)}; "
                "make both from one frozen reference"
            )
        if other.clustered is not None:
            self._claim(other.clustered)
        for segment, theirs in other.parts.items():
            mine = self.part(segment)
            self.sizes[segment] += other.sizes[segment]
            for name, state in theirs.items():
                mine[name].merge(state)  # type: ignore[arg-type]  # one layout: both are of one kind

    def column(self, name: str, segment: str = "") -> ColumnState:
        """The state of a column, in a segment.

        Raises:
            UsageError: for a column that the layout does not have.
        """
        if name not in self.layout.columns:
            known = list(self.layout.columns)
            raise UsageError(f"there is no column {name!r}{suggestion(name, known) or '; known: ' + _list(known)}")
        found = self.parts.get(segment)
        return empty_state(self.layout.columns[name], self.layout.groups) if found is None else found[name]

    def counts(self, name: str, segment: str = "") -> Counts:
        """Rows by bin (numeric), level and others (category), or texts by term (text).

        Raises:
            UsageError: for an embedding, which is not counted.
        """
        state = self.column(name, segment)
        if isinstance(state, EmbeddingState):
            raise UsageError(f"column {name!r} is an embedding and has no counts; ask for its features")
        by_group = state.by_group if self.clustered or isinstance(state, TextState) else None
        if by_group is None and self.clustered:
            by_group = np.zeros((self.layout.groups, state.layout.size), dtype=np.int64)
        numeric = isinstance(state, NumericState)
        return Counts(
            state.counts.astype(np.float64),
            None if by_group is None else by_group.astype(np.float64),
            order=numeric,
            positions=np.array(state.layout.positions) if numeric else None,
        )

    def moments(self, name: str, segment: str = "") -> Moments:
        """Number, mean and variance of a numeric column; NaN where there are no rows (for the variance: one)."""
        state = self._of(name, segment, NumericState)
        n, (mean, squares) = state.n, map(float, state.moments)
        groups: Floats | None = None
        if state.by_group is not None and state.sums is not None:
            groups = np.stack([state.by_group.sum(axis=1).astype(np.float64), state.sums], axis=1)
        return Moments(n, mean if n else float("nan"), squares / (n - 1) if n > 1 else float("nan"), groups)

    def features(self, name: str, segment: str = "") -> Features:
        """The sums of an embedding's Fourier features by group."""
        state = self._of(name, segment, EmbeddingState)
        return Features(state.features, state.sizes.astype(np.float64))

    def quantile(self, name: str, q: float, segment: str = "") -> float:
        """The quantile q of a numeric column, within its bin by linear interpolation; NaN without rows."""
        state = self._of(name, segment, NumericState)
        if not state.n:
            return float("nan")
        ends = np.clip([state.range[0], *state.layout.edges, state.range[1]], *state.range)
        reached = np.concatenate([[0], np.cumsum(state.counts)]) / state.n
        i = min(int(np.searchsorted(reached, q, side="left")), len(ends) - 1)
        if i == 0:
            return float(ends[0])
        share = (q - reached[i - 1]) / (reached[i] - reached[i - 1]) if reached[i] > reached[i - 1] else 1.0
        return float(ends[i - 1] + share * (ends[i] - ends[i - 1]))

    def distinct(self, name: str, segment: str = "") -> float:
        """About how many distinct levels a category has: exact below 256, else with a standard error of 6.3 %."""
        return distinct_estimate(self._of(name, segment, CategoryState).hashes, HASHES)

    def fresh(self, name: str, segment: str = "") -> dict[str, int]:
        """Levels or terms that the layout does not know, the most frequent first; counts are never too high."""
        found = self.column(name, segment).fresh
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def _of(self, name: str, segment: str, kind: type[StateT]) -> StateT:
        state = self.column(name, segment)
        if not isinstance(state, kind):
            wanted = kind.__name__.removesuffix("State").lower()
            raise UsageError(f"column {name!r} is of kind {state.layout.kind}, and this asks for one of kind {wanted}")
        return state

    def to_bytes(self) -> bytes:
        """The state and its layout, compressed and with a checksum; see `state_bytes`."""
        from .state_bytes import pack

        return pack(self)

    @classmethod
    def from_bytes(cls, data: bytes, *, layout: Layout | None = None) -> WindowState:
        """The state that `to_bytes` wrote; with `layout`, only one of that layout.

        Raises:
            RecordError: for bytes that are damaged, of another version, or no window state.
            NotComparableError: for a state of another layout.
        """
        from .state_bytes import unpack

        found = unpack(data)
        if layout is not None and found.layout.digest != layout.digest:
            raise NotComparableError(
                f"this window state is of another layout: {layout.difference(found.layout)}; "
                "compute the window again under the reference's layout"
            )
        return found


def _list(names: object) -> str:
    found = [repr(name) for name in names]  # type: ignore[attr-defined]
    return ", ".join(found[:20]) + (" …" if len(found) > 20 else "")


def _add_rows(state: ColumnState, column: Column, rows: Ints | None, group: Ints | None) -> None:
    if rows is not None:
        column = column.take(rows)
        group = None if group is None else group[rows]
    state.update(column, group)
