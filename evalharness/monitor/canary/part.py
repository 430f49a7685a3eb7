"""The canary of an interval: the suite, run again against production, and compared with the promoted run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from evalharness.core.canonical import digest, to_jsonable
from evalharness.core.drifting import DriftFinding
from evalharness.core.errors import EvalHarnessError, RunError
from evalharness.core.types import Json
from evalharness.drift.sequence import alpha_of_windows
from evalharness.record import Record
from evalharness.report.compare_html import compare_html
from evalharness.report.text import plural, single_line

from ..conditions import Condition
from ..lease import LeaseLostError
from ..measurement import FigureRow
from ..parts import Found, Responses, Setting
from ..run import StoppedError
from ..schedule import Schedule
from .anchor import JudgeDrift, anchor_rows, compare_verdicts, figures_judged_by, judged_again, moved_judges
from .frozen import Frozen, frozen_file, frozen_run
from .runs import find_run, in_time, made_run, promoted_record, run_id_of, suite_of
from .verdicts import PAGE, Judged, figure_rows, judge_canary

if TYPE_CHECKING:
    from evalharness.suite.monitor_entry import Anchor, Canary

    from ..define import Definition
    from ..schedule import Interval

__all__ = ["KEY", "Made", "alpha_of", "canary_of", "is_of_interval", "made_canary"]

KEY: Final = "canary"
_JSON: Final = "canary.json"
_ALPHA: Final = 0.05
_JUDGE: Final = "canary:judge"


@dataclass(frozen=True, slots=True)
class Made:
    """The canary of an interval, as far as it came: `error` says why there is no record to compare."""

    record: Record | None = None
    error: str = ""

    @property
    def digest(self) -> str:
        """What tells one outcome from another, "" where production was not asked."""
        if self.record is not None:
            return self.record.id
        return digest(["canary", self.error]) if self.error else ""


class _Judges(NamedTuple):
    """What the anchor says of the judges."""

    drifts: tuple[JudgeDrift, ...] = ()
    moved: tuple[JudgeDrift, ...] = ()
    figures: tuple[FigureRow, ...] = ()
    conditions: tuple[Condition, ...] = ()


def is_of_interval(definition: Definition, interval: Interval) -> bool:
    """Whether the canary is run for `interval`: always, or where its own `schedule` fires."""
    canary = definition.monitor.canary
    if canary is None or canary.schedule is None:
        return canary is not None
    schedule = definition.schedule
    begin = schedule.last(interval.end - timedelta(microseconds=1))  # intervals with a length of their own overlap
    return any(True for _ in Schedule(canary.schedule, schedule.zone).firings(begin, interval.end))


def made_canary(setting: Setting) -> Made:
    """The canary of the interval: found, or made now where it may be."""
    canary = setting.definition.monitor.canary
    if canary is None or not is_of_interval(setting.definition, setting.interval):
        return Made()
    suite = suite_of(setting.definition).suite
    run_id = run_id_of(setting, KEY, suite.name, [list(canary.tasks), canary.model])
    try:
        if not in_time(setting, canary.schedule):
            return Made(find_run(setting, run_id))
        record = made_run(setting, run_id, KEY, tasks=canary.tasks, model=canary.model)
    except (LeaseLostError, StoppedError):
        raise
    except EvalHarnessError as error:
        again = "" if not isinstance(error, RunError) else "; its answers so far are kept until the interval is over"
        return Made(error=f"the canary could not be run: {single_line(str(error))}{again}")
    return Made(record)


def canary_of(setting: Setting) -> CanaryPart | None:
    """The canary of an interval, made at once; None where the monitor has none."""
    canary = setting.definition.monitor.canary
    if canary is None:
        return None
    made = made_canary(setting)
    return CanaryPart(setting, canary, made, _made_anchor(setting, canary, made))


def _made_anchor(setting: Setting, canary: Canary, made: Made) -> Made:
    """The frozen outputs, judged again, where the canary asks for it and was run itself."""
    if canary.anchor is None or made.record is None:
        return Made()
    try:
        frozen = _frozen(setting, canary, canary.anchor)
        return Made(judged_again(setting, canary.anchor, frozen))
    except (LeaseLostError, StoppedError):
        raise
    except EvalHarnessError as error:
        return Made(error=f"the judges' anchor could not be judged: {single_line(str(error))}")


def _frozen(setting: Setting, canary: Canary, anchor: Anchor) -> Frozen:
    suite = suite_of(setting.definition).suite
    if anchor.path is not None:
        return frozen_file(anchor.path, suite, canary.tasks, base=setting.definition.base)
    return frozen_run(promoted_record(setting, anchor.run or canary.baseline), suite, canary.tasks)


class CanaryPart:
    """Compares the canary with the promoted run (`parts.Part`)."""

    def __init__(self, setting: Setting, canary: Canary, made: Made, anchor: Made) -> None:
        self._setting, self._canary, self._made, self._anchor = setting, canary, made, anchor

    @property
    def input_digest(self) -> str:
        """The canary's run, and that of its anchor."""
        return f"{self._made.digest} {self._anchor.digest}".strip()

    def add(self, responses: Responses) -> Responses:
        """The responses as they are: a canary has answers of its own."""
        return responses

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """The comparison, or why there is none."""
        record = self._made.record
        if self._made.error:
            return Found(conditions=(Condition(KEY, "error", summary=self._made.error),))
        if record is None:
            # Between two canaries nothing is known anew: alerts stay as they are.
            return Found(conditions=(Condition(KEY, "held", summary="production was not asked"),))
        if not record.manifest.complete:
            states = [task.states for task in record.manifest.tasks]
            failed = sum(n for one in states for state, n in one.items() if state in ("error", "judge_failed"))
            summary = (
                f"canary run {record.id}: {failed:,} of {sum(sum(one.values()) for one in states):,} answers failed, "
                f"more than the suite's on_error allows; nothing is compared"
            )
            return Found(conditions=(Condition(KEY, "error", summary=summary),))
        judges = self._judges()
        try:
            judged, promoted = self._judged(record, judges.moved)
        except EvalHarnessError as error:
            summary = f"canary run {record.id} cannot be compared: {single_line(str(error))}"
            return Found(judges.figures, conditions=(Condition(KEY, "error", summary=summary), *judges.conditions))
        worse = sum(one.state == "bad" for one in judged.conditions)
        summary = (
            f"canary run {record.id}: {plural(len(judged.conditions), 'figure')} compared with run {promoted.id}, "
            f"{worse or 'none'} worse"
        )
        body: dict[str, Json] = {"run": record.id, "promoted": promoted.id, "comparison": judged.comparison.to_dict()}
        body["gate"] = None if judged.outcome is None else judged.outcome.to_dict()
        body["judges"] = to_jsonable(judges.drifts)
        return Found(
            figures=(*figure_rows(judged.comparison), *judges.figures),
            files={
                PAGE: compare_html(judged.comparison).encode(),
                _JSON: json.dumps(body, indent=1).encode() + b"\n",
            },
            conditions=(Condition(KEY, "ok", summary=summary, link=PAGE), *judged.conditions, *judges.conditions),
        )

    def _judges(self) -> _Judges:
        """Whether the judges are what they were."""
        anchor = self._canary.anchor
        if anchor is None:
            return _Judges()
        if self._anchor.error:
            return _Judges(conditions=(Condition(_JUDGE, "error", summary=self._anchor.error),))
        if self._anchor.record is None:
            return _Judges(conditions=(Condition(_JUDGE, "held", summary="the judges were not asked"),))
        try:
            drifts = compare_verdicts(self._anchor.record, _frozen(self._setting, self._canary, anchor))
        except EvalHarnessError as error:
            summary = f"the judges' anchor cannot be compared: {single_line(str(error))}"
            return _Judges(conditions=(Condition(_JUDGE, "error", summary=summary),))
        moved = moved_judges(anchor, drifts, alpha=alpha_of(self._setting.definition, self._canary.alpha))
        conditions = tuple(
            Condition(
                _JUDGE,
                "bad" if one in moved else "ok",
                {"task": one.task, "metric": one.figure},
                value=one.drift,
                summary=f"{'the judge has changed: ' if one in moved else ''}{one.sentence}",
            )
            for one in drifts
        )
        return _Judges(drifts, moved, anchor_rows(drifts), conditions)

    def _judged(self, record: Record, moved: Sequence[JudgeDrift]) -> tuple[Judged, Record]:
        definition = self._setting.definition
        promoted = promoted_record(self._setting, self._canary.baseline)
        judged = judge_canary(
            record,
            promoted,
            suite_of(definition).suite.gates,
            alpha=alpha_of(definition, self._canary.alpha),
            margin=self._canary.margin,
            any_model=self._canary.model is not None,
            unsure=figures_judged_by(suite_of(definition).suite, moved),
        )
        return judged, promoted


def alpha_of(definition: Definition, given: float | None) -> float:
    """The chance of a false alarm of one canary: the one `given`, else by the monitor's run length, else 5 %."""
    if given is not None:
        return given
    run_length = definition.monitor.drift.run_length
    return _ALPHA if run_length is None else alpha_of_windows(run_length)
