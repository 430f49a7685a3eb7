"""A run in parts: asks samples in a random order, has the gates looked at after each part, ends once they are decided.

What decides is handed in (`MakeDecider`): the gates live in a room on the same floor. Here is what it needs: the order,
the parts, and the statistics of the figures that it looks at, scored part by part as they come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalharness.compare.planned import LookDecider, MakeDecider, PlannedFigure, RowsSoFar
from evalharness.core.errors import UsageError
from evalharness.core.levels import levels_in
from evalharness.core.spool import Picked
from evalharness.core.types import Json, Request
from evalharness.stats.arrays import Ints, np
from evalharness.suite.groups import group_columns

from .answers import AnswerList, reader_of
from .book import ResponseBook
from .build import figures_of
from .execute import Answers
from .look_order import SampleOrder, sample_order
from .scoring import Figure, FigureStats, rows_of_task

if TYPE_CHECKING:
    from evalharness.suite.plan import PlannedTask

    from .prepare import Prepared

__all__ = ["Looks", "planned_figures"]

Place = tuple[str, str, str]


def planned_figures(
    ready: Prepared, *, allow_code: bool, orders: Mapping[int, SampleOrder] | None = None
) -> list[PlannedFigure]:
    """The figures that a run of `ready` will have of its own tasks, with how many samples each; lm-eval's apart.

    Those of judges are not among them: what a judge says is not known before the answers are.
    """
    found = []
    groups_of: dict[int, dict[str, int]] = {}
    for place, planned in enumerate(ready.plan.tasks):
        order = None if orders is None else orders[place]
        own = groups_of.setdefault(id(planned.samples), {})
        if not own:
            own.update(_group_counts(planned, _named_groups(ready)))
        n = len(planned.samples)
        for figure in _figures(ready, planned, allow_code=allow_code):
            fractions: dict[str | None, tuple[float, ...]] = {}
            if order is not None:
                fractions = {None: order.fractions(), **{group: order.fractions(group) for group in order.groups}}
            found.append(
                PlannedFigure(
                    task=planned.task.id,
                    model=planned.model,
                    name=figure.name,
                    metric=figure.metric,
                    n=n,
                    repeats=len(planned.requests) // max(n, 1),
                    groups=own,
                    identity=planned.identity,
                    fractions=fractions,
                )
            )
    return found


def _figures(ready: Prepared, planned: PlannedTask, *, allow_code: bool) -> list[Figure]:
    return figures_of(
        planned.task,
        planned.kind,
        planned.labels,
        base=ready.loaded.base,
        allow_code=allow_code,
        groups=group_columns(ready.suite, planned.task),
        levels=levels_in(planned.samples),
    )


def _named_groups(ready: Prepared) -> frozenset[str]:
    gates = ready.suite.gates
    return frozenset(rule.group for rule in (gates.rules if gates else ()) if rule.group is not None)


def _group_counts(planned: PlannedTask, named: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys(named, 0)
    if counts:
        for sample in planned.samples:
            for column, value in sample.groups.items():
                if f"{column}={value}" in counts:
                    counts[f"{column}={value}"] += 1
    return {group: n for group, n in counts.items() if n}


@dataclass(slots=True)
class _Rows:
    """What was scored of one figure so far, part by part."""

    values: list[Any] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    clusters: list[str | None] = field(default_factory=list)
    members: dict[str, list[Any]] = field(default_factory=dict)
    n_failed: int = 0

    def add(self, stats: FigureStats, groups: Iterable[str]) -> None:
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
        members = {group: np.concatenate(parts) for group, parts in self.members.items()}
        return RowsSoFar(np.concatenate(self.values), self.digests, self.clusters, members, self.n_failed)


class Looks:
    """The parts of a run, what was answered in them, and what came of looking."""

    def __init__(self, ready: Prepared, decide: MakeDecider | None, *, allow_code: bool) -> None:
        """Order the samples and ask the gates what they will look at.

        Raises:
            UsageError: nobody is there to decide, or a rule cannot be decided.
        """
        options = ready.suite.execution.stop_when_decided
        assert options is not None
        if decide is None:
            raise UsageError(
                "execution.stop_when_decided needs what decides the gates: run the suite by the command `evalharness "
                "run`, or hand it in: evalharness.run(suite, decide=evalharness.gate.decide_looks(reports='reports'))"
            )
        self._ready = ready
        self._n_looks = options.looks
        self._tasks = ready.plan.tasks
        self._groups = _named_groups(ready)
        self._orders = self._ordered()
        self._figures = [_figures(ready, planned, allow_code=allow_code) for planned in self._tasks]
        planned = planned_figures(ready, allow_code=allow_code, orders=self._orders)
        self._decider: LookDecider = decide(ready.suite, planned)
        self._rows: dict[Place, _Rows] = {place: _Rows() for place in self._decider.needed}
        self.n_made = 0
        """How many looks there were."""
        self.is_decided = False
        self.n_planned = len(ready.requests)
        self._n_asked: list[int] = []

    def _ordered(self) -> dict[int, SampleOrder]:
        """The order of each planned task's samples, by its place; models of one task share their samples."""
        found: dict[int, SampleOrder] = {}
        known: dict[int, SampleOrder] = {}
        for place, planned in enumerate(self._tasks):
            if id(planned.samples) not in known:
                known[id(planned.samples)] = sample_order(
                    planned.samples, seed=self._ready.suite.seed, n_parts=self._n_looks, groups=self._groups
                )
            found[place] = known[id(planned.samples)]
        return found

    async def ask(
        self,
        requests: Sequence[Request],
        ask: Callable[[Sequence[Request]], Awaitable[Answers]],
        say: Callable[[str], None],
    ) -> Answers:
        """Ask part after part of `requests`, those of all tasks in order, until all is decided or all is asked."""
        book = ResponseBook(request.key for request in requests)
        whole = Answers(book)
        for number in range(self._n_looks):
            places = self._places(number)
            new = book.lacking(places)
            if len(new):
                got = await ask(Picked(requests, new.tolist()))
                book.take(got.responses)
                whole.accounts = got.accounts
                whole.work.update(got.work)
            self._n_asked.append(len(places))
            self._score(number, book)
            self.n_made = number + 1
            rows = {place: found.so_far() for place, found in self._rows.items()}
            self.is_decided = self._decider.look(number, rows)
            if self.is_decided:
                break
            if number + 1 < self._n_looks:
                say(f"look {number + 1} of {self._n_looks}: not all rules are decided")
        say(self.sentence)
        return whole

    def _places(self, number: int) -> Ints:
        """Where in the requests of all tasks those of a part stand."""
        parts, start = [np.zeros(0, dtype=np.int64)], 0
        for place, planned in enumerate(self._tasks):
            parts.append(start + self._of_samples(place, self._orders[place].part(number)))
            start += len(planned.requests)
        return np.concatenate(parts)

    def _of_samples(self, place: int, samples: Ints) -> Ints:
        """Where in a task's requests those of `samples` stand, the repeats of each together."""
        planned = self._tasks[place]
        repeats = len(planned.requests) // max(len(planned.samples), 1)
        found: Ints = (samples[:, None] * repeats + np.arange(repeats)).ravel()
        return found

    def _score(self, number: int, book: ResponseBook) -> None:
        start = 0
        policy = self._ready.suite.execution.on_error.count_as
        for place, planned in enumerate(self._tasks):
            at = self._of_samples(place, self._orders[place].part(number))
            task, model = planned.task, planned.model
            figures = [f for f in self._figures[place] if (task.id, model, f.name) in self._rows]
            if figures:
                asked = Picked(planned.requests, at.tolist())
                read = reader_of(task, refusals=self._refusals(planned))
                answered = AnswerList(Picked(planned.request_samples, at.tolist()), asked, book.at(start + at), read)
                columns = sorted({group.partition("=")[0] for group in self._groups})
                for stats in rows_of_task(answered, figures, count_as=policy, groups=columns)[2]:
                    self._rows[task.id, model, stats.figure.name].add(stats, self._groups)
            start += len(planned.requests)

    def _refusals(self, planned: PlannedTask) -> bool:
        return planned.kind == "generate" and self._ready.suite.execution.detect_refusals

    def asked_of(self, place: int) -> Ints | None:
        """Where in the requests of the task at `place` those stand that were asked; None where all of them were."""
        if self.n_made == self._n_looks:
            return None
        return self._of_samples(place, self._orders[place].up_to(self.n_made - 1))

    @property
    def n_asked(self) -> int:
        """How many requests the looks took, repeats and what was in the store included."""
        return sum(self._n_asked)

    @property
    def sentence(self) -> str:
        """What came of it, for the user and for the record's notes."""
        saved = self.n_planned - self.n_asked
        if not self.is_decided:
            return f"asked in {self._n_looks} parts: not every blocking rule was decided, so all samples were asked"
        if not saved:
            return f"asked in {self._n_looks} parts: every blocking rule was decided at the last look only"
        n = self._decider.n_given_up
        why = f"{n} blocking rule{' was' if n == 1 else 's were'} given up" if n else "the gates were decided"
        return (
            f"stopped at look {self.n_made} of {self._n_looks}, where {why}: {saved:,} of {self.n_planned:,} requests "
            f"were not asked ({saved / self.n_planned:.0%})"
        )

    def body(self) -> dict[str, Json]:
        """What the record keeps, under `execution.looks`."""
        return {
            "planned": self._n_looks,
            "made": self.n_made,
            "decided": self.is_decided,
            "seed": self._ready.suite.seed,
            "n_requests_planned": self.n_planned,
            "n_requests": self.n_asked,
            "n_saved": self.n_planned - self.n_asked,
            "n_requests_by_look": [*self._n_asked],
            **self._decider.body(),
        }
