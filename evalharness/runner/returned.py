"""Who answered: the model and fingerprint that servers name in their replies, and whether they changed within a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evalharness.core.types import Json

from .book import ResponseBook

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Returned", "returned_by_model", "returned_notes"]

_MOST_SHOWN = 5

Returned = dict[str, list[dict[str, Json]]]


def returned_by_model(parts: Iterable[tuple[str, int]], book: ResponseBook) -> Returned:
    """By model of the suite: each model and fingerprint that its replies name, with how many replies do.

    `parts` are the requests in order, as (model, how many). Where replies of a model differ, each entry also says
    when the first and the last of them came, and how many were in the store; entries stand in order of time.
    """
    import numpy as np

    numbers: dict[str, list[NDArray[np.int32]]] = {}
    start = 0
    for model, n in parts:
        numbers.setdefault(model, []).append(book.index.number_of[start : start + n])
        start += n
    found: Returned = {}
    for model, pieces in numbers.items():
        entries = _entries(np.unique(np.concatenate(pieces)), book)
        if entries:
            found[model] = entries
    return found


def _entries(numbers: NDArray[np.int32], book: ResponseBook) -> list[dict[str, Json]]:
    import numpy as np

    codes = book.returned[numbers]
    distinct = [int(code) for code in np.unique(codes) if code]
    entries = []
    for code in distinct:
        own = numbers[codes == code]
        name, fingerprint = book.returned_names[code]
        entry: dict[str, Json] = {"model": name, "system_fingerprint": fingerprint, "n": len(own)}
        if len(distinct) > 1:
            times = [response.created_utc for response in book.numbered(own)]
            entry |= {
                "n_from_store": int(book.was_stored[own].sum()),
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
