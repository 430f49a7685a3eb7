"""The states of one alert: a pure function from what it was, and what a window says, to what it is.

::

    ok ──bad──▶ pending ──for_intervals bad──▶ firing ──resolve_after good──▶ resolved ──good──▶ ok
                   │                              ▲
                   └──good──▶ ok                  └── bad ── no_data, error  (for_intervals of them; the same way back)

A bad look ends a run of good ones and the other way round; windows without an answer (no data, an error) end neither,
and leave an alert that fires as it is: nothing says that what was wrong is well again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from evalharness.monitor.conditions import Condition
from evalharness.record.acknowledge import OPEN
from evalharness.suite.alert_entry import NoAnswer

__all__ = ["OPEN", "AlertState", "Rules", "Runs", "Told", "Track", "due_message", "look"]

AlertState = Literal["ok", "pending", "firing", "resolved", "no_data", "error"]
Told = Literal["none", "firing", "no_data", "error"]


class Runs(NamedTuple):
    """How many looks in a row were bad, good, without data, errors."""

    bad: int = 0
    good: int = 0
    no_data: int = 0
    error: int = 0


NO_RUNS: Final = Runs()


class Rules(NamedTuple):
    """How quickly an alert begins and ends, and what windows without an answer mean."""

    for_intervals: int = 1
    resolve_after: int = 1
    no_data: NoAnswer = "alert"
    error: NoAnswer = "alert"


@dataclass(frozen=True, slots=True)
class Track:
    """What is kept of an alert between windows; `prior` are the runs before the newest window."""

    state: AlertState = "ok"
    told: Told = "none"
    runs: Runs = NO_RUNS
    prior: Runs = NO_RUNS


def look(track: Track, condition: Condition, rules: Rules, *, revision: bool = False) -> Track:
    """What becomes of `track` when a window says `condition`.

    With `revision` the window is the one that was looked at last, read again: its earlier look is taken out of the
    runs, so that one window never counts twice. The state moves on from where it stands.
    """
    prior = track.prior if revision else track.runs
    kind = _meaning(condition, rules)
    if kind is None or (kind == "ok" and condition.between and _is_active(track)):
        return replace(track, runs=prior, prior=prior)
    runs = {
        "bad": Runs(bad=prior.bad + 1),
        "ok": Runs(good=prior.good + 1),
        "no_data": Runs(prior.bad, prior.good, prior.no_data + 1, 0),
        "error": Runs(prior.bad, prior.good, 0, prior.error + 1),
    }[kind]
    return replace(track, state=_next_state(track, kind, runs, rules), runs=runs, prior=prior)


def due_message(track: Track) -> Literal["firing", "no_data", "error", "resolved"] | None:
    """What receivers must be told, given what they were told last; None where they know."""
    if track.state in OPEN:
        return track.state if track.state != track.told else None
    return "resolved" if track.told != "none" and track.state in ("resolved", "ok") else None


def _meaning(condition: Condition, rules: Rules) -> str | None:
    """The look as the rules take it; None where nothing changes."""
    if condition.state not in ("no_data", "error"):
        return condition.state
    answer = rules.no_data if condition.state == "no_data" else rules.error
    return {"alert": condition.state, "ok": "ok", "keep": None}[answer]


def _is_active(track: Track) -> bool:
    return track.state in OPEN or track.told != "none"


def _next_state(track: Track, kind: str, runs: Runs, rules: Rules) -> AlertState:
    if kind == "ok":
        if not _is_active(track):
            return "ok"
        return "resolved" if runs.good >= rules.resolve_after else track.state
    if track.state == "firing":
        return "firing"
    if kind == "bad":
        return "firing" if runs.bad >= rules.for_intervals else _before(track)
    if kind == "no_data":
        return "no_data" if runs.no_data >= rules.for_intervals else track.state
    return "error" if runs.error >= rules.for_intervals else track.state


def _before(track: Track) -> AlertState:
    """A bad look that is not enough yet: pending, but for an alert that is told of for another reason."""
    return track.state if track.state in OPEN else "pending"
