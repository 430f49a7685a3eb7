"""Who answered: the model and fingerprint that servers name in their replies, and whether they changed within a run."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from evalharness.core.types import Json

from .book import ResponseBook

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Asked: TypeAlias = tuple[NDArray[np.int32], ResponseBook]

__all__ = ["Returned", "returned_by_model", "returned_notes"]

_MOST_SHOWN = 5

Returned = dict[str, list[dict[str, Json]]]


def returned_by_model(
    parts: Iterable[tuple[str, int]],
    book: ResponseBook,
    *,
    judges: Mapping[str, array[int]] | None = None,
    verdicts: ResponseBook | None = None,
) -> Returned:
    """By model of the suite: each model and fingerprint that its replies name, with how many replies do.

    `parts` are the requests in order, as (model, how many); `judges` the places of those for verdicts, whose replies
    are in the book `verdicts`. Where replies of a model differ, each entry also says when the first and the last of
    them came, and how many were in the store; entries stand in order of time.
    """
    import numpy as np

    numbers: dict[str, list[NDArray[np.int32]]] = {}
    start = 0
    for model, n in parts:
        numbers.setdefault(model, []).append(book.index.number_of[start : start + n])
        start += n
    asked: dict[str, list[_Asked]] = {
        model: [(np.unique(np.concatenate(pieces)), book)] for model, pieces in numbers.items()
    }
    for model, places in (judges or {}).items():
        assert verdicts is not None  # they come together
        own = np.unique(verdicts.index.number_of[np.array(places, dtype=np.int64)])
        asked.setdefault(model, []).append((own, verdicts))
    found = {model: _entries(pieces) for model, pieces in asked.items()}
    return {model: entries for model, entries in found.items() if entries}


def _entries(asked: Sequence[_Asked]) -> list[dict[str, Json]]:
    import numpy as np

    named: dict[tuple[str, str], list[_Asked]] = {}
    for numbers, book in asked:
        codes = book.returned[numbers]
        for code in np.unique(codes).tolist():
            if code:
                named.setdefault(book.returned_names[code], []).append((numbers[codes == code], book))
    entries = []
    for (name, fingerprint), replies in named.items():
        n = sum(len(own) for own, _ in replies)
        entry: dict[str, Json] = {"model": name, "system_fingerprint": fingerprint, "n": n}
        if len(named) > 1:
            times = [response.created_utc for own, book in replies for response in book.numbered(own)]
            entry |= {
                "n_from_store": sum(int(book.was_stored[own].sum()) for own, book in replies),
                "first_utc": min(times),
                "last_utc": max(times),
            }
        entries.append(entry)
    return sorted(entries, key=lambda entry: str(entry.get("first_utc", "")))


def returned_notes(returned: Returned) -> list[str]:
    """A note for each model whose replies do not all name the same model and fingerprint."""
    return [_note(model, entries) for model, entries in returned.items() if len(entries) > 1]


def _note(model: str, entries: list[dict[str, Json]]) -> str:
    shown = "; ".join(_said(entry) for entry in entries[:_MOST_SHOWN])
    more = f"; and {len(entries) - _MOST_SHOWN:,} more" if len(entries) > _MOST_SHOWN else ""
    return (
        f"what answers as model {model!r} changed within this run, and its figures mix all of it: {shown}{more}. "
        "To ask all of it anew: --cache refresh"
    )


def _said(entry: dict[str, Json]) -> str:
    fingerprint = f" ({entry['system_fingerprint']})" if entry["system_fingerprint"] else ""
    stored = f", {entry['n_from_store']:,} of them stored by earlier runs" if entry["n_from_store"] else ""
    return f"{entry['model'] or 'no name'}{fingerprint} from {entry['first_utc']} ({entry['n']:,} answers{stored})"
