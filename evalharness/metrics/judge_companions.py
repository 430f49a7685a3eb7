"""The figures beside a judge's: how far its verdicts vary, between repeats, judges and the orders of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, ratio
from .judge_verdict import PAIR_VALUES
from .judged import JUDGED

if TYPE_CHECKING:
    from .judge import LlmJudge

__all__ = ["JudgeCompanion", "PositionBias", "Spread", "WithinSd", "outcomes_of", "verdicts_of"]


def verdicts_of(response: Response, figure: str) -> Mapping[str, Any] | None:
    """What the judges of `figure` said of the response; None where they were not asked."""
    judged: Any = response.meta.get(JUDGED)
    found = judged.get(figure) if isinstance(judged, Mapping) else None
    return found if isinstance(found, Mapping) else None


@dataclass(frozen=True)
class JudgeCompanion(BaseMetric):
    """A figure beside that of `judge`, read from the same verdicts."""

    judge: LlmJudge

    companion = ""
    higher_is_better = False
    scores_blank = False
    needs = NEEDS_NOTHING

    @property
    def name(self) -> str:  # type: ignore[override]
        """Which figure it is, whatever the suite calls it."""
        return f"{self.judge.name}_{self.companion}"

    @property
    def signature(self) -> str:
        return f"{self.judge.signature}|companion:{self.companion}"


class _OfVerdicts(JudgeCompanion):
    """One number for each answer, from its verdicts: columns `n` and the sum of the numbers."""

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "sum")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        found = [self._number(response) for response in responses]
        rows = [(0.0, 0.0) if number is None else (1.0, number) for number in found]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 2)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])

    def _number(self, response: Response) -> float | None:
        judged = verdicts_of(response, self.judge.figure)
        if judged is None:
            return None
        outcomes: dict[str, list[float]] = {judge: [] for judge in self.judge.judges}
        for (judge, _), value in outcomes_of(judged, pairs=self.judge.against is not None).items():
            if value is not None:
                outcomes.setdefault(judge, []).append(value)
        return self._of(judged, list(outcomes.values()))

    def _of(self, judged: Mapping[str, Any], outcomes: Sequence[Sequence[float]]) -> float | None:
        raise NotImplementedError


class _RootMean(_OfVerdicts):
    """The root of a mean of variances."""

    interval = BOOTSTRAP

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """From 0 to the whole width of the scale."""
        low, high = self.judge.bounds
        return (0.0, high - low)

    def finalize(self, totals: Array) -> Array:
        root: Array = np.sqrt(super().finalize(totals))
        return root


class WithinSd(_RootMean):
    """Standard deviation of one judge's verdicts on the same answer: √ mean_i mean_judges s²."""

    companion = "within_sd"

    def _of(self, judged: Mapping[str, Any], outcomes: Sequence[Sequence[float]]) -> float | None:
        found = [variance(values) for values in outcomes if len(values) > 1]
        return fmean(found) if found else None


class Spread(_RootMean):
    """Standard deviation between the judges of the same answer, each with the mean of its verdicts: √ mean_i s²."""

    companion = "spread"

    def _of(self, judged: Mapping[str, Any], outcomes: Sequence[Sequence[float]]) -> float | None:
        means = [fmean(values) for values in outcomes if values]
        return variance(means) if len(means) > 1 else None


class PositionBias(_OfVerdicts):
    """Share of pairs whose verdict changed with the order of the two answers."""

    companion = "position_bias"

    def _of(self, judged: Mapping[str, Any], outcomes: Sequence[Sequence[float]]) -> float | None:
        both = [values for values in _by_pair(judged).values() if len(values) == 2]
        return fmean(float(first != second) for first, second in both) if both else None


def outcomes_of(judged: Mapping[str, Any], *, pairs: bool) -> dict[tuple[str, int], float | None]:
    """By judge and repeat, what the verdicts make; None where they cannot be read.

    The two orders of a pair that agree give their verdict, two that disagree a tie.
    """
    if not pairs:
        return {
            (verdict["model"], verdict["repeat"]): verdict["value"] if verdict["status"] == "ok" else None
            for verdict in judged["verdicts"]
        }
    return {
        place: (values[0] if values[0] == values[1] else PAIR_VALUES["tie"]) if len(values) == 2 else None
        for place, values in _by_pair(judged).items()
    }


def _by_pair(judged: Mapping[str, Any]) -> dict[tuple[str, int], list[float]]:
    """By judge and repeat, the values of the orders that can be read."""
    found: dict[tuple[str, int], list[float]] = {}
    for verdict in judged["verdicts"]:
        values = found.setdefault((verdict["model"], verdict["repeat"]), [])
        if verdict["status"] == "ok" and verdict["value"] is not None:
            values.append(verdict["value"])
    return found
