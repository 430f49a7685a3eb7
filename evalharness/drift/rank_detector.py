"""A detector of changes in one figure that needs neither its law nor its level: ranks, and evidence that adds up."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Final, Literal

import numpy as np

from ..core.errors import UsageError
from ..stats.arrays import Floats

__all__ = ["RankShift", "Way"]

Way = Literal["", "up", "down", "wider", "narrower"]

# What may have come, in standard deviations of normal scores, and the share of the evidence that each kind gets: a
# level that moved either way, or a spread. Between neighbours the delay is within a tenth of that of the best.
_SHIFTS: Final = (0.25, 0.5, 1.0, 2.0)
_WIDER: Final = (1.25, 1.6, 2.5)
_NARROWER: Final = (0.8, 0.6, 0.4)
_SHARES: Final[dict[Way, float]] = {"up": 0.35, "down": 0.35, "wider": 0.2, "narrower": 0.1}
# Values that are kept, 32 bytes each; among so many the rank of a further one is known to a thousandth.
_MOST: Final = 100_000


class RankShift:
    """Where each value stands among all before it, and an e-detector over what these ranks say of level and spread.

        u_t = (#{x_i < x_t} + U·(1 + #{x_i = x_t})) / t,  i < t, U uniform;  z_t = Φ⁻¹(u_t)
        R_t(θ) = (1 + R_{t-1}(θ))·φ_θ(z_t)/φ(z_t),  a change where Σ_θ w(θ)·R_t(θ) reaches the run length

    `run_length` values or more pass on average until the first false alarm, and within t values there is one with a
    chance of t/run_length at most, whatever the law of the figure: as long as the order of the values says nothing,
    the u_t are independent and uniform. θ are normal laws whose mean has moved by ¼ to 2 or whose spread has changed
    by a quarter to 2½ times; the more values came before the change, the sooner it is found. After a change it learns
    anew. From 100,000 values on no further ones are kept, and the run length is that of a law known to so many values.

    Unlike ADWIN it sees spread, does not care for outliers and looks at every value. Source: Bhattacharya and Frierson
    1981 for sequential ranks; Shiryaev 1963 and Roberts 1966; Shin, Ramdas and Rinaldo 2024 for e-detectors.
    """

    def __init__(self, run_length: float = 10_000.0, seed: int = 0) -> None:
        if not 2 <= run_length < math.inf:
            raise UsageError(f"rank_shift needs a run_length of 2 values or more, but has {run_length:g}")
        self._limit = math.log(run_length)
        self._chance = np.random.default_rng(seed)
        self._ways, self._means, self._sds, self._weights = _alternatives()
        self._before: list[float] = []
        self._sums: Floats = np.zeros(self._means.size)

    @property
    def evidence(self) -> float:
        """The logarithm of the e-detector, which rings at that of the run length."""
        total = float(self._weights @ self._sums)
        return math.log(total) if total > 0 else -math.inf

    def update(self, value: float) -> Way:
        if math.isnan(value):
            return ""
        self._sums = (1.0 + self._sums) * self._ratios(self._score(value))
        if self.evidence < self._limit:
            return ""
        parts = self._weights * self._sums
        way = max(_SHARES, key=lambda one: float(parts[self._ways == one].sum()))
        self._before, self._sums = [], np.zeros_like(self._sums)
        return way

    def _score(self, value: float) -> float:
        """The normal score of the value among those before, with which it is then kept."""
        from scipy.special import ndtri

        low, high = bisect_left(self._before, value), bisect_right(self._before, value)
        u = (low + self._chance.random() * (1 + high - low)) / (len(self._before) + 1)
        if len(self._before) < _MOST:
            self._before.insert(high, value)
        return float(ndtri(min(max(u, 1e-15), 1 - 1e-15)))

    def _ratios(self, z: float) -> Floats:
        """(θ,) φ_θ(z)/φ(z); 1 on average where nothing has changed."""
        found: Floats = np.exp(0.5 * z * z - 0.5 * ((z - self._means) / self._sds) ** 2) / self._sds
        return found


def _alternatives() -> tuple[np.ndarray, Floats, Floats, Floats]:
    """Way, mean, standard deviation and weight of each θ; the weights sum up to 1."""
    laws: dict[Way, list[tuple[float, float]]] = {
        "up": [(shift, 1.0) for shift in _SHIFTS],
        "down": [(-shift, 1.0) for shift in _SHIFTS],
        "wider": [(0.0, sd) for sd in _WIDER],
        "narrower": [(0.0, sd) for sd in _NARROWER],
    }
    rows = [(way, mean, sd, _SHARES[way] / len(of)) for way, of in laws.items() for mean, sd in of]
    ways, *numbers = zip(*rows, strict=True)
    means, sds, weights = (np.array(column, dtype=np.float64) for column in numbers)
    return np.array(ways), means, sds, weights
