"""The samples that a report embeds: bounded, failures and wrong answers first, shared text stored once."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..core.keyindex import KeyIndex
from ..core.protocols import Array
from ..core.spool import Joined, Spool
from ..core.types import FAILED_STATES, MetricResult, Prompt, Response
from ..metrics.states import state_of
from ..record.read import iter_columns
from ..record.schema import SAMPLES, SCORES
from .text import safe
from .view import asked_results

if TYPE_CHECKING:
    from ..record import Record, SampleRow
    from ..stats.arrays import Ints

__all__ = ["MAX_SAMPLES", "OUTCOMES", "SampleBundle", "bundle_samples"]

MAX_SAMPLES = 20_000
_MAX_CHARS = 40_000_000
# A text longer than that is cut in the page, which says so; the record keeps it whole.
_MAX_TEXT = 20_000
# A preamble shorter than that is not worth a reference.
_SHARED = 200

OUTCOMES = ("failed", "wrong", "scored", "right")
_LEVELS = ((0,), (1,), (2, 3))


@dataclass
class SampleBundle:
    """What the page's explorer is given, in plain JSON types; `rows` of `total` are here, on the disk."""

    total: int = 0
    tasks: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    shared: Spool[str] = field(default_factory=Spool)
    rows: Sequence[dict[str, Any]] = ()
    by_outcome: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The content of the page's data block, but for `shared` and `rows`."""
        return {"tasks": self.tasks, "models": self.models, "metrics": self.metrics, "outcomes": list(OUTCOMES)}


@dataclass
class _Part:
    """One task on one model: its figures, the number of each sample, the outcome and the sample of each row.

    A record of any length may be looked at here, so that of all its rows only these few bytes are kept; `scores` are
    those of the rows that were chosen, in the order of `numbers`.
    """

    task: str
    model: str
    metrics: list[MetricResult]
    index: KeyIndex
    outcomes: bytearray = field(default_factory=bytearray)
    rows: array[int] = field(default_factory=lambda: array("I"))
    numbers: Ints | None = None
    scores: dict[str, Array] = field(default_factory=dict)

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
        self.scores = {r.metric: _scores(record, r, self.index)[self.numbers] for r in self.metrics}

    def scores_of(self, row: int) -> list[float]:
        """The figures of the sample of a chosen row, NaN where it has none."""
        import numpy as np

        place = int(np.searchsorted(self.numbers, self.rows[row])) if self.numbers is not None else 0
        return [float(self.scores[result.metric][place]) for result in self.metrics]


def bundle_samples(record: Record, *, limit: int = MAX_SAMPLES, max_chars: int = _MAX_CHARS) -> SampleBundle:
    """The samples of `record` for the page, at most `limit` of them and about `max_chars` characters.

    Where there are more, failed ones are taken first, then wrong ones, then the others, evenly over tasks and models.
    """
    parts = [_part(record, task.id, task.model) for task in record.manifest.tasks]
    bundle = SampleBundle(
        total=sum(len(part.outcomes) for part in parts),
        by_outcome={name: sum(part.outcomes.count(i) for part in parts) for i, name in enumerate(OUTCOMES)},
    )
    strings = _Strings(bundle.shared)
    # Failed ones first; within an outcome the order of the record is kept.
    by_outcome: tuple[Spool[dict[str, Any]], ...] = tuple(Spool() for _ in OUTCOMES)
    left = max_chars
    for part, quotas in zip(parts, _quotas(parts, limit), strict=True):
        chosen = _chosen(part, quotas)
        part.take_scores(record, chosen)
        place = {"t": _index(bundle.tasks, safe(part.task)), "m": _index(bundle.models, safe(part.model))}
        bundle.metrics.append(
            {**place, "names": [safe(r.metric) for r in part.metrics], "up": [r.higher_is_better for r in part.metrics]}
        )
        rows = Spool(_rows(record, part, chosen))
        preamble = _preamble(row.request.prompt for row in rows)
        for index, row in zip(chosen, rows, strict=True):
            entry = {**place, "o": part.outcomes[index], **_entry(row, part.scores_of(index), preamble, strings)}
            left -= entry.pop("size")
            if left < 0:
                break
            by_outcome[entry["o"]].append(entry)
    bundle.rows = Joined(by_outcome)
    return bundle


def _rows(record: Record, part: _Part, chosen: Iterable[int]) -> Iterator[SampleRow]:
    """The rows at the places `chosen`, which ascend."""
    rows, next_place = record.iter_samples(task=part.task, model=part.model), 0
    for place in chosen:
        yield next(islice(rows, place - next_place, None))
        next_place = place + 1


def _part(record: Record, task: str, model: str) -> _Part:
    results = [r for r in asked_results(record) if (r.task, r.model, r.group) == (task, model, None)]
    # Few columns are read here, not whole rows: most of a large record's rows are not needed.
    path, where = record.folder / SAMPLES, {"task": task, "model": model}
    index = KeyIndex(sample_id for (ids,) in iter_columns(path, where, ["sample_id"]) for sample_id in ids)
    part = _Part(task, model, results, index)
    columns = (_scores(record, result, index) for result in results if _may_tell_right(result))
    decides = next((values for values in columns if _are_right_or_wrong(values)), None)
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


def _judged(response: Response) -> list[list[str | None]]:
    """Figure, judge, what it said and why, of each verdict on the response."""
    judged: Any = response.meta.get("judged") or {}
    return [
        [safe(figure), safe(_asked(verdict)), safe(_said(verdict)), _cut(_why(verdict))]
        for figure, found in judged.items()
        for verdict in found["verdicts"]
    ]


def _asked(verdict: Mapping[str, Any]) -> str:
    order = {"ab": " · as A", "ba": " · as B"}.get(verdict["order"] or "", "")
    again = f" · {verdict['repeat'] + 1}" if verdict["repeat"] else ""
    return f"{verdict['model']}{again}{order}"


def _said(verdict: Mapping[str, Any]) -> str:
    if verdict["status"] != "ok":
        return str(verdict["status"])
    return str(verdict["label"]) if verdict["label"] is not None else f"{verdict['value']:g}"


def _why(verdict: Mapping[str, Any]) -> str:
    return str(verdict.get("explanation") or verdict["reason"] or "")


def _scores(record: Record, result: MetricResult, index: KeyIndex) -> Array:
    import numpy as np

    where = {"task": result.task, "model": result.model, "metric": result.metric}
    values = np.full(len(index), math.nan)
    for ids, found in iter_columns(record.folder / SCORES, where, ["sample_id", "value"]):
        numbers = index.numbers(ids)
        known = numbers >= 0
        values[numbers[known]] = np.array(found, dtype=np.float64)[known]
    return values


def _may_tell_right(result: MetricResult) -> bool:
    """Whether a figure may tell right from wrong: the first one that says 0 or 1 of each sample; BLEU says neither."""
    return result.higher_is_better and result.bounds == (0.0, 1.0)


def _are_right_or_wrong(values: Array) -> bool:
    """Whether some samples have a figure, and each 0 or 1."""
    import numpy as np

    found = values[~np.isnan(values)]
    return bool(found.size) and bool(np.isin(found, (0.0, 1.0)).all())


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


class _Strings:
    """Texts that many samples share: few-shot preambles, system messages."""

    def __init__(self, table: Spool[str]) -> None:
        self.table = table
        self._known: dict[bytes, int] = {}

    def put(self, text: str) -> tuple[int, bool]:
        """The place of `text` in the table, and whether it was there before."""
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if (place := self._known.get(key)) is not None:
            return place, True
        place = self._known[key] = len(self.table)
        self.table.append(text)
        return place, False


def _preamble(prompts: Iterable[Prompt]) -> str:
    """The longest common beginning of all text prompts, "" if it is short."""
    n, first, last = 0, "", ""
    for prompt in prompts:
        if isinstance(prompt, str):
            first, last = (min(first, prompt), max(last, prompt)) if n else (prompt, prompt)
            n += 1
    if n < 2:
        return ""
    # What the first and the last one in the order of text share, all share.
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    # At the end of a line, so that what is left of a sample begins with one.
    end = first.rfind("\n", 0, same) + 1
    return first[:end] if end >= _SHARED else ""


def _cut(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return safe(text)
    return f"{safe(text[:_MAX_TEXT])}\n… {len(text) - _MAX_TEXT:,} more characters are in the record"


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def _entry(row: SampleRow, scores: Sequence[float], preamble: str, strings: _Strings) -> dict[str, Any]:
    sample, request, response = row.sample, row.request, row.response
    prompt: list[Any]
    size = 0
    if isinstance(request.prompt, str):
        shared = preamble if preamble and request.prompt.startswith(preamble) else ""
        tail = _cut(request.prompt[len(shared) :])
        size += len(tail)
        prompt = [strings.put(_cut(shared))[0], tail] if shared else [tail]
    else:
        prompt = []
        for turn in request.prompt:
            text = _cut(turn.content)
            place, known = strings.put(text) if len(text) >= _SHARED else (None, False)
            size += 4 if known else len(text)
            prompt.append([safe(turn.role), text if place is None else place])
    entry: dict[str, Any] = {
        "id": safe(sample.id),
        "s": state_of(response),
        "p": prompt,
        "c": not isinstance(request.prompt, str),
        "sc": [_number(score) for score in scores],
    }
    continuations = request.continuations or sample.choices
    optional: Mapping[str, Any] = {
        "r": request.repeat,
        "x": _cut(response.text) if response.text is not None else None,
        "a": _cut(response.answer) if response.answer is not None else None,
        "g": _cut(sample.target) if sample.target is not None else None,
        "f": [_cut(text) for text in sample.references],
        "ch": [_cut(text) for text in continuations],
        "ll": [[_number(x.total), x.n_tokens, int(x.is_greedy)] for x in response.loglikelihoods],
        "lp": [[safe(label), _number(p)] for label, p in response.label_probabilities.items()],
        "e": _cut(response.error) if response.error is not None else None,
        "j": _judged(response),
        "fr": safe(response.finish_reason or ""),
        "ti": response.input_tokens,
        "to": response.output_tokens,
        "la": _number(response.latency_s),
        "re": response.n_retries,
        "st": int(row.from_store),
        "gr": [[safe(k), safe(str(v))] for k, v in sample.groups.items()],
        "cl": safe(sample.cluster) if sample.cluster is not None else None,
        "k": response.key[:16],
    }
    entry.update({key: value for key, value in optional.items() if value not in (None, "", [], 0)})
    # An empty output is an output; a zero token count and the repeat 0 are not worth their bytes.
    if response.text == "":
        entry["x"] = ""
    size += sum(len(v) for v in (entry.get("x"), entry.get("e"), entry.get("a")) if isinstance(v, str))
    size += sum(len(cell or "") for verdict in entry.get("j", ()) for cell in verdict)
    size += sum(map(len, entry.get("f", ()))) + sum(map(len, entry.get("ch", ()))) + 200
    entry["size"] = size
    return entry
