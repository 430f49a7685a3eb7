"""What a run in parts keeps between its parts: the rows of its figures, and what its judges said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalharness.compare.planned import RowsSoFar
from evalharness.core.spool import Picked
from evalharness.stats.arrays import np

from .book import ResponseBook
from .execute import Answers

if TYPE_CHECKING:
    from evalharness.core.protocols import Metric
    from evalharness.core.types import Request

    from .scoring import FigureStats

__all__ = ["AskedOnce", "RowsOfFigure"]


@dataclass(slots=True)
class RowsOfFigure:
    """What was scored of one figure so far, part by part; `metric` where only the answers tell which one it is."""

    metric: Metric | None = None
    values: list[Any] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    clusters: list[str | None] = field(default_factory=list)
    members: dict[str, list[Any]] = field(default_factory=dict)
    n_failed: int = 0

    def add(self, stats: FigureStats, groups: Iterable[str]) -> None:
        """Put the rows of a part to those that there are."""
        self.values.append(stats.stats)
        for block in stats.blocks():
            self.digests += block.digests
            self.clusters += block.clusters
        self.n_failed += int(stats.failed.sum())
        for group in groups:
            column, _, value = group.partition("=")
            mask = dict(stats.samples.groups(column)).get(value)
            own = np.zeros(len(stats), dtype=bool) if mask is None else mask[stats.kept]
            self.members.setdefault(group, []).append(own)

    def so_far(self) -> RowsSoFar:
        """All of them, one after the other."""
        members = {group: np.concatenate(parts) for group, parts in self.members.items()}
        return RowsSoFar(np.concatenate(self.values), self.digests, self.clusters, members, self.n_failed, self.metric)


class AskedOnce:
    """Asks by way of `ask`, and nothing twice: what came of earlier requests is kept, whatever the store does."""

    def __init__(self, ask: Callable[[Sequence[Request]], Awaitable[Answers]]) -> None:
        self._ask = ask
        self._answers: list[Answers] = []

    async def __call__(self, requests: Sequence[Request]) -> Answers:
        """The answers to `requests`, those to earlier ones among them."""
        book = ResponseBook(request.key for request in requests)
        for known in self._answers:
            book.take(known.responses)
        lacking = book.lacking(np.arange(len(requests)))
        if len(lacking) or not self._answers:
            got = await self._ask(Picked(requests, lacking.tolist()))
            book.take(got.responses)
            self._answers.append(got)
        found = Answers(book, accounts=self._answers[-1].accounts)
        for known in self._answers:
            found.work.update(known.work)
        return found
