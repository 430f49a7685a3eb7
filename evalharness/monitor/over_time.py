"""Evidence that adds up over the intervals of a monitor with a stated run length (`drift.sequence`).

Beside the state of each interval lie two files: `sequence.json`, the e-detectors after it, and `pool.bin`, the state of
the reference and of all intervals since that showed no drift. The next interval is compared with that pool. Where the
interval before was not measured, or by another definition, all starts anew, which takes nothing from the promise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.drifting import DriftFinding
from evalharness.drift.sequence import WindowSequence

from .files import verify_folder
from .references import FROM_RUNS

if TYPE_CHECKING:
    from .define import Definition
    from .measurement import Past
    from .references import Instruments, Layout, Reference, State
    from .schedule import Interval

__all__ = ["OverTime", "add_up", "adds_up"]

_SEQUENCE: Final = "sequence.json"
_POOL: Final = "pool.bin"


def adds_up(definition: Definition) -> bool:
    """Whether a monitor's intervals are added up: with a run length, one after the other, under no season."""
    monitor = definition.monitor
    return (
        monitor.drift.run_length is not None
        and monitor.reference != "same_slot_last_week"
        and not definition.schedule.length_s  # intervals that overlap are not independent
    )


@dataclass(frozen=True, slots=True)
class OverTime:
    """The findings with what has added up, and the files for the interval after this one."""

    findings: tuple[DriftFinding, ...]
    files: Mapping[str, bytes]


def add_up(
    definition: Definition,
    interval: Interval,
    past: Past,
    instruments: Instruments,
    reference: Reference,
    state: State,
    layout: Layout,
    findings: tuple[DriftFinding, ...],
) -> OverTime:
    """Add an interval to the evidence.

    A column whose evidence has reached its limit is drift where its effect, against the reference or against the pool,
    is at least its threshold, and a small shift else.
    """
    run_length = definition.monitor.drift.run_length
    assert run_length is not None  # `adds_up` has looked
    fixed = reference.state if isinstance(definition.monitor.reference, FROM_RUNS) else None
    folder = past.files_of(definition.schedule.ending(interval.start))
    found = _kept(folder, layout, instruments)
    sequence, pool = found if found is not None else (WindowSequence(run_length), fixed)
    if sequence.run_length != run_length:
        sequence, pool = WindowSequence(run_length), fixed
    if pool is None:
        return OverTime(findings, {_SEQUENCE: _json(sequence), _POOL: state.to_bytes()})
    against = {one.column: one for one in instruments.lines(pool, state) if not one.segment}
    sequence, rung = sequence.step({name: one.p_value for name, one in against.items()})
    told = tuple(
        _rung(one, against[one.column], run_length) if one.column in rung and not one.segment else one
        for one in findings
    )
    if rung:
        pool = fixed if fixed is not None else state
    elif not any(one.drifted for one in told):
        pool = instruments.merged(pool, state)
    return OverTime(told, {_SEQUENCE: _json(sequence), _POOL: pool.to_bytes()})


def _rung(one: DriftFinding, pooled: DriftFinding, run_length: int) -> DriftFinding:
    if one.drifted:
        return one
    effects = [value for value in (one.effect, pooled.effect) if not math.isnan(value)]
    effect = max(effects, key=abs, default=math.nan)
    large = abs(effect) >= one.effect_threshold
    reason = (
        f"evidence of several windows has added up to its limit (run length {run_length:,}), and {one.effect_name} "
        f"{effect:.3g} is {'at least' if large else 'below'} {one.effect_threshold:.3g}"
    )
    return replace(one, state="drift" if large else "small", effect=effect, reason=reason)


def _kept(folder: Path | None, layout: Layout, instruments: Instruments) -> tuple[WindowSequence, Any] | None:
    if folder is None or not (folder / _SEQUENCE).is_file():
        return None
    verify_folder(folder)
    about = json.loads((folder / "window.json").read_bytes())
    if about["layout_digest"] != layout.digest:
        return None
    sequence = WindowSequence.from_dict(json.loads((folder / _SEQUENCE).read_bytes()))
    return sequence, instruments.restored((folder / _POOL).read_bytes(), layout)


def _json(sequence: WindowSequence) -> bytes:
    return json.dumps(sequence.to_dict(), indent=1).encode() + b"\n"
