"""What a reader of a record should know of its answers: who gave them, what was damaged, what was sent again."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from evalharness.core.types import Json

from .book import ResponseBook
from .returned import returned_by_model, returned_notes
from .sent import SentJournal
from .store import ResponseStore

if TYPE_CHECKING:
    from evalharness.suite.plan import PlannedTask
    from evalharness.suite.schema import Suite

__all__ = ["Disclosed", "disclosed", "filed_under"]


class Disclosed(NamedTuple):
    """Fields of the record's `execution`, and its notes."""

    execution: Mapping[str, Json]
    notes: tuple[str, ...]


def disclosed(
    planned: Sequence[PlannedTask],
    book: ResponseBook,
    *,
    store: ResponseStore | None,
    journal: SentJournal | None,
    judges: Mapping[str, array[int]] | None = None,
    verdicts: ResponseBook | None = None,
) -> Disclosed:
    """What replies, store and journal tell of the run whose requests `planned` has in order.

    `judges` are the places of the requests for verdicts by model, and the replies to these are in `verdicts`.
    """
    n_damaged = 0 if store is None else store.n_set_aside
    books = [book] if verdicts is None else [book, verdicts]
    n_again = 0 if journal is None else sum(map(journal.n_sent_again, books))
    parts = ((entry.model, len(entry.requests)) for entry in planned)
    returned = returned_by_model(parts, book, judges=judges, verdicts=verdicts)
    notes = returned_notes(returned)
    if n_damaged:
        notes.append(f"{n_damaged:,} stored answers were damaged (wrong checksum): set aside, and asked again")
    if n_again:
        notes.append(
            f"{n_again:,} requests were sent again: runs that did not finish had sent them, and had kept no answer to "
            "them; the server may have counted them twice"
        )
    return Disclosed({"n_sent_again": n_again, "n_damaged": n_damaged, "returned": returned}, tuple(notes))


def filed_under(suite: Suite) -> dict[str, str]:
    """What the store files the answers of each model under: backend, model and address, as the suite writes them."""
    names = {}
    for name, spec in suite.models.items():
        written = (getattr(spec, key, None) for key in ("model", "path", "function", "url", "base_url"))
        names[name] = " ".join([spec.backend, *(str(part) for part in written if part)])
    return names
