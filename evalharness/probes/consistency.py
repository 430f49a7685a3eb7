"""Self-consistency: does a model say the same again, and is what it says most often better than what it says once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from evalharness.core.errors import UsageError
from evalharness.core.types import Json

from .base import Variant

__all__ = ["Consistency"]

# Metrics that say of one answer whether it is right.
_RIGHT = frozenset({"accuracy", "exact_match", "numeric_match", "contains", "regex", "json_fields", "tool_call_match"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Asks each row of a task several times, at one temperature or several, and compares the answers to a row.

    Told are how often two answers agree, how large the part of the most frequent one is, the task's own metrics (of a
    single answer, on average), and for those that say what is right the share of rows whose most frequent answer is
    (`majority_…`). Answers are compared after the task's `extract` has read them, and best where that is short. Each
    temperature becomes a task of its own, `id/t0_7`.

    Options:
        temperatures: the temperatures; at 0 the answers of most models are all the same.
        repeats: how many answers to each row.
        normalize: when two answers are the same: squad, strip and none as in `exact_match`.
        also: further metrics, such as self_bleu.
    """

    temperatures: tuple[float, ...] = (0.7,)
    repeats: int = 5
    normalize: Literal["squad", "strip", "none"] = "squad"
    also: tuple[str | dict[str, Any], ...] = ()

    name: ClassVar[str] = "consistency"
    question: ClassVar[str] = "consistency"
    description: ClassVar[str] = "agreement of several answers to one question, by temperature"
    column: ClassVar[str] = "temperature"

    def __post_init__(self) -> None:
        known = self.temperatures and len(set(self.temperatures)) == len(self.temperatures)
        if not known or not all(0 <= temperature <= 5 for temperature in self.temperatures):
            raise UsageError(f"temperatures must be different numbers from 0 to 5; got {list(self.temperatures)}")
        if not 2 <= self.repeats <= 1000:
            raise UsageError(f"repeats must be from 2 to 1,000; got {self.repeats}")

    def settings(self, task: Mapping[str, Json]) -> Mapping[str, Mapping[str, Json]]:
        """How the rows are asked, by the part of the id."""
        own = task.get("generate")
        given = dict(own) if isinstance(own, Mapping) else {}
        return {
            "" if len(self.temperatures) == 1 else f"t{temperature:g}".replace(".", "_"): {
                "generate": {**given, "temperature": temperature, "repeats": self.repeats}
            }
            for temperature in self.temperatures
        }

    def variants(self, task: Mapping[str, Json], base: Path) -> Sequence[Variant]:
        """None: the rows are asked as they are."""
        return ()

    def metrics(self, metrics: Sequence[Json], levels: Sequence[str]) -> Sequence[Json]:
        """Agreement, and the task's own metrics of one answer and of the most frequent one."""
        same: dict[str, Json] = {"normalize": self.normalize}
        made: list[Json] = [{"repeat_agreement": same}, {"majority_share": same}]
        for spec in metrics:
            made.append(spec)
            name, options = (spec, None) if isinstance(spec, str) else next(iter(dict(spec).items()))  # type: ignore[arg-type]
            if name in _RIGHT:
                given = dict(options) if isinstance(options, Mapping) else {}
                shown = given.pop("as", name)
                made.append({"maj_at_k": {**same, "of": {name: given} if given else name, "as": f"majority_{shown}"}})
        return [*made, *self.also]
