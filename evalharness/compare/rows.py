"""The rows of a record's figures, read once for a figure and all its groups."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from ..core.types import MetricResult
from ..metrics.base import with_originals

if TYPE_CHECKING:
    from ..record import Record
    from ..record.arrays import Bools, StatsArrays

__all__ = ["RowSource"]


class RowSource:
    """Reads the statistics of figures; a figure's groups come after it, so the last one read is kept."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._last: tuple[Hashable, StatsArrays] | None = None
        self._masks: dict[Hashable, tuple[StatsArrays, Bools]] = {}

    def rows(self, figure: MetricResult) -> StatsArrays:
        """The rows of `figure`: those of its group where it is a group's."""
        name = (figure.task, figure.model, figure.metric)
        if self._last is None or self._last[0] != name:
            self._last = name, self.record.stats_arrays(*name)
        whole = self._last[1]
        if figure.group is None:
            return whole
        return whole.only(with_originals(self._mask(figure, whole), figure.columns, whole.values))

    def _mask(self, figure: MetricResult, whole: StatsArrays) -> Bools:
        assert figure.group is not None
        name = (figure.task, figure.model, figure.group)
        known = self._masks.get(name)
        # Most metrics of a task score the same samples.
        if known is not None and known[0].sample_ids.equals(whole.sample_ids):
            return known[1]
        found = self.record.group_mask(figure.task, figure.model, figure.group, whole.sample_ids)
        self._masks[name] = whole, found
        return found
