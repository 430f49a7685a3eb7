"""The answers of a recorded run as responses of production, so that both can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from evalharness.core.production import ProductionResponse
from evalharness.record import Record, SampleRow

__all__ = ["response_of", "responses_of_run"]

_BATCH = 2048
_NO_TIME = datetime.fromtimestamp(0, UTC)


def responses_of_run(
    record: Record, judged: Mapping[tuple[str, str], str] = MappingProxyType({})
) -> Iterator[Sequence[ProductionResponse]]:
    """The answers of `record`, batch by batch; groups become attributes, clusters conversations.

    `judged` are, by task and figure, the columns in which verdicts stand.
    """
    batch: list[ProductionResponse] = []
    for row in record.iter_samples():
        one = response_of(row, f"{row.task}/{row.model}/{row.sample.id}/{row.request.repeat}")
        scores = {column: value for key, column in judged.items() if (value := _verdict(row, *key)) is not None}
        batch.append(replace(one, scores=scores) if scores else one)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _verdict(row: SampleRow, task: str, figure: str) -> float | None:
    said: Any = row.response.meta.get("judged") if row.task == task else None
    value = said.get(figure, {}).get("value") if isinstance(said, Mapping) else None
    return None if value is None else float(value)


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
