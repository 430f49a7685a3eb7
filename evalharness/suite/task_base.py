"""What every task of a suite has: its name, its models, and how figures are named."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from .fields import Strict, Text, VariantName

__all__ = ["AnyTask", "MetricSpec"]


_MetricOptions: TypeAlias = dict[str, dict[str, JsonValue] | Text | None]


def _one_metric(spec: _MetricOptions) -> _MetricOptions:
    if len(spec) != 1:
        raise ValueError("must be one name with its options: {bleu: {lowercase: true}}")
    return spec


MetricSpec: TypeAlias = (
    Text
    | Annotated[
        _MetricOptions,
        AfterValidator(_one_metric),
        WithJsonSchema(
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": ["object", "string", "null"]},
            }
        ),
    ]
)


class AnyTask(Strict):
    """What every task says."""

    id: VariantName = Field(description="Name of the task, unique in the suite.")
    model: VariantName | Annotated[tuple[VariantName, ...], Field(min_length=1)] | None = Field(
        None, description="Which model or models (default: all but those that only judge)."
    )
