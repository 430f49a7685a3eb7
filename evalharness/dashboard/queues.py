"""What is rated in the dashboard: a question over the outputs of runs, as an address names it, and its raters' desks.

A queue is wholly said by its parameters, so nothing of it is stored: whoever opens the same address later, on another
machine or after a restart, finds the same items in the same order, and in the registry what they said of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..annotate.deck import Deck, deal
from ..annotate.desk import Desk, check_earlier, rater_name
from ..annotate.question import Question, label_question, pair_question, scale_question
from ..core.errors import UsageError
from ..record import Record, RunRegistry
from ..record.database import reading
from .queries.runs import run_folder, runs_of
from .web import NotFound

__all__ = ["Queue", "QueueAsked", "open_record", "queue_of"]

_KEPT: Final = 4
_lock = threading.Lock()
_queues: OrderedDict[tuple[str, str], Queue] = OrderedDict()


class QueueAsked(BaseModel):
    """The parameters of a queue. Empty ones have their defaults: the only task, the usual words of the question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: list[str] = Field(min_length=1, max_length=2, description="the runs whose outputs are rated, mixed")
    task: str = Field("", max_length=300)
    kind: Literal["scale", "label", "pairwise"] = "scale"
    scale: str = Field("1-5", max_length=40, description="least and greatest number of a scale")
    labels: str = Field("", max_length=1_000, description="labels, separated by commas")
    question: str = Field("", max_length=1_000, description="what raters are asked")
    sample: int | None = Field(None, ge=1, lt=2**31, description="how many samples, the same for every rater")
    seed: int = Field(0, ge=0, lt=2**31)
    reference: bool = Field(False, description="let raters look at the reference")

    @field_validator("run", mode="before")
    @classmethod
    def _without_blanks(cls, value: Any) -> Any:
        # A form sends the empty text for a second run that nobody chose.
        return [one for one in value if one] if isinstance(value, list) else value

    @property
    def query(self) -> str:
        """The parameters as they stand in an address."""
        given = self.model_dump(exclude_defaults=True)
        return urlencode({name: str(v).lower() if v is True else v for name, v in given.items()}, doseq=True)


class Queue:
    """A deck and the desks of its raters; one request at a time asks them."""

    def __init__(self, asked: QueueAsked, deck: Deck, registry: RunRegistry) -> None:
        self.asked = asked
        self.deck = deck
        self.lock = threading.Lock()
        self._registry = registry
        self._desks: dict[str, Desk] = {}

    def desk(self, visitor: str) -> Desk:
        """The desk of a user; to be asked while `lock` is held."""
        name = rater_name(visitor)
        if name not in self._desks:
            shows = self.asked.reference
            self._desks[name] = Desk(self.deck, self._registry, name, show_reference=shows)
        return self._desks[name]


def open_record(registry: RunRegistry, run_id: str) -> Record:
    """The record of a run that the registry knows.

    Raises:
        NotFound: it knows none by that name.
        UsageError: its folder is gone.
    """
    with reading(registry.engine) as connection:
        if not runs_of(connection, [run_id]):
            raise NotFound(f"there is no run {run_id[:120]!r} in the registry")
        folder = run_folder(connection, run_id, registry.reports)
    if folder is None:
        raise UsageError(f"run {run_id}: its folder is gone, and its outputs with it")
    return Record.open(folder)


def queue_of(registry: RunRegistry, asked: QueueAsked) -> Queue:
    """The queue of these parameters; the last few are kept.

    Raises:
        NotFound: there is no such run.
        UsageError: there is nothing to rate, or the parameters contradict one another or earlier ratings.
    """
    key = (str(registry.engine.url), asked.query)
    with _lock:
        if key in _queues:
            _queues.move_to_end(key)
            return _queues[key]
    records = [open_record(registry, run_id) for run_id in asked.run]
    deck = deal(records, _question(asked), task=asked.task or None, sample=asked.sample, seed=asked.seed)
    check_earlier(registry, deck)
    made = Queue(asked, deck, registry)
    with _lock:
        # Of two that were made at once the first one holds: its desks know what was changed.
        found = _queues.setdefault(key, made)
        while len(_queues) > _KEPT:
            _queues.popitem(last=False)
    return found


def _question(asked: QueueAsked) -> Question:
    makers: dict[str, Any] = {"label": lambda words: label_question(asked.labels, words), "pairwise": pair_question}
    return makers.get(asked.kind, lambda words: scale_question(asked.scale, words))(asked.question or None)  # type: ignore[no-any-return]
