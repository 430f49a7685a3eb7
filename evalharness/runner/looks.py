"""A run in parts: asks samples in a random order, has the gates looked at after each part, ends once they are decided.

What decides is handed in (`MakeDecider`): the gates live in a room on the same floor. Here is what it needs: the order,
the parts, and the statistics of the figures that it looks at, scored part by part as they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from evalharness.compare.planned import LookDecider, MakeDecider, PlannedFigure
from evalharness.core.errors import UsageError
from evalharness.core.levels import levels_in
from evalharness.core.spool import Picked
from evalharness.core.types import Json, Request
from evalharness.stats.arrays import Ints, np
from evalharness.suite.groups import group_columns

from .answered import answered_tasks
from .book import ResponseBook
from .build import figures_of
from .execute import Answers
from .judged import judgement_digests
from .look_order import SampleOrder, joint_fractions, sample_order
from .look_rows import AskedOnce, RowsOfFigure
from .scoring import Answered, Figure, rows_of_task

if TYPE_CHECKING:
    from evalharness.suite.plan import PlannedTask

    from .lm_eval_plan import LmEvalWork
    from .prepare import Prepared

__all__ = ["Looks", "planned_figures"]

Place = tuple[str, str, str]


def planned_figures(
    ready: Prepared, *, allow_code: bool, orders: Mapping[int, SampleOrder] | None = None
) -> list[PlannedFigure]:
    """The figures that a run of `ready` will have, with how many samples each; `orders` are those of `ready.tasks`."""
    found = [*_of_lm_eval(ready, allow_code=allow_code, orders=orders)]
    groups_of: dict[int, dict[str, int]] = {}
    for place, planned in enumerate(ready.plan.tasks):
        order = None if orders is None else orders[place]
        own = groups_of.setdefault(id(planned.samples), {})
        if not own:
            own.update(_group_counts(planned, _named_groups(ready)))
        n = len(planned.samples)
        found += [
            PlannedFigure(
                task=planned.task.id,
                model=planned.model,
                name=figure.name,
                metric=figure.metric,
                n=n,
                repeats=len(planned.requests) // max(n, 1),
                groups=own,
                identity=planned.identity,
                fractions={} if order is None else joint_fractions([order]),
            )
            for figure in _figures(ready, planned, allow_code=allow_code)
        ]
    return found


def _of_lm_eval(
    ready: Prepared, *, allow_code: bool, orders: Mapping[int, SampleOrder] | None
) -> Iterator[PlannedFigure]:
    """The figures of lm-eval's tasks and groups: its own, and for a task those that any request has."""
    if not ready.bridged:
        return
    from .lm_eval_looks import planned_work

    start = len(ready.plan.tasks)
    for work in ready.bridged:
        for entry, members, own in planned_work(work, ready.suite):
            tasks = [work.planned[place] for place in members]
            groups: Counter[str] = Counter()
            for task in tasks:
                groups.update(_group_counts(task, _named_groups(ready)))
            # A group is answered by its tasks: it has no requests, and so no latency, of its own.
            other = _figures(ready, tasks[0], allow_code=allow_code) if entry.task.id == tasks[0].task.id else []
            n = sum(len(task.samples) for task in tasks)
            asked = [] if orders is None else [orders[start + place] for place in members]
            for figure in (*(stats.figure for stats in own), *other):
                yield PlannedFigure(
                    task=entry.task.id,
                    model=entry.model,
                    name=figure.name,
                    metric=figure.metric,
                    n=n,
                    repeats=sum(len(task.requests) for task in tasks) // max(n, 1),
                    groups=groups,
                    identity=entry.identity,
                    fractions=joint_fractions(asked) if asked else {},
                )
        start += len(work.planned)


def _figures(ready: Prepared, planned: PlannedTask, *, allow_code: bool) -> list[Figure]:
    return figures_of(
        planned.task,
        planned.kind,
        planned.labels,
        base=ready.loaded.base,
        allow_code=allow_code,
        judgements=judgement_digests(ready.judgements).get((planned.task.id, planned.model)),
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
        self._tasks = ready.tasks
        self._starts = self._request_starts()
        self._groups = _named_groups(ready)
        self._orders = self._ordered()
        self._figures = [_figures(ready, planned, allow_code=allow_code) for planned in self._tasks]
        self._judge: AskedOnce | None = None
        planned = planned_figures(ready, allow_code=allow_code, orders=self._orders)
        self._decider: LookDecider = decide(ready.suite, planned)
        self._rows: dict[Place, RowsOfFigure] = {place: RowsOfFigure() for place in self._decider.needed}
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
        self._judge = AskedOnce(ask)
        for number in range(self._n_looks):
            places = self._places(number)
            new = book.lacking(places)
            if len(new):
                got = await ask(Picked(requests, new.tolist()))
                book.take(got.responses)
                whole.accounts = got.accounts
                whole.work.update(got.work)
            self._n_asked.append(len(places))
            await self._score(number, book)
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
        starts = self._starts[place]
        spans = [np.arange(starts[i], starts[i + 1]) for i in samples.tolist()]
        found: Ints = np.concatenate(spans) if spans else np.zeros(0, dtype=np.int64)
        return found

    def _request_starts(self) -> list[Ints]:
        """By task, where the requests about each sample begin, and behind them the end of the last."""
        found: list[Ints] = []
        for planned in self._ready.plan.tasks:
            n = len(planned.samples)
            found.append(np.arange(n + 1, dtype=np.int64) * (len(planned.requests) // max(n, 1)))
        for work in self._ready.bridged:
            from .lm_eval_looks import request_starts

            found += [request_starts(work, place) for place in range(len(work.planned))]
        return found

    async def ask_judges(self, requests: Sequence[Request]) -> Answers:
        """Ask the judges what they were not asked after a part."""
        assert self._judge is not None  # judges are asked about answers
        return await self._judge(requests)

    async def _score(self, number: int, book: ResponseBook) -> None:
        """Put the rows of a part to those of the parts before it."""
        ready = self._ready
        tasks = answered_tasks(ready.suite, ready.plan.tasks, book, lambda place: self._of_part(place, number))
        judged = {place: found for place, found in ready.judgements.items() if self._waits_for_judges(place)}
        if judged:
            from .judging import ask_judges

            tasks = (await ask_judges(tasks, judged, self.ask_judges, whole=False)).tasks
        for place, entry in enumerate(tasks):
            self._add(entry.task.id, entry.model, entry.answered, self._figures[place])
        if ready.bridged:
            self._score_lm_eval(number, book)

    def _add(self, task: str, model: str, answered: Sequence[Answered], figures: Sequence[Figure]) -> None:
        mine = [figure for figure in figures if (task, model, figure.name) in self._rows]
        if not mine:
            return
        policy = self._ready.suite.execution.on_error.count_as
        columns = sorted({group.partition("=")[0] for group in self._groups})
        for stats in rows_of_task(answered, mine, count_as=policy, groups=columns)[2]:
            self._rows[task, model, stats.figure.name].add(stats, self._groups)

    def _waits_for_judges(self, place: tuple[str, str]) -> bool:
        """Whether a rule that is looked at is about a judged figure of this task on this model."""
        tasks = [(planned.task.id, planned.model) for planned in self._ready.plan.tasks]
        figures = self._figures[tasks.index(place)]
        return any(figure.fails is not None and (*place, figure.name) in self._rows for figure in figures)

    def _score_lm_eval(self, number: int, book: ResponseBook) -> None:
        """lm-eval's figures, of all documents that are in: it makes them of the whole."""
        from .lm_eval_score import answered_lm_eval

        own = {planned.task.id: self._figures[place] for place, planned in enumerate(self._tasks)}
        for work in self._works_up_to(number):
            for entry in answered_lm_eval(work, book, self._ready.suite):
                place = (entry.task.id, entry.model)
                for stats, _ in entry.done:
                    if (*place, stats.figure.name) in self._rows:
                        rows = self._rows[*place, stats.figure.name] = RowsOfFigure(stats.figure.metric)
                        rows.add(stats, self._groups)
                for figure in own.get(entry.task.id, ()):
                    if (*place, figure.name) in self._rows:
                        self._rows[*place, figure.name] = RowsOfFigure()
                self._add(*place, entry.answered, own.get(entry.task.id, ()))

    def _works_up_to(self, number: int) -> Iterator[LmEvalWork]:
        """lm-eval's tasks with the documents of all parts up to this one."""
        start = len(self._ready.plan.tasks)
        for work in self._ready.bridged:
            from .lm_eval_looks import of_documents

            places = range(start, start + len(work.planned))
            start += len(work.planned)
            yield of_documents(work, [self._orders[place].up_to(number) for place in places])

    def _of_part(self, place: int, number: int) -> Ints:
        return self._of_samples(place, self._orders[place].part(number))

    def asked_of(self, place: int) -> Ints | None:
        """Where in the requests of the task at `place` those stand that were asked; None where all of them were."""
        if self.n_made == self._n_looks:
            return None
        return self._of_samples(place, self._orders[place].up_to(self.n_made - 1))

    def asked_works(self) -> Sequence[LmEvalWork]:
        """lm-eval's tasks with the documents that were asked."""
        return self._ready.bridged if self.n_made == self._n_looks else [*self._works_up_to(self.n_made - 1)]

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
