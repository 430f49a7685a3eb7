"""The type of a suite's `monitor:`: checked by `monitor_entry`, which only suites that have one load and build."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

    from .monitor_entry import Monitor as MonitorField

__all__ = ["MonitorField"]


def _checked(value: Any) -> Any:
    from .monitor_entry import Monitor

    # As JSON, since a strict model takes lists for tuples there only.
    return value if isinstance(value, Monitor) else Monitor.model_validate_json(json.dumps(value), strict=True)


class _Later:
    """Building the models of a monitor takes a quarter as long as those of all the rest of a suite."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_plain_validator_function(_checked)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> Any:
        from .monitor_entry import Monitor

        return handler(Monitor.__pydantic_core_schema__)


if not TYPE_CHECKING:
    MonitorField = Annotated[Any, _Later]
