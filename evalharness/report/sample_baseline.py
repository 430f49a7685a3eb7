"""What the baseline answered to the same samples: paired as `evalharness compare` pairs them, on what they hold."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..compare.subjects import Subject, pairs_of
from ..core.errors import NotComparableError
from ..core.keyindex import KeyIndex
from ..core.spool import Spool
from ..core.types import FAILED_STATES
from ..record.read import iter_columns
from ..record.schema import SAMPLES
from .sample_rows import answer_entry
from .sample_scores import scores_of_samples

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["Baseline", "BaselineAnswers", "change_of"]

Change = Literal["same", "changed", "worse", "better", "new"]
# What rounding leaves is no change.
_LEAST = 1e-12


@dataclass(frozen=True)
class Baseline:
    """The run that a report sets its samples against, or one model of it."""

    record: Record
    model: str | None = None

    @property
    def name(self) -> str:
        """How it is written on the command line."""
        return self.record.id if self.model is None else f"{self.record.id}:{self.model}"

    def places(self, record: Record) -> dict[tuple[str, str], tuple[str, str]]:
        """For the tasks and models of `record` those of the baseline that they are compared with."""
        try:
            pairs, _ = pairs_of(Subject(record), Subject(self.record, model=self.model))
        except NotComparableError:
            return {}
        found = {(p.current.task, p.current.model): (p.baseline.task, p.baseline.model) for p in pairs}
        # Another model of the same run is no baseline of itself.
        return found if self.record.id != record.id else {a: b for a, b in found.items() if a != b}


class BaselineAnswers:
    """The baseline's answers to the samples of one task on one model; on the disk."""

    def __init__(self, record: Record, task: str, model: str, metrics: Sequence[str]) -> None:
        results = {r.metric: r for r in record.results if (r.task, r.model, r.group) == (task, model, None)}
        where = {"task": task, "model": model}
        path = record.folder / SAMPLES
        index = KeyIndex(sample_id for (ids,) in iter_columns(path, where, ["sample_id"]) for sample_id in ids)
        scores = [scores_of_samples(record, results[name], index) if name in results else None for name in metrics]
        self._answers: Spool[dict[str, Any]] = Spool()
        self._places: dict[bytes, int] = {}
        counts: Counter[str] = Counter()
        for row in record.iter_samples(task=task, model=model):
            number = index.number(row.sample.id)
            values = [math.nan if column is None else float(column[number]) for column in scores]
            found = [None if math.isnan(value) else value for value in values]
            self._places.setdefault(_key(row.sample.digest, counts[row.sample.digest]), len(self._answers))
            counts[row.sample.digest] += 1
            self._answers.append({**answer_entry(row.response), "sc": found})

    def of_each(self, digests: Iterable[str]) -> Iterator[dict[str, Any] | None]:
        """The answers to samples of these digests, the k-th of equal ones to the k-th; None where there is none."""
        counts: Counter[str] = Counter()
        for digest in digests:
            place = self._places.get(_key(digest, counts[digest]))
            counts[digest] += 1
            yield None if place is None else self._answers[place]


def _key(digest: str, number: int) -> bytes:
    return hashlib.blake2b(f"{digest}#{number}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def change_of(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None, up: Sequence[bool | None], decides: int | None
) -> Change:
    """How an answer differs from the baseline's: by the figure that tells right from wrong, else by the first one.

    `up` says of each figure whether higher is better; None of one that is neither, sample by sample: a bias score.
    """
    if before is None:
        return "new"
    failed, failed_before = entry["s"] in FAILED_STATES, before["s"] in FAILED_STATES
    if failed != failed_before:
        return "worse" if failed else "better"
    pairs = zip(range(len(up)), entry["sc"], before["sc"], strict=True)
    both = {i: a - b for i, a, b in pairs if isinstance(a, int | float) and isinstance(b, int | float)}
    place = decides if decides in both else min(both, default=None)
    if place is not None and up[place] is None and abs(both[place]) > _LEAST:
        return "changed"
    gain = 0.0 if place is None else both[place] if up[place] else -both[place]
    if abs(gain) > _LEAST:
        return "better" if gain > 0 else "worse"
    return "same" if all(entry.get(key) == before.get(key) for key in ("x", "a", "s", "tc")) else "changed"
