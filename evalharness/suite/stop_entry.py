"""`execution.stop_when_decided`: a run that ends once its gates are decided."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from .fields import Strict

__all__ = ["StopWhenDecided"]


class StopWhenDecided(Strict):
    """End the run as soon as every blocking rule is decided: true, or the keys below; see [sequential](sequential.md).

    Samples are asked in an order drawn with the suite's seed, part by part, and after each part the rules are looked
    at, with bounds that keep the error of all looks together at `gates.alpha`.
    """

    looks: int = Field(
        5, ge=2, le=50, description="In how many equal parts the samples are asked; a look follows each."
    )
    spending: Literal["obrien-fleming", "pocock"] = Field(
        "obrien-fleming",
        description="How the looks share the error: obrien-fleming saves nearly all of it for the last looks, so that "
        "a full run loses next to nothing; pocock stops earlier, and asks more of a full run.",
    )
    futility: bool = Field(
        True,
        description="End also where a rule is not likely to be passed any more; it is then not passed, and not failed "
        "either (inconclusive).",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if value is True:
            return {}
        if isinstance(value, dict | StopWhenDecided):
            return value
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false, nor a mapping with looks, spending, futility")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        whole: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        short = {"type": "boolean", "description": "true: with 5 looks of O'Brien-Fleming's kind, and futility."}
        return {"anyOf": [short, dict(whole)], "title": whole.get("title"), "description": whole.get("description")}
