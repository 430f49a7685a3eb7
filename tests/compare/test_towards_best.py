"""What a difference means of a figure that is best between its bounds, such as a bias score's 0."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from evalharness.compare.compression import _gains
from evalharness.compare.paired import Change, paired_change
from evalharness.compare.records import _towards_best
from evalharness.compare.significance import significance
from evalharness.core.registry import registry
from evalharness.core.types import MetricResult
from evalharness.metrics.base import BaseMetric
from evalharness.stats.paired_intervals import tango
from evalharness.stats.tests import mcnemar


def result(value: float, low: float, high: float) -> MetricResult:
    return MetricResult(
        task="t", model="m", metric="bias", value=value, ci_low=low, ci_high=high, ci_method="bootstrap",
        confidence=0.95, n=100, n_failed=0, higher_is_better=False, bounds=(-1.0, 1.0), signature="bias",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "before", "finding"),
    [
        ((0.1, 0.0, 0.2), (0.3, 0.2, 0.4), "better"),
        ((-0.3, -0.4, -0.2), (-0.1, -0.2, 0.0), "worse"),
        ((-0.3, -0.4, -0.2), (0.3, 0.2, 0.4), "changed sides"),
        ((-0.35, -0.45, -0.3), (0.25, 0.2, 0.32), "changed sides"),  # the distances' intervals overlap
        ((-0.6, -0.7, -0.5), (0.3, 0.2, 0.4), "worse"),
        ((-0.1, -0.15, -0.05), (0.3, 0.2, 0.4), "better"),
        ((-0.1, -0.25, 0.05), (0.3, 0.2, 0.4), "changed sides"),
    ],
)
def test_by_the_distance_from_the_best(after: tuple[float, ...], before: tuple[float, ...], finding: str) -> None:
    sides = (after[0], result(*after)), (before[0], result(*before))
    assert _towards_best(0.0, *sides) == finding
    assert _towards_best(None, *sides) is None


def test_the_figures_of_the_pairs_say_on_which_side_they_lie() -> None:
    # As recorded, of all samples, both are equal.
    sides = (0.2, result(0.3, 0.2, 0.4)), (0.4, result(0.3, 0.2, 0.4))
    assert _towards_best(0.0, *sides) == "better"


class Bias(BaseMetric):
    """The mean of values from −1 to 1."""

    name, bounds, higher_is_better, probe_finding = "bias", (-1.0, 1.0), False, "zero"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "total")

    def finalize(self, totals):
        return totals[..., 1] / totals[..., 0]


def rows(values: list[float]) -> np.ndarray:
    return np.stack([np.ones(len(values)), np.asarray(values)], axis=1)


def test_samples_win_and_lose_by_their_own_distance() -> None:
    before, after = rows([1, 1, 0, -0.5, 0.3, 0.2]), rows([0, -1, -1, -0.2, -0.3, 0.2])
    found = paired_change(after, before, Bias(), confidence=0.95, seed=0)
    # 1 → 0 and −0.5 → −0.2 came nearer; 0 → −1 went away; 1 → −1 and 0.3 → −0.3 did neither.
    assert (found.n_better, found.n_worse) == (2, 1)
    assert found.regression == pytest.approx(after[:, 1].mean() - before[:, 1].mean())


def test_the_test_of_a_share_goes_by_direction() -> None:
    metric = registry("metrics").load("crows_pairs")()
    before, after = rows([1.0] * 40 + [0.0] * 60), rows([0.0] * 30 + [1.0] * 10 + [1.0] * 5 + [0.0] * 55)
    change = paired_change(after, before, metric, confidence=0.95, seed=0)
    # Which text is preferred is as far from a half as the other: nobody wins.
    assert (change.n_better, change.n_worse) == (0, 0)
    assert significance(metric, after, before, change).p_value == pytest.approx(mcnemar(30, 5).p_value)
    assert (change.low, change.high) == pytest.approx(tango(5, 30, 100, confidence=0.95))


@pytest.mark.parametrize(
    ("baseline", "low", "high", "ends"),
    [
        (0.3, -0.1, 0.05, (-0.05, 0.1)),  # stays on its side
        (0.3, -0.9, -0.1, (-0.3, 0.3)),  # from 0.2 through none to −0.6
        (-0.2, -0.1, 0.3, (-0.1, 0.2)),
    ],
)
def test_what_a_compressed_model_has_kept_of_a_bias_score(baseline, low, high, ends) -> None:
    figure = SimpleNamespace(best=0.0, baseline=baseline, low=low, high=high, higher_is_better=False)
    assert _gains(figure) == pytest.approx(ends)
    plain = SimpleNamespace(best=None, baseline=baseline, low=low, high=high, higher_is_better=False)
    assert _gains(plain) == (-high, -low)


def test_a_disparity_that_has_no_interval_has_no_p() -> None:
    metric = SimpleNamespace(disparity=lambda *_: None)
    nothing = Change(0.1, math.nan, math.nan, "too few: 3 samples of lang=de")
    assert math.isnan(significance(metric, np.ones((9, 2)), np.zeros((9, 2)), nothing).p_value)
