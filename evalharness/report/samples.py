"""The samples that a report embeds: bounded, failures and wrong answers first, shared text stored once."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from ..core.keyindex import KeyIndex
from ..core.protocols import Array
from ..core.spool import Joined, Picked, Spool
from ..core.types import FAILED_STATES, MetricResult, Prompt, Response
from ..metrics.states import state_of
from ..record.codec import turns
from ..record.read import iter_columns
from ..record.schema import SAMPLES
from ..record.text import loads, unescape
from .sample_rows import SharedTexts, sample_entry, size_of
from .sample_scores import are_right_or_wrong, may_tell_right, scores_of_samples
from .text import clip, safe, single_line
from .view import asked_results
from .ways import best_between, is_best_between

if TYPE_CHECKING:
    from ..record import Record, SampleRow
    from ..stats.arrays import Ints
    from .sample_baseline import Baseline, BaselineAnswers

__all__ = ["CHANGES", "MAX_SAMPLES", "OUTCOMES", "SampleBundle", "bundle_samples"]

MAX_SAMPLES = 100_000
# About 40 MB of a page; a browser holds the texts twice, as they are and in lower case.
_MAX_CHARS = 160_000_000
_ERRORS_KEPT = 8

OUTCOMES = ("failed", "wrong", "scored", "right")
CHANGES = ("same", "changed", "worse", "better", "new")
_LEVELS = ((0,), (1,), (2, 3))
# What all the spools together keep in memory.
_LIVE_BYTES = 4 * 2**20


@dataclass
class SampleBundle:
    """What the page's explorer is given, in plain JSON types; `rows` of `total` are here, on the disk.

    `errors` are the most frequent ones with their counts. `cut_by` says what left rows out: "samples" or "characters".
    """

    total: int = 0
    tasks: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    shared: Spool[str] = field(default_factory=Spool)
    rows: Sequence[dict[str, Any]] = ()
    by_outcome: dict[str, int] = field(default_factory=dict)
    errors: list[tuple[str, int]] = field(default_factory=list)
    cut_by: str = ""
    baseline: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What stands beside `shared` and `rows`."""
        return {
            "tasks": self.tasks,
            "models": self.models,
            "metrics": self.metrics,
            "outcomes": list(OUTCOMES),
            "changes": list(CHANGES),
            "baseline": self.baseline,
        }


@dataclass
class _Part:
    """One task on one model: its figures, the number of each sample, the outcome and the sample of each row.

    A record of any length may be looked at here, so that of all its rows only these few bytes are kept; `scores` are
    those of the rows that were chosen, in the order of `numbers`. `decides` is the place of the figure that tells right
    from wrong.
    """

    task: str
    model: str
    metrics: list[MetricResult]
    index: KeyIndex
    outcomes: bytearray = field(default_factory=bytearray)
    rows: array[int] = field(default_factory=lambda: array("I"))
    numbers: Ints | None = None
    scores: dict[str, Array] = field(default_factory=dict)
    decides: int | None = None
    best: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def ups(self) -> list[bool | None]:
        """Of each figure whether higher is better; None where the best lies between: no sample alone is better."""
        two_sided = [is_best_between(r, self.best.get((r.task, r.metric))) for r in self.metrics]
        return [None if two else r.higher_is_better for r, two in zip(self.metrics, two_sided, strict=True)]

    def note(self, sample_ids: Sequence[str], states: Sequence[str], decides: Array | None) -> None:
        """Add some rows; `decides` holds for each sample whether it is right (1) or not, if anything tells that."""
        numbers = self.index.numbers(sample_ids)
        found = [math.nan] * len(states) if decides is None else decides[numbers].tolist()
        for state, value in zip(states, found, strict=True):
            scored = 2 if math.isnan(value) else 3 if value == 1.0 else 1
            self.outcomes.append(0 if state in FAILED_STATES else scored)
        self.rows.extend(numbers.tolist())

    def take_scores(self, record: Record, chosen: Iterable[int]) -> None:
        """Read the figures of the samples of the `chosen` rows."""
        import numpy as np

        self.numbers = np.array(sorted({self.rows[row] for row in chosen}), dtype=np.int64)
        self.scores = {r.metric: scores_of_samples(record, r, self.index)[self.numbers] for r in self.metrics}

    def scores_of(self, row: int) -> list[float]:
        """The figures of the sample of a chosen row, NaN where it has none."""
        import numpy as np

        place = int(np.searchsorted(self.numbers, self.rows[row])) if self.numbers is not None else 0
        return [float(self.scores[result.metric][place]) for result in self.metrics]


class _Entries:
    """The entries of one task on one model and one outcome, on the disk, with about how many characters each takes."""

    def __init__(self, live_bytes: int) -> None:
        self.spool: Spool[dict[str, Any]] = Spool(live_bytes=live_bytes)
        self.sizes: array[int] = array("Q")

    def first(self, chars: int) -> Sequence[dict[str, Any]]:
        """As many of the first ones as `chars` characters hold."""
        n = sum(1 for end in accumulate(self.sizes) if end <= chars)
        return self.spool if n == len(self.spool) else Picked(self.spool, range(n))


def bundle_samples(
    record: Record, *, limit: int = MAX_SAMPLES, max_chars: int = _MAX_CHARS, baseline: Baseline | None = None
) -> SampleBundle:
    """The samples of `record` for the page, at most `limit` of them and about `max_chars` characters.

    Where there are more, failed ones are taken first, then wrong ones, then the others, evenly over tasks and models.
    Each is set beside what `baseline` answered to it.
    """
    parts = [_part(record, task.id, task.model) for task in record.manifest.tasks]
    bundle = SampleBundle(
        total=sum(len(part.outcomes) for part in parts),
        by_outcome={name: sum(part.outcomes.count(i) for part in parts) for i, name in enumerate(OUTCOMES)},
    )
    against = {} if baseline is None else baseline.places(record)
    bundle.baseline = safe(baseline.name) if baseline is not None and against else ""
    places: dict[bytes, int] = {}
    live_bytes = _LIVE_BYTES // max(1, len(parts) * len(OUTCOMES))
    entries = [[_Entries(live_bytes) for _ in OUTCOMES] for _ in parts]
    errors: Counter[str] = Counter()
    for part, quotas, own in zip(parts, _quotas(parts, limit), entries, strict=True):
        place = {"t": _index(bundle.tasks, safe(part.task)), "m": _index(bundle.models, safe(part.model))}
        bundle.metrics.append({**place, "names": [safe(r.metric) for r in part.metrics], "up": part.ups()})
        chosen = _chosen(part, quotas)
        part.take_scores(record, chosen)
        answers = _answers(baseline, against.get((part.task, part.model)), part)
        chars = [max_chars] * len(OUTCOMES)
        for outcome, entry in _entries(record, part, chosen, SharedTexts(bundle.shared, places), answers):
            if "e" in entry and outcome == 0:
                errors[clip(single_line(entry["e"]), 300)] += 1
            chars[outcome] -= (size := size_of(entry))
            # More of one kind than the whole page may hold will not be in it.
            if chars[outcome] >= 0:
                own[outcome].spool.append({**place, "o": outcome, **entry})
                own[outcome].sizes.append(size)
    bundle.errors = errors.most_common(_ERRORS_KEPT)
    bundle.rows = _within(entries, max_chars)
    if len(bundle.rows) < bundle.total:
        bundle.cut_by = "samples" if len(bundle.rows) >= min(limit, bundle.total) else "characters"
    return bundle


def _within(entries: Sequence[Sequence[_Entries]], max_chars: int) -> Sequence[dict[str, Any]]:
    """The entries that `max_chars` characters hold: failed ones, wrong ones, then the rest, each evenly over parts."""
    kept: dict[tuple[int, int], Sequence[dict[str, Any]]] = {}
    left = max_chars
    for level in _LEVELS:
        places = [(part, outcome) for part in range(len(entries)) for outcome in level]
        sizes = [sum(entries[part][outcome].sizes) for part, outcome in places]
        for (part, outcome), share in zip(places, _fair(sizes, left), strict=True):
            kept[part, outcome] = entries[part][outcome].first(share)
        left = max(0, left - sum(sizes))
    return Joined(kept[part, outcome] for outcome in range(len(OUTCOMES)) for part in range(len(entries)))


def _entries(
    record: Record, part: _Part, chosen: Sequence[int], shared: SharedTexts, answers: BaselineAnswers | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Outcome and entry of the rows at the places `chosen`, which ascend."""
    shared.learn(_at(_prompts(record, part), chosen))
    before = None if answers is None else _at(answers.of_each(_digests(record, part)), chosen)
    up = part.ups()
    for index, row in zip(chosen, _rows(record, part, chosen), strict=True):
        entry = sample_entry(row, part.scores_of(index), shared)
        if before is not None:
            from .sample_baseline import change_of

            other = next(before)
            entry["d"] = CHANGES.index(change_of(entry, other, up, part.decides))
            if other is not None:
                entry["b"] = other
        yield part.outcomes[index], entry


def _at(items: Iterable[Any], chosen: Iterable[int]) -> Iterator[Any]:
    """The items at the places `chosen`, which ascend."""
    left, next_place = iter(items), 0
    for place in chosen:
        yield next(islice(left, place - next_place, None))
        next_place = place + 1


def _rows(record: Record, part: _Part, chosen: Iterable[int]) -> Iterator[SampleRow]:
    return _at(record.iter_samples(task=part.task, model=part.model), chosen)


def _prompts(record: Record, part: _Part) -> Iterator[Prompt]:
    """What the model was asked, without the rest of each row."""
    where = {"task": part.task, "model": part.model}
    columns = ["prompt", "is_chat", "request_prompt"]
    for prompts, chats, asked in iter_columns(record.folder / SAMPLES, where, columns):
        for prompt, is_chat, other in zip(prompts, chats, asked, strict=True):
            if other is not None:
                yield other if isinstance(other, str) else turns(other)
            else:
                yield turns(loads(prompt)) if is_chat else unescape(prompt)


def _digests(record: Record, part: _Part) -> Iterator[str]:
    where = {"task": part.task, "model": part.model}
    for (digests,) in iter_columns(record.folder / SAMPLES, where, ["digest"]):
        yield from digests


def _answers(baseline: Baseline | None, place: tuple[str, str] | None, part: _Part) -> BaselineAnswers | None:
    if baseline is None or place is None:
        return None
    from .sample_baseline import BaselineAnswers

    return BaselineAnswers(baseline.record, *place, [r.metric for r in part.metrics])


def _part(record: Record, task: str, model: str) -> _Part:
    results = [r for r in asked_results(record) if (r.task, r.model, r.group) == (task, model, None)]
    # Few columns are read here, not whole rows: most of a large record's rows are not needed.
    path, where = record.folder / SAMPLES, {"task": task, "model": model}
    index = KeyIndex(sample_id for (ids,) in iter_columns(path, where, ["sample_id"]) for sample_id in ids)
    part = _Part(task, model, results, index, best=best_between(record.manifest))
    columns = ((i, scores_of_samples(record, r, index)) for i, r in enumerate(results) if may_tell_right(r))
    part.decides, decides = next(((i, values) for i, values in columns if are_right_or_wrong(values)), (None, None))
    for ids, states in _states(record, task, model):
        part.note(ids, states, decides)
    return part


def _states(record: Record, task: str, model: str) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Ids and states of the rows, some at a time; that judges failed stands in what they said."""
    path, where = record.folder / SAMPLES, {"task": task, "model": model}
    summary = next(entry for entry in record.manifest.tasks if (entry.id, entry.model) == (task, model))
    if not summary.states.get("judge_failed"):
        for ids, states in iter_columns(path, where, ["sample_id", "status"]):
            yield ids, states
        return
    for ids, states, metas in iter_columns(path, where, ["sample_id", "status", "meta"]):
        pairs = zip(states, metas, strict=True)
        yield ids, [state_of(Response(key="", status=state, meta=meta or {})) for state, meta in pairs]


def _quotas(parts: Sequence[_Part], limit: int) -> list[list[int]]:
    """How many rows of each level (failed, wrong, other) each part may bring."""
    quotas: list[list[int]] = [[] for _ in parts]
    left = limit
    for level in _LEVELS:
        counts = [sum(part.outcomes.count(o) for o in level) for part in parts]
        for quota, share in zip(quotas, _fair(counts, left), strict=True):
            quota.append(share)
        left -= sum(quota[-1] for quota in quotas)
    return quotas


def _fair(counts: Sequence[int], budget: int) -> list[int]:
    """`budget` shared evenly, nobody getting more than its count."""
    shares = [0] * len(counts)
    waiting = sorted(range(len(counts)), key=lambda i: counts[i])
    for position, i in enumerate(waiting):
        shares[i] = min(counts[i], budget // (len(waiting) - position))
        budget -= shares[i]
    return shares


def _chosen(part: _Part, quotas: Sequence[int]) -> list[int]:
    """The places of the rows that are shown, ascending."""
    import numpy as np

    outcomes = np.frombuffer(part.outcomes, dtype=np.uint8)
    hits = [np.flatnonzero(np.isin(outcomes, level))[:quota] for level, quota in zip(_LEVELS, quotas, strict=True)]
    found: list[int] = np.sort(np.concatenate(hits)).tolist()
    return found


def _index(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)
