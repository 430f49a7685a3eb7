"""Judges asked about responses of production: their verdicts, kept beside the monitor, and what asking costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from evalharness.core.errors import BudgetError, UsageError
from evalharness.core.types import Response, Sample
from evalharness.record import Record
from evalharness.runner.panel import Panel
from evalharness.runner.stopping import StopRun
from evalharness.runner.store import ResponseStore

from .measurement import FigureRow

if TYPE_CHECKING:
    from evalharness.runner.judgement import Judgement

    from .parts import Setting
    from .scored import Scored

__all__ = ["COLUMN", "Judges", "recorded_verdicts"]

COLUMN: Final = "judges"
_STORE: Final = "judges.sqlite3"


class Judges:
    """The judges of a monitor's scores.

    What was asked once is not asked again: not by a later revision, nor where intervals overlap. The budgets of the
    suite hold for what one interval asks anew.
    """

    def __init__(self, setting: Setting, scored: Sequence[Scored]) -> None:
        loaded = setting.definition.suite
        assert loaded is not None
        self._retention_days = setting.definition.monitor.retention_days
        self._path = setting.past.folder / _STORE
        self._stops = setting.side == "reference"
        self.why_not = ""
        """Why nobody is asked any more; "" while they are."""
        metrics = {one.column: one.judging for one in scored if one.judging is not None}
        self._panel = Panel(
            loaded,
            frozenset(name for metric in metrics.values() for name in metric.judges),
            store=self._path,
            allow_code=setting.asking.allow_code,
            environ=setting.asking.environ,
            beat=setting.beat,
        )
        self.judgements: dict[str, Judgement] = {
            column: self._panel.bound(metric, column) for column, metric in metrics.items()
        }

    def judged(self, scored: Scored, items: Sequence[tuple[Sample, Response]]) -> list[Response | None]:
        """The responses with their verdicts; None for those that cannot be judged, or whose judges may not be asked.

        Raises:
            EvalHarnessError: a judge's server is down; or, for a reference, of which a part will not do, a budget of
                the suite is used up. What was said so far is kept for the next try.
        """
        if self.why_not:
            return [None] * len(items)
        try:
            return self._panel.judged(self.judgements[scored.column], items)
        except (BudgetError, StopRun) as error:
            if self._stops:
                raise
            self.why_not = str(error)
            return [None] * len(items)

    def rows(self) -> Iterator[FigureRow]:
        """What asking took, of verdicts that were not there yet; what is older than is kept is forgotten."""
        used = self._panel.usage
        known = used.n_priced == used.n_answers
        asked = used.n_answers - used.n_from_store
        yield FigureRow(COLUMN, "requests", float(used.n_requests), used.n_answers)
        yield FigureRow(COLUMN, "tokens", float(used.spent_tokens), asked)
        if known and used.n_answers:
            yield FigureRow(COLUMN, "cost_usd", used.spent_usd, asked)
        if self._retention_days is not None and self._path.exists():
            with ResponseStore.open(self._path, clock=time.time) as store:
                store.prune(older_than_days=self._retention_days)


def recorded_verdicts(setting: Setting, record: Record) -> dict[tuple[str, str], str]:
    """By task and figure, the columns of the scores whose verdicts stand in `record`, for which nobody is asked.

    Raises:
        UsageError: the record was judged in another way than the suite says now.
    """
    from .scored import scored_of

    judged = [one for one in scored_of(setting.definition) if one.judging is not None]
    if not judged:
        return {}
    judges = Judges(setting, judged)
    body = record.manifest.execution.get("judging")
    known = body.get("judgements") if isinstance(body, dict) else None
    ways = {(one["task"], one["figure"]): one["judgement"] for one in known or ()}
    found = {}
    for one in judged:
        if one.place is None:
            continue
        task, figure = one.place
        digest = judges.judgements[one.column].digest
        if ways.get((task, figure), digest) != digest:
            raise UsageError(
                f"{task}.{figure} of {record.id} was judged in another way (rubric, scale, judges or their settings) "
                "than the suite says now; promote a run that was judged so, or name another reference"
            )
        found[task, figure] = one.column
    return found
