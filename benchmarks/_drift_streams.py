"""Detectors over streams of rows: when each first rings, with thresholds that ring equally often without drift."""

from __future__ import annotations

import math
import warnings

import numpy as np

from evalharness.drift.layout import freeze
from evalharness.drift.policy import Policy
from evalharness.drift.rank_detector import RankShift
from evalharness.drift.sequence import WindowSequence
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states
from evalharness.drift.table import Table

__all__ = ["STREAM_CHANGES", "delays"]

STREAM_CHANGES = ("abrupt shift", "gradual shift", "abrupt scale")
REFERENCE, WINDOW, WINDOWS, FROM = 500, 50, 60, 30
HORIZON = WINDOW * WINDOWS
FALSE_ALARMS = 0.1


def stream(change: str, seed: int) -> np.ndarray:
    """500 rows of reference, then 3,000 of which the last 1,500 may have drifted."""
    rng = np.random.default_rng([seed, 5])
    values = rng.normal(size=REFERENCE + HORIZON)
    after = np.maximum(np.arange(values.size) - REFERENCE - FROM * WINDOW, 0)
    if change == "abrupt shift":
        return values + 0.5 * (after > 0)
    if change == "gradual shift":
        return values + after / (HORIZON - FROM * WINDOW)
    if change == "abrupt scale":
        return values * (1 + 0.5 * (after > 0))
    return values


# Each detector gives the running maximum of its evidence after every row (of a whole number of rows for ours): the
# threshold that it would ring at. Where a detector changes its course by ringing, it is run for each of many settings.


def ours(values: np.ndarray) -> np.ndarray:
    """Row by row: the evidence of the e-detector over ranks, up to any run length."""
    detector, found = RankShift(1e300), []
    for value in values.tolist():
        detector.update(value)
        found.append(detector.evidence)
    return np.maximum.accumulate(np.array(found[REFERENCE:]))


def by_windows(values: np.ndarray) -> np.ndarray:
    """The run length up to which a monitor would have rung: a window's 1/(4p), and the e-detector's mean/4."""
    table = [Table.of({"x": part}) for part in (values[:REFERENCE], *values[REFERENCE:].reshape(WINDOWS, WINDOW))]
    layout = freeze(table[0])
    reference, before = WindowState(layout), WindowState(layout)
    reference.update(table[0])
    before.update(table[0])
    sequence, found = WindowSequence(1e12), []
    for rows in table[1:]:
        now = WindowState(layout)
        now.update(rows)
        p = compare_states(reference, now, Policy())[0].p_value
        all_before = compare_states(before, now, Policy())[0].p_value
        sequence, _ = sequence.step({"x": all_before})
        found.append(max(math.log(1 / (4 * p)), sequence.logs["x"] - math.log(4)))
        before.merge(now)
    # Nothing is known of a window before its last row.
    known = np.concatenate([np.full(WINDOW - 1, -math.inf), np.repeat(found, WINDOW)])
    return np.maximum.accumulate(known[:HORIZON])


def adwin(values: np.ndarray) -> np.ndarray:
    from river.drift import ADWIN

    return _by_setting([(-math.log(d), ADWIN(delta=d)) for d in np.geomspace(1e-7, 0.6, 14)], values)


def page_hinkley(values: np.ndarray) -> np.ndarray:
    from river.drift import PageHinkley

    return _by_setting([(t, PageHinkley(threshold=t)) for t in np.geomspace(3, 300, 20)], values)


def kswin(values: np.ndarray) -> np.ndarray:
    """It rings on p-values and changes nothing before: one run with no alarm tells them all."""
    from river.drift import KSWIN

    detector = KSWIN(alpha=1e-300, seed=1)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in values.tolist():
            detector.update(value)
            found.append(-math.log(max(float(detector.p_value), 1e-300)) if detector.p_value else -math.inf)
    return np.maximum.accumulate(np.array(found[REFERENCE:]))


def _by_setting(detectors: list[tuple[float, object]], values: np.ndarray) -> np.ndarray:
    """(rows,) the strictest setting that has rung by each row; what rings on the reference starts anew."""
    found = np.full(HORIZON, -math.inf)
    for strict, detector in detectors:
        for place, value in enumerate(values.tolist()):
            detector.update(value)  # type: ignore[attr-defined]
            if detector.drift_detected and place >= REFERENCE:  # type: ignore[attr-defined]
                found[place - REFERENCE :] = np.maximum(found[place - REFERENCE :], strict)
                break
    return found


DETECTORS = {
    "ours": ours,
    "ours, windows of 50": by_windows,
    "ADWIN": adwin,
    "PageHinkley": page_hinkley,
    "KSWIN": kswin,
}
_STILL: dict[tuple[str, int], np.ndarray] = {}


def delays(change: str, n_still: int, n_moved: int) -> dict[str, list[float]]:
    """Rows from the change to the alarm, of each detector and stream that has not rung before; 1,500 for none."""
    found: dict[str, list[float]] = {}
    for name, detector in DETECTORS.items():
        # A second a stream, and some seconds.
        part = {"ours, windows of 50": 3, "KSWIN": 6}.get(name, 1)
        still, moved = max(n_still // part, 3), max(n_moved // part, 3)
        if (name, still) not in _STILL:
            ends = [detector(stream("", 10_000 + seed))[-1] for seed in range(still)]
            _STILL[name, still] = np.array(ends)
        limit = float(np.quantile(_STILL[name, still], 1 - FALSE_ALARMS, method="higher"))
        of = []
        for seed in range(moved):
            evidence = detector(stream(change, seed))
            # A setting is one of a few: what rings at the limit itself would ring too often.
            rung = np.flatnonzero(evidence > limit)
            start = FROM * WINDOW
            if rung.size and rung[0] < start:
                continue
            of.append(float(rung[0] - start + 1) if rung.size else float(HORIZON - start))
        found[name] = of
    return found
