"""The answers of a recorded run as responses of production, so that both can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evalharness.core.production import ProductionResponse
from evalharness.record import Record, SampleRow

__all__ = ["response_of", "responses_of_run"]

_BATCH = 2048
_NO_TIME = datetime.fromtimestamp(0, UTC)


def responses_of_run(folder: Path) -> Iterator[Sequence[ProductionResponse]]:
    """The answers of the record in `folder`, batch by batch; groups become attributes, clusters conversations."""
    batch: list[ProductionResponse] = []
    for row in Record.open(folder).iter_samples():
        batch.append(response_of(row, f"{row.task}/{row.model}/{row.sample.id}/{row.request.repeat}"))
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def response_of(row: SampleRow, response_id: str) -> ProductionResponse:
    """A row of a record as a response of production, under `response_id`."""
    request, response, sample = row.request, row.response, row.sample
    prompt = request.prompt
    failed = response.status != "ok"
    created = datetime.fromisoformat(response.created_utc) if response.created_utc else _NO_TIME
    return ProductionResponse(
        id=response_id,
        event_time=created if created.tzinfo else created.replace(tzinfo=UTC),
        model=row.model,
        operation=row.task,
        conversation=sample.cluster,
        input=prompt if isinstance(prompt, str) else prompt[-1].content if prompt else None,
        output=response.text,
        finish_reason=response.finish_reason or "",
        error=(response.error or response.status) if failed else None,
        latency_s=_known(response.latency_s),
        input_tokens=_known(response.input_tokens),
        output_tokens=_known(response.output_tokens),
        label=sample.target if sample.target is not None else next(iter(sample.references), None),
        prediction=response.answer,
        attributes=dict(sample.groups),
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else float(value)
