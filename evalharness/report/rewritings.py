"""The answers of a record as rewritings of the texts that were asked about: what the probe `robustness` reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion

if TYPE_CHECKING:
    from evalharness.core.types import Json
    from evalharness.record import Record

__all__ = ["Rewritings", "rewritings_of"]


@dataclass(frozen=True, slots=True)
class Rewritings:
    """The lines of a file of rewritings, and how many answers were left out, by reason."""

    lines: tuple[str, ...]
    left_out: dict[str, int] = field(default_factory=dict)


def rewritings_of(record: Record, task: str, *, model: str | None, text_field: str, name: str) -> Rewritings:
    """The answers to `task` as rewritings of `text_field`, called `name` (with repeats: `name_1` …).

    An answer that is not ok, blank, or the text itself is left out. A dataset of rewritings keeps its `source`: what is
    translated back is a rewriting of what was there at first.

    Raises:
        UsageError: there is no such task, several models answered it, or its rows have no such field.
    """
    tasks = {summary.id for summary in record.manifest.tasks}
    if task not in tasks:
        raise UsageError(f"the record {record.id} has no task {task!r}{suggestion(task, tasks)}")
    models = sorted({summary.model for summary in record.manifest.tasks if summary.id == task})
    if model is None and len(models) > 1:
        raise UsageError(f"{task!r} was answered by {', '.join(models)}; say whose answers with --model")
    if model is not None and model not in models:
        raise UsageError(
            f"{task!r} was not answered by {model!r}{suggestion(model, models)}; it was by {', '.join(models)}"
        )
    chosen = model or models[0]
    rows = list(record.iter_samples(task=task, model=chosen))
    several = any(row.request.repeat for row in rows)
    prompt = next(
        (dict(s.identity).get("prompt") for s in record.manifest.tasks if (s.id, s.model) == (task, chosen)), None
    )
    left_out: dict[str, int] = {}
    lines = []
    for row in rows:
        text = (row.response.answer or row.response.text or "").strip()
        source = _source(row.sample.fields, row.sample.id, text_field)
        why: str = row.response.status if row.response.status != "ok" else "blank" if not text else ""
        if not why and text == source[text_field]:
            why = "the same text"
        if why:
            left_out[why] = left_out.get(why, 0) + 1
            continue
        line: dict[str, Json] = {
            "id": row.sample.id,
            "variant": f"{name}_{row.request.repeat + 1}" if several else name,
            "source": source,
            "fields": {text_field: text},
            "model": chosen,
            "run": record.id,
            "prompt": prompt,
        }
        lines.append(json.dumps(line, ensure_ascii=False))
    return Rewritings(tuple(lines), left_out)


def _source(fields: Any, sample_id: str, text_field: str) -> dict[str, Json]:
    chained = fields.get("source")
    if isinstance(chained, dict) and "variant" in fields and text_field in chained:
        return {text_field: chained[text_field]}
    if not isinstance(fields.get(text_field), str):
        raise UsageError(
            f"the row {sample_id!r} has no text under {text_field!r}{suggestion(text_field, fields)}; name the field "
            "that was rewritten with --field"
        )
    return {text_field: fields[text_field]}
