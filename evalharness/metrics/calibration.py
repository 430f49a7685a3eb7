"""Whether a probability of 0.8 is right eight times of ten: calibration error, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.bootstrap import jackknife
from evalharness.stats.calibration import calibration_interval, equal_mass_error

from .base import BOOTSTRAP, ratio, require
from .labels import LabelledMetric
from .probabilities import ProbabilityMetric

__all__ = ["AdaptiveEce", "Ece", "ReliabilityBin", "reliability_table"]

_PARTS = ("n", "confidence", "correct")
_SLACK = 1e-12


class ReliabilityBin(NamedTuple):
    """The samples whose confidence lies above `low` and not above `high`; means are NaN where there are none."""

    low: float
    high: float
    n: float
    confidence: float
    accuracy: float


class _TopLabel(ProbabilityMetric):
    """What the most probable label's probability is, and whether that label is the gold one."""

    __slots__ = ()

    def confidences(self, samples: Sequence[Sample], responses: Sequence[Response]) -> tuple[Array, Array, Array]:
        """(measured, confidence, correct), each (n,), 0 where nothing is measured."""
        measured, gold, found = self.read(samples, responses)
        known = measured.astype(np.float64)
        top = found.argmax(axis=1)  # the first of equals in the label set
        confidence = found[np.arange(len(top)), top]
        return known, confidence * known, (top == gold) * known


@dataclass(frozen=True, slots=True, kw_only=True)
class Ece(_TopLabel):
    """Expected calibration error of the most probable label, over bins of equal width.

        ECE = Σ_b |Σ_i∈b (c_i − [answer_i = gold_i])| / n,  bin b holds (b/B, (b+1)/B]

    with c_i the probability of the most probable label. The edges are declared, not fitted: so runs and shards add up,
    and two runs have the same bins. Chance alone makes it more than 0, the more so the fewer samples a bin has; the
    lower bound of its interval allows for that (`stats.calibration.calibration_interval`), in clusters it does not.
    The totals are the reliability table (`reliability_table`). Of multiple choice, the probabilities are the softmax
    over the choices.

    Options:
        labels: the label set (default: the task's).
        bins: how many bins of equal width there are between 0 and 1.
        edges: the inner edges of the bins instead, ascending, between 0 and 1.

    Source: Guo et al. 2017 (15 bins); torchmetrics `MulticlassCalibrationError(norm="l1")`, equal to 1e-6 (it computes
    in float32) where no confidence lies on an edge.
    """

    bins: int = 15
    edges: tuple[float, ...] = ()

    name = "ece"
    higher_is_better = False
    interval = BOOTSTRAP
    interval_name: ClassVar[str] = "jackknife-less-chance"

    def __post_init__(self) -> None:
        # Named, for slots classes have no zero-argument super().
        LabelledMetric.__post_init__(self)
        require(1 <= self.bins <= 1000, f"bins must be from 1 to 1000; got {self.bins}")
        ascending = all(low < high for low, high in pairwise((0.0, *self.edges, 1.0)))
        require(ascending, f"edges must ascend between 0 and 1, both left out; got {', '.join(map(str, self.edges))}")

    def all_edges(self) -> tuple[float, ...]:
        """The edges of the bins, 0 and 1 among them."""
        inner = self.edges or tuple(b / self.bins for b in range(1, self.bins))
        return (0.0, *inner, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        edges = self.all_edges()
        bins = [f"({low:.6g},{high:.6g}]" for low, high in pairwise(edges)]
        return ("n", *(f"{part} {shown}" for shown in bins for part in _PARTS))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        known, confidence, correct = self.confidences(samples, responses)
        edges = self.all_edges()
        place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
        stats = np.zeros((len(known), 1 + 3 * (len(edges) - 1)))
        rows = np.arange(len(known))
        stats[:, 0] = known
        for part, values in enumerate((known, confidence, correct)):
            stats[rows, 1 + 3 * place + part] = values
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        gap = np.abs(totals[..., 2::3] - totals[..., 3::3]).sum(axis=-1)
        return ratio(gap, totals[..., 0])

    def interval_rows(self, stats: Array, *, confidence: float = 0.95) -> tuple[float, float]:
        """The jackknife's interval of samples that stand alone, with what chance adds taken off its lower bound."""
        rows = np.asarray(stats, dtype=np.float64)
        rows = rows[rows[:, 0] > 0]
        totals, n = rows.sum(axis=0), len(rows)
        left_out = jackknife(rows, self.finalize) if n > 1 else np.full(1, np.nan)
        variance = (n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)) if n > 1 else float("nan")
        if n > 1 and np.ptp(left_out) <= _SLACK:
            variance = 0.0
        return calibration_interval(totals[1::3], totals[2::3], totals[3::3], variance, confidence=confidence)


def reliability_table(columns: Sequence[str], totals: Sequence[float]) -> tuple[ReliabilityBin, ...]:
    """The bins behind a recorded `ece`, from its columns and totals; () for those of another metric."""
    found = []
    for place in range(1, len(columns) - 2, 3):
        part, _, shown = columns[place].partition(" ")
        low, _, high = shown.strip("(]").partition(",")
        if part != "n" or [c.partition(" ")[2] for c in columns[place : place + 3]] != [shown] * 3:
            return ()
        try:
            edges = float(low), float(high)
        except ValueError:
            return ()
        n, confidence, correct = totals[place : place + 3]
        found.append(ReliabilityBin(*edges, n, *((v / n if n else float("nan")) for v in (confidence, correct))))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveEce(_TopLabel):
    """Calibration error of the most probable label, over bins that hold equally many samples.

        Σ_b |Σ_i∈b (c_i − [answer_i = gold_i])| / n

    with the samples ordered by confidence c_i and cut into bins of n/B. Where all confidences are high, bins of equal
    width leave most of them empty; these do not. The edges depend on the data, so there are no totals to add up: the
    interval is a percentile bootstrap of the rows, which leans upwards, since each resample adds chance of its own.
    `ece` is the figure for shards and for watching.

    Options:
        labels: the label set (default: the task's).
        bins: how many bins there are.

    Source: Nguyen and O'Connor 2015; Nixon et al. 2019, for the top label. Equal to `numpy.array_split` of the ordered
    samples to 1e-12 where no two confidences are equal; equal ones share their average.
    """

    bins: int = 15

    name = "adaptive_ece"
    higher_is_better = False
    interval = BOOTSTRAP

    def __post_init__(self) -> None:
        LabelledMetric.__post_init__(self)
        require(1 <= self.bins <= 1000, f"bins must be from 1 to 1000; got {self.bins}")

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "confidence", "correct")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        return np.stack(self.confidences(samples, responses), axis=1)

    def finalize(self, totals: Array) -> Array:
        """The gap of a single sample; NaN for totals of more than one."""
        totals = np.asarray(totals, dtype=np.float64)
        return np.where(totals[..., 0] <= 1, ratio(np.abs(totals[..., 1] - totals[..., 2]), totals[..., 0]), np.nan)

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The error of the rows (n, 3) for each row of frequency weights (..., n)."""
        stats = np.asarray(stats, dtype=np.float64)
        known = np.flatnonzero(stats[:, 0] > 0)
        chosen = None if weights is None else np.asarray(weights, dtype=np.float64)[..., known]
        return equal_mass_error(stats[known, 1], stats[known, 2], chosen, bins=self.bins)
