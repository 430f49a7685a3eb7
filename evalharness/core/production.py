"""What a deployed model answered: the row of monitoring, whatever log it was read from (`response.v1`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

__all__ = ["ProductionResponse", "Scalar"]

Scalar: TypeAlias = None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class ProductionResponse:
    """One response of production.

    Times are aware of their zone. `input` and `output` are None where content is not captured; the input is the text
    of the last turn of the user, `messages` the whole chat as (role, text). Durations are in seconds, cost in US
    dollars; NaN stands for "not known". `attributes` are what windows may be divided by: language, region, tier.
    """

    id: str
    event_time: datetime
    ingest_time: datetime | None = None
    service: str = ""
    model: str = ""
    operation: str = ""
    conversation: str | None = None
    input: str | None = None
    output: str | None = None
    messages: tuple[tuple[str, str], ...] = ()
    reasoning: str | None = None
    finish_reason: str = ""
    error: str | None = None
    latency_s: float = float("nan")
    time_to_first_token_s: float = float("nan")
    input_tokens: float = float("nan")
    output_tokens: float = float("nan")
    cached_tokens: float = float("nan")
    reasoning_tokens: float = float("nan")
    cost_usd: float = float("nan")
    label: str | None = None
    prediction: str | None = None
    probability: float = float("nan")
    scores: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
