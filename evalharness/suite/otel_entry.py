"""`otel:` of a monitor: where scores go as OpenTelemetry events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .alert_entry import Channel
from .fields import Strict, Text

__all__ = ["OtelEvents"]


class OtelEvents(Strict):
    """Scores as `gen_ai.evaluation.result` events: to an OTLP/HTTP endpoint, or appended to a file; one of the two."""

    url: Text | None = Field(
        None, description='OTLP/HTTP endpoint: "http://127.0.0.1:4318"; /v1/logs is added where it is missing.'
    )
    path: Text | None = Field(None, description="File of JSON lines, as collectors read with otlpjsonfile.")
    format: Literal["json", "protobuf"] = Field("protobuf", description="How an endpoint is spoken to; files are JSON.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers; secrets as ${env:NAME}.")
    allow_private: bool = Field(True, description="Whether `url` may lead to this machine or a private network.")
    service_name: Text | None = Field(None, description="`service.name` of the events (default: the monitor's name).")

    @model_validator(mode="after")
    def _one_target(self) -> OtelEvents:
        if (self.url is None) == (self.path is None):
            raise ValueError("give exactly one of url and path")
        if self.url is not None:
            Channel(url=self.url, kind="webhook", headers=self.headers)
        return self
