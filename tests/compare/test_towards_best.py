"""What a difference means of a figure that is best between its bounds, such as a bias score's 0."""

from __future__ import annotations

import pytest

from evalharness.compare.records import _towards_best
from evalharness.core.types import MetricResult


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
    assert _towards_best(0.0, result(*after), result(*before)) == finding
    assert _towards_best(None, result(*after), result(*before)) is None
