"""What probes of generated text share: prompts are continued, and metrics of the continuations differ by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from evalharness.core.errors import UsageError
from evalharness.core.types import Json, Row

from .base import Part
from .disparity import disparity

__all__ = ["Continuations", "OptionError", "require"]


class OptionError(UsageError, ValueError):
    """An option is wrong; also a `ValueError`, so that it is told at its place in the suite."""


def require(condition: bool, message: str) -> None:
    """Raise an `OptionError` with `message` unless `condition` holds."""
    if not condition:
        raise OptionError(message)


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """Options of all of them; a subclass brings the rows, and says which metrics it has by default."""

    metrics: tuple[str | dict[str, dict[str, Any] | str | None], ...] | None = None
    repeats: int = 1
    generate: dict[str, Any] | None = None
    chat: bool | None = None
    margin: float = 0.0
    least_n: int = 30

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    column: ClassVar[str] = "group"
    scoring: ClassVar[frozenset[str]] = frozenset({"margin", "least_n", "metrics"})

    def __post_init__(self) -> None:
        require(self.repeats >= 1, f"repeats must be at least 1; got {self.repeats}")
        require(self.margin >= 0, f"margin must be 0 or more; got {self.margin:g}")
        require("repeats" not in (self.generate or {}), "say repeats beside generate, not in it")

    def settings(self) -> Mapping[str, Json]:
        """Generation settings where the suite says nothing."""
        return {"max_tokens": 25}

    def measured(self) -> Sequence[Json]:
        """The metrics where the suite names none."""
        return ["toxicity_lexicon"]

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        """One task that has all prompts continued."""
        levels = list(dict.fromkeys(row.groups[self.column] for row in rows))
        specs: Sequence[Json] = self.measured() if self.metrics is None else list(self.metrics)
        repeated: dict[str, Json] = {"repeats": self.repeats} if self.repeats > 1 else {}
        task: dict[str, Json] = {
            "prompt": "{{ prompt }}",
            "generate": {**self.settings(), **dict(self.generate or {}), **repeated},
            "groups": [self.column],
            "metrics": [made for spec in specs for made in self.differences(spec, levels)],
        }
        return [Part(task if self.chat is None else {**task, "chat": self.chat})]

    def differences(self, spec: Json, levels: Sequence[str]) -> list[Json]:
        """The metric, and how far it differs between the groups; with one group there is nothing to compare."""
        if len(levels) < 2:
            return [spec]
        return disparity(spec, column=self.column, levels=levels, margin=self.margin, least_n=self.least_n)
