"""What is measured of an interval beside its columns: each part sees the responses, then says what it found.

A part is made for one interval (`PARTS`) and is given its responses batch by batch, in the order of the source. Columns
that are compared with the reference are made elsewhere (`operations`, `describe`); what a part gives a column by is the
mapping `scores` of a response, filled by an enricher (`ENRICHERS`), which sees the responses of the reference, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse

from .conditions import Condition
from .measurement import FigureRow

if TYPE_CHECKING:
    from evalharness.record import RunRegistry

    from .define import Definition
    from .measurement import Past
    from .schedule import Interval

__all__ = ["ENRICHERS", "PARTS", "Enrich", "Found", "Part", "Setting", "enriched", "parts_of"]

Responses: TypeAlias = Sequence[ProductionResponse]
Enrich: TypeAlias = Callable[[Responses], Responses]
"""Responses with more known of them: a pure function of each, whatever batch and side it comes in."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a part works with; it calls `beat` now and then, which raises where the work is not wanted any more."""

    definition: Definition
    interval: Interval
    past: Past
    registry: RunRegistry
    beat: Callable[[], None]


class Found(NamedTuple):
    """What a part found; `files` go into the interval's folder, `conditions` to its alerts."""

    figures: tuple[FigureRow, ...] = ()
    files: Mapping[str, bytes] = MappingProxyType({})
    conditions: tuple[Condition, ...] = ()


class Part(Protocol):
    """Something that is measured of one interval."""

    @property
    def input_digest(self) -> str:
        """What it read beside the responses, "" for nothing: an interval with other input is a revision."""

    def add(self, responses: Responses) -> None:
        """Look at a batch."""

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """What was found, once all responses are seen and the interval is compared with its reference.

        Raises:
            EvalHarnessError: it cannot be measured now; the interval is recorded as an error and tried again.
        """


PARTS: Final[tuple[Callable[[Setting], Part | None], ...]] = ()
"""What makes the parts of an interval, in their order; None where the definition asks for nothing of it."""

ENRICHERS: Final[tuple[Callable[[Definition, RunRegistry], Enrich | None], ...]] = ()
"""What makes the enrichers of a monitor, in their order."""


def parts_of(setting: Setting) -> tuple[Part, ...]:
    """The parts that the definition asks for."""
    return tuple(part for make in PARTS if (part := make(setting)) is not None)


def enriched(definition: Definition, registry: RunRegistry) -> Enrich:
    """All enrichers as one."""
    made = [one for make in ENRICHERS if (one := make(definition, registry)) is not None]
    return partial(reduce, lambda responses, enrich: enrich(responses), made)
