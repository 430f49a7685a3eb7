"""Evidence added up from window to window, with a stated time between false alarms.

A window by itself is held against a level, and whoever looks every day at 5 % has a false alarm within a month. Here a
run length N is given: without any drift, N windows or more pass on average until the first false alarm. Half of what
that allows goes to each way of finding:

- one window by itself, at the level 1/(4N) over all of its columns and segments: finds what is large at once;
- an e-detector (Shiryaev-Roberts) that averages over the columns and reaches 4N: finds what is small and stays.

Each of them has rung within t windows with a chance of at most t/(4N), so both together with at most t/(2N), and the
mean time to the first false alarm is at least the sum of 1 - t/(2N) over t < 2N, which is N.

The p-values of windows that are all compared with one reference depend on one another by the noise of the reference.
So an e-detector takes those of a comparison with the reference *and all windows since that showed no drift*: under no
change, where the rows of the window stand among all of them is independent of how the earlier ones stood among
themselves (Vovk, "Testing randomness online", Statistical Science 36, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import UsageError
from ..stats.e_values import e_value, shiryaev_roberts

__all__ = ["WindowSequence", "alpha_of_run_length", "alpha_of_windows", "threshold_of_run_length"]


def alpha_of_run_length(run_length: float) -> float:
    """The level of a window by itself: 1/(4N)."""
    _check(run_length)
    return 1.0 / (4.0 * run_length)


def alpha_of_windows(run_length: float) -> float:
    """The level of a window where windows by themselves are all that is looked at: 1/(2N).

    Each rings with that chance at most, so that one of the first t has rung with a chance of t/(2N) at most, however
    they depend on one another, and the first false alarm comes after N windows or more on average.
    """
    _check(run_length)
    return 1.0 / (2.0 * run_length)


def threshold_of_run_length(run_length: float) -> float:
    """What the e-detector must reach: 4N."""
    _check(run_length)
    return 4.0 * run_length


def _check(run_length: float) -> None:
    if not (2 <= run_length < math.inf):
        raise UsageError(f"run_length must be 2 windows or more, but is {run_length:g}")


@dataclass(frozen=True, slots=True)
class WindowSequence:
    """The e-detectors of all columns after some windows; plain JSON by `to_dict`, and back.

    `logs` maps each column to the logarithm of its e-detector. A column that is new starts where it would stand had
    it said nothing so far, which takes nothing from the promise.
    """

    run_length: float
    windows: int = 0
    logs: Mapping[str, float] = field(default_factory=dict)

    def step(self, p_values: Mapping[str, float]) -> tuple[WindowSequence, tuple[str, ...]]:
        """After one more window: the detectors, and the columns that have reached the evidence for drift.

        `p_values` are those of the window's columns against all before it; NaN says nothing. The mean over the K
        columns must reach 4N; those named carry the most of it, each at least 4N by itself or the largest one. What
        has rung starts anew.
        """
        columns = sorted(self.logs.keys() | p_values.keys())
        if not columns:
            return WindowSequence(self.run_length, self.windows + 1), ()
        silent = math.log(self.windows) if self.windows else -math.inf
        e = e_value([p_values.get(name, math.nan) for name in columns])
        logs = {
            name: shiryaev_roberts(self.logs.get(name, silent), float(value))
            for name, value in zip(columns, e, strict=True)
        }
        limit = math.log(threshold_of_run_length(self.run_length))
        rung: tuple[str, ...] = ()
        if _log_mean(list(logs.values())) >= limit:
            largest = max(logs, key=lambda name: logs[name])
            rung = tuple(name for name in columns if logs[name] >= limit + math.log(len(columns)) or name == largest)
            logs = dict.fromkeys(columns, -math.inf)
        return WindowSequence(self.run_length, 0 if rung else self.windows + 1, logs), rung

    @property
    def evidence(self) -> float:
        """The mean e-detector as a share of what it must reach: 1 rings."""
        if not self.logs:
            return 0.0
        return math.exp(_log_mean(list(self.logs.values())) - math.log(threshold_of_run_length(self.run_length)))

    def to_dict(self) -> dict[str, object]:
        """Plain JSON; the logarithm of nothing as None."""
        logs = {name: None if value == -math.inf else value for name, value in self.logs.items()}
        return {"run_length": self.run_length, "windows": self.windows, "logs": logs}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> WindowSequence:
        """What `to_dict` made."""
        logs, run_length, windows = data.get("logs"), data.get("run_length"), data.get("windows")
        if not isinstance(logs, Mapping) or not isinstance(run_length, int | float) or not isinstance(windows, int):
            raise ValueError("not the state of a sequence of windows: run_length, windows and logs are needed")
        found = {str(name): -math.inf if value is None else float(value) for name, value in logs.items()}
        return cls(float(run_length), windows, found)


def _log_mean(logs: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(np.asarray(logs))) - math.log(len(logs))
