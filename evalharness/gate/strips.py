"""The chart of a gate in plain characters, for places that show no picture: comments, logs, mails."""

from __future__ import annotations

import math
from typing import Final

from .marks import clipped, one_line
from .outcome import GateOutcome
from .readings import Reading, readings

__all__ = ["strip", "strips"]

_HALF: Final = 16
_SIGNS: Final = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


def strips(outcome: GateOutcome, *, most: int = 40) -> str:
    """A line a verdict, at most `most` of them: `   │  ├──●──┤   ✓ qa.accuracy ≥ 0.8 · m   0.86 [0.82, 0.9]`."""
    found = readings(outcome)
    lines = []
    for reading in found[:most]:
        rule = clipped(one_line(reading.verdict.rule), 120)
        lines.append(f"{strip(reading)}  {_SIGNS[reading.verdict.state]} {rule}   {reading.figures}")
    if len(found) > most:
        lines.append(f"… and {len(found) - most:,} more")
    return "\n".join(lines)


def strip(reading: Reading) -> str:
    """The interval and its figure beside the limit, which is the line in the middle; right of it the rule holds."""
    cells = [" "] * (2 * _HALF + 1)
    cells[_HALF] = "│"
    if not reading.drawn:
        return "".join(cells)
    if not math.isnan(reading.low) and not math.isnan(reading.high):
        first, last = _place(reading.low), _place(reading.high)
        for place in range(first, last + 1):
            cells[place] = "┼" if place == _HALF else "─"
        if first < last:
            cells[first] = "◂" if math.isinf(reading.low) else "├"
            cells[last] = "▸" if math.isinf(reading.high) else "┤"
    cells[_place(reading.value)] = "●"
    return "".join(cells)


def _place(share: float) -> int:
    """The cell of a distance from the limit: never the limit's own, unless it is there."""
    if math.isinf(share):
        return 2 * _HALF if share > 0 else 0
    # 0.2 / 0.4 * 16 may be a little more than 8.
    steps = min(_HALF, math.ceil(abs(share) * _HALF - 1e-9))
    return _HALF + (steps if share > 0 else -steps)
