"""The outputs of records that can be rated: their texts on the disk, what tells them apart in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..core.errors import UsageError
from ..core.registry import suggestion
from ..core.spool import Spool
from ..core.types import FAILED_STATES, Prompt
from ..record import Record, SampleRow

__all__ = ["Contestant", "OutputKey", "Outputs", "Shown", "choose_task", "read_outputs"]


class Contestant(NamedTuple):
    """A model of a run. Of two, the lesser one is `Rating.model`, the other one `Rating.against`."""

    run_id: str
    model: str


class OutputKey(NamedTuple):
    """Which output it is; `digest` tells whether two outputs answer the same question."""

    contestant: Contestant
    sample_id: str
    repeat: int
    digest: str


class Shown(NamedTuple):
    """What raters see of an output."""

    prompt: Prompt
    text: str
    references: tuple[str, ...]


@dataclass
class Outputs:
    """The outputs of one task: `keys[i]` is what `texts[i]` is, `left_out` says why how many others are not there."""

    task: str
    contestants: tuple[Contestant, ...]
    keys: list[OutputKey] = field(default_factory=list)
    texts: Spool[Shown] = field(default_factory=Spool)
    left_out: Counter[str] = field(default_factory=Counter)


def choose_task(records: Sequence[Record], task: str | None) -> str:
    """The task that is asked for, or the only one that all of `records` have.

    Raises:
        UsageError: if a record lacks it, or several could be meant.
    """
    of_each = [dict.fromkeys(summary.id for summary in record.manifest.tasks) for record in records]
    if task is not None:
        for record, tasks in zip(records, of_each, strict=True):
            if task not in tasks:
                known = ", ".join(tasks) or "none"
                raise UsageError(f"run {record.id} has no task {task!r}{suggestion(task, tasks)}; it has: {known}")
        return task
    common = [name for name in of_each[0] if all(name in tasks for tasks in of_each)]
    if len(common) == 1:
        return common[0]
    if not common:
        raise UsageError("there is no task that all of these runs have; outputs of the same task are rated together")
    raise UsageError(f"say which task is rated: --task {common[0]}; there are: {', '.join(common)}")


def read_outputs(records: Sequence[Record], task: str, models: Iterable[Contestant] | None = None) -> Outputs:
    """The outputs of `task` by `models` (default: all), those that have a text or an answer to be shown.

    A response that failed is no output: it is left out and counted.
    """
    of_task = {Contestant(r.id, s.model): r for r in records for s in r.manifest.tasks if s.id == task}
    wanted = tuple(of_task) if models is None else tuple(dict.fromkeys(models))
    found = Outputs(task, wanted)
    for contestant in wanted:
        for row in of_task[contestant].iter_samples(task=task, model=contestant.model):
            text = row.response.answer if row.response.text is None else row.response.text
            if row.response.status in FAILED_STATES:
                found.left_out["failed responses"] += 1
            elif text is None:
                found.left_out["responses without text"] += 1
            else:
                found.keys.append(OutputKey(contestant, row.sample.id, row.request.repeat, row.sample.digest))
                found.texts.append(Shown(row.request.prompt, text, _references(row)))
    return found


def _references(row: SampleRow) -> tuple[str, ...]:
    target = () if row.sample.target is None else (row.sample.target,)
    return row.sample.references or target
