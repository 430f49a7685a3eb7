"""What an interval found good or bad: what the engine makes of findings and figures, and alerts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from evalharness.core.canonical import digest
from evalharness.suite.alert_entry import Alerts

__all__ = ["Condition", "ConditionState", "Watched", "Window", "fingerprint"]

ConditionState = Literal["ok", "bad", "no_data", "error", "held"]
"""held: nobody looked this time: alerts of the key, and of those that begin with it and a colon, stay as they are."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One look of one interval at one thing that may go wrong.

    `key` names the thing within its monitor (`drift:output.length`, `rule:latency_s.p95`), `labels` what tells its
    places apart (column, segment, severity): both together are the alert's identity, so that nothing that changes from
    interval to interval (a value, a p-value) belongs into them. NaN is "not known". `picture` is an SVG element,
    `link` an address, or the name of a file in the interval's folder.

    An alert fires after `for_intervals` bad looks (None: what the monitor says). `resolve_limit` is the value that must
    be reached before a firing alert may end; between it and `limit` nothing changes. It lies below the limit where
    `worse` is "above", above it where `worse` is "below".
    """

    key: str
    state: ConditionState
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float = float("nan")
    limit: float = float("nan")
    summary: str = ""
    picture: str | None = None
    link: str | None = None
    resolve_limit: float | None = None
    worse: Literal["above", "below"] = "above"
    for_intervals: int | None = None

    @property
    def between(self) -> bool:
        """Whether the look is good, but not good enough to end an alert that fires."""
        if self.state != "ok" or self.resolve_limit is None:
            return False
        return self.value > self.resolve_limit if self.worse == "above" else self.value < self.resolve_limit


class Window(NamedTuple):
    """An interval of a monitor, `[start, end)` in UTC, and which reading of it: late data make another revision."""

    start: datetime
    end: datetime
    revision: int = 0


class Watched(Protocol):
    """What `observe` needs to know of a monitor: a `Monitor` of a suite file is one, once it has a name."""

    @property
    def name(self) -> str | None: ...

    @property
    def alerts(self) -> Alerts: ...


def fingerprint(monitor: str, condition: Condition) -> str:
    """The identity of the alert that `condition` speaks of: 16 hexadecimal digits of a sha256."""
    return digest(["alert", monitor, condition.key, sorted(condition.labels.items())])[:16]
