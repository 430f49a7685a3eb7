"""What is measured of an interval beside its columns: each part sees the responses, then says what it found.

A part is made for one interval (`PARTS`) and is given its responses batch by batch, in the order of the source. It may
give them back with more known of them (labels, scores), which the parts behind it, the figures and the windows then
see; of a fixed reference only such parts see the responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse
from evalharness.suite.monitor_entry import RunReference

from .asking import Asking
from .conditions import Condition
from .measurement import FigureRow

if TYPE_CHECKING:
    from evalharness.record import RunRegistry

    from .define import Definition
    from .fixed_reference import FixedReference
    from .measurement import Past
    from .schedule import Interval

__all__ = ["PARTS", "Found", "Part", "Responses", "Setting", "add_to_all", "enriching_parts_of", "parts_of"]

Responses: TypeAlias = Sequence[ProductionResponse]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a part works with; it calls `beat` now and then, which raises where the work is not wanted any more.

    `side` is "reference" where the responses are those of a fixed reference; `end` is then never called. `fixed` is
    what is kept of such a reference.
    """

    definition: Definition
    interval: Interval
    past: Past
    registry: RunRegistry
    beat: Callable[[], None]
    side: Literal["current", "reference"] = "current"
    asking: Asking = field(default_factory=Asking)
    fixed: FixedReference | None = None


class Found(NamedTuple):
    """What a part found; `files` go into the interval's folder, `conditions` to its alerts.

    `remark` is said of the drift that was found, in its alerts and on its page; `note` of the interval, whatever was
    found. `deployments` are what was put into production within the interval, and when.
    """

    figures: tuple[FigureRow, ...] = ()
    files: Mapping[str, bytes] = MappingProxyType({})
    conditions: tuple[Condition, ...] = ()
    remark: str = ""
    note: str = ""
    deployments: tuple[tuple[datetime, str], ...] = ()


class Part(Protocol):
    """Something that is measured of one interval."""

    @property
    def input_digest(self) -> str:
        """What it read beside the responses, "" for nothing: an interval with other input is a revision."""

    def add(self, responses: Responses) -> Responses:
        """Look at a batch, and give it on."""

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """What was found, once all responses are seen and the interval is compared with its reference.

        Raises:
            EvalHarnessError: it cannot be measured now; the interval is recorded as an error and tried again.
        """


def _canary(setting: Setting) -> Part | None:
    if setting.definition.monitor.canary is None or setting.side == "reference":
        return None
    from .canary.part import canary_of

    return canary_of(setting)


def _on_drift(setting: Setting) -> Part | None:
    if setting.definition.monitor.on_drift is None or setting.side == "reference":
        return None
    from .canary.on_drift import on_drift_of

    return on_drift_of(setting)


def _labels(setting: Setting) -> Part | None:
    from .labels import LabelPart

    monitor = setting.definition.monitor
    # The answers of a run have their references.
    of_run = setting.side == "reference" and isinstance(monitor.reference, RunReference)
    return LabelPart(setting) if monitor.labels is not None and not of_run else None


def _scores(setting: Setting) -> Part | None:
    from .scores import ScorePart

    return ScorePart(setting) if setting.definition.monitor.scores else None


def _estimates(setting: Setting) -> Part | None:
    from .estimates import EstimatePart

    return EstimatePart(setting) if setting.definition.monitor.estimate else None


def _models(setting: Setting) -> Part | None:
    from .models import ModelsPart

    return ModelsPart(setting)


def _texts(setting: Setting) -> Part | None:
    from .texts import TextPart

    return TextPart(setting) if setting.definition.monitor.examples else None


_Make: TypeAlias = Callable[[Setting], "Part | None"]

ENRICHING: Final[tuple[_Make, ...]] = (_labels, _scores)
"""What makes the parts that add to responses, in their order; None where nothing of it is asked for."""
PARTS: Final[tuple[_Make, ...]] = (*ENRICHING, _models, _estimates, _texts, _canary, _on_drift)
"""What makes the parts of an interval."""


def parts_of(setting: Setting) -> tuple[Part, ...]:
    """The parts that the definition asks for."""
    return tuple(part for make in PARTS if (part := make(setting)) is not None)


def enriching_parts_of(setting: Setting) -> tuple[Part, ...]:
    """Those that add to the responses of a fixed reference."""
    return tuple(part for make in ENRICHING if (part := make(setting)) is not None)


def add_to_all(parts: Sequence[Part], responses: Responses) -> Responses:
    """A batch as it is once every part has seen it."""
    for part in parts:
        responses = part.add(responses)
    return responses
