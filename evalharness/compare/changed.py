"""The samples whose own value changed, worst first, with what both sides answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ..core.nulls import gains
from ..core.protocols import Metric
from ..metrics.interval import sample_values
from .pairing import PairedRows
from .result import ChangedSample
from .subjects import FigurePair

if TYPE_CHECKING:
    from ..record import Record
    from ..record.arrays import SampleTexts

__all__ = ["Picked", "changed_samples", "pick"]

# What rounding leaves is no change.
_LEAST = 1e-12


class Picked(NamedTuple):
    """A sample to be shown: where its texts are, and its values."""

    pair: FigurePair
    records: tuple[Record, Record]
    label: str
    sample_id: str
    baseline_id: str
    value: float
    baseline_value: float
    worsening: float
    is_flip: bool


def pick(
    pair: FigurePair,
    records: tuple[Record, Record],
    label: str,
    rows: PairedRows,
    metric: Metric,
    *,
    limit: int,
    is_flip: bool,
) -> list[Picked]:
    """The `limit` samples that got worst, then those that got better, the one that gained most last."""
    after, before = sample_values(metric, rows.current), sample_values(metric, rows.baseline)
    worsening = -gains(metric, after, before)
    with np.errstate(invalid="ignore"):
        worse, better = np.flatnonzero(worsening > _LEAST), np.flatnonzero(worsening < -_LEAST)
    # Stable, so that equal ones stand in the order of the record.
    worst = worse[np.argsort(-worsening[worse], kind="stable")][:limit]
    best = better[np.argsort(worsening[better], kind="stable")][:limit][::-1]
    places = np.concatenate([worst, best]).astype(np.int64)
    return [
        Picked(pair, records, label, ours, theirs, float(after[i]), float(before[i]), float(worsening[i]), is_flip)
        for i, ours, theirs in zip(places, rows.current_ids(places), rows.baseline_ids(places), strict=True)
    ]


def changed_samples(picked: Sequence[Picked]) -> Iterator[ChangedSample]:
    """The picked samples with their texts, which are read once for each task and model of a record."""
    ours = _Texts((one.records[0], one.pair.current.task, one.pair.current.model, one.sample_id) for one in picked)
    theirs = _Texts(
        (one.records[1], one.pair.baseline.task, one.pair.baseline.model, one.baseline_id) for one in picked
    )
    for one in picked:
        figure, against = one.pair
        new = ours.of(one.records[0], figure.task, figure.model, one.sample_id)
        old = theirs.of(one.records[1], against.task, against.model, one.baseline_id)
        # A group of lm-eval's tasks has figures, and its tasks have the samples.
        if new is None or old is None:
            continue
        yield ChangedSample(
            task=figure.task,
            metric=figure.metric,
            candidate=one.label,
            model=figure.model,
            sample_id=one.sample_id,
            value=one.value,
            baseline_value=one.baseline_value,
            worsening=one.worsening,
            flip=_flip(one),
            prompt=new.prompt,
            baseline_prompt=None if old.prompt == new.prompt else old.prompt,
            gold=new.references or ((new.target,) if new.target is not None else ()),
            answer=_answer(new),
            read=_read(new),
            status=new.status,
            baseline_answer=_answer(old),
            baseline_read=_read(old),
            baseline_status=old.status,
            groups=new.groups,
        )


def _flip(one: Picked) -> Literal["right to wrong", "wrong to right"] | None:
    if not one.is_flip:
        return None
    return "right to wrong" if one.worsening > 0 else "wrong to right"


def _answer(texts: SampleTexts) -> str | None:
    return texts.answer if texts.text is None else texts.text


def _read(texts: SampleTexts) -> str | None:
    return None if texts.text is None or texts.answer in (None, texts.text) else texts.answer


class _Texts:
    """Texts of samples of several records, tasks and models."""

    def __init__(self, wanted: Iterable[tuple[Record, str, str, str]]) -> None:
        asked: dict[tuple[int, str, str], tuple[Record, list[str]]] = {}
        for record, task, model, sample_id in wanted:
            asked.setdefault((id(record), task, model), (record, []))[1].append(sample_id)
        self._found = {key: record.texts(key[1], key[2], ids) for key, (record, ids) in asked.items()}

    def of(self, record: Record, task: str, model: str, sample_id: str) -> SampleTexts | None:
        return self._found.get((id(record), task, model), {}).get(sample_id)
