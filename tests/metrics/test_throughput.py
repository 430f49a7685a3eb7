from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.core.types import Response, Sample
from evalharness.metrics.interval import summarize
from evalharness.metrics.throughput import OutputTokensPerSecond, RequestsPerSecond


def answers(*spans, tokens=10):
    """One response for each (start, end), in seconds of the same minute."""
    samples = [Sample(id=str(i), digest="", prompt="") for i in range(len(spans))]
    responses = [
        Response(
            key=str(i), latency_s=end - start, output_tokens=tokens, created_utc=f"2026-01-01T00:00:{end:06.3f}+00:00"
        )
        for i, (start, end) in enumerate(spans)
    ]
    return samples, responses


def rate(metric, *spans, **options):
    return float(metric.finalize_rows(metric.sample_stats(*answers(*spans, **options))))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (((0, 2),), 0.5),
        (((0, 2), (0, 2), (0, 2)), 1.5),
        (((0, 2), (1, 3), (2, 4)), 0.75),
        (((0, 2), (10, 12)), 0.5),  # the pause counts not
        (((0, 10), (2, 3)), 0.2),
        (((0, 10), (2, 3), (4, 5)), 0.3),
        (((5, 6), (0, 2), (1, 5.5)), 0.5),
    ],
)
def test_requests_over_busy_time(spans, expected):
    assert rate(RequestsPerSecond(), *spans) == pytest.approx(expected, rel=1e-6)
    assert rate(OutputTokensPerSecond(), *spans, tokens=4) == pytest.approx(4 * expected, rel=1e-6)


def test_what_says_no_time_is_left_out():
    samples, responses = answers((0, 1), (0, 1), (0, 1), (0, 1))
    responses[1] = Response(key="1", latency_s=None, output_tokens=1, created_utc=responses[1].created_utc)
    responses[2] = Response(key="2", latency_s=1.0, output_tokens=None, created_utc="yesterday")
    assert RequestsPerSecond().sample_stats(samples, responses)[:, 0].tolist() == [1, 0, 0, 1]
    responses[3] = Response(key="3", latency_s=1.0, output_tokens=None, created_utc=responses[3].created_utc)
    assert OutputTokensPerSecond().sample_stats(samples, responses)[:, 0].tolist() == [1, 0, 0, 0]


def test_no_time_is_no_rate_and_there_is_no_interval():
    assert math.isnan(rate(RequestsPerSecond(), (1, 1)))
    metric = RequestsPerSecond()
    found = summarize(metric, metric.sample_stats(*answers((0, 1), (0, 2), (1, 2))))
    assert found.value == pytest.approx(1.5, rel=1e-6)
    assert found.method == "none"


def test_repeats_of_a_sample_count_together():
    metric = RequestsPerSecond()
    rows = metric.sample_stats(*answers((0, 1), (1, 2), (4, 5)))
    rows[2] = 0.0
    merged = metric.merge_repeats(rows, np.array([0, 0, 1]))
    assert merged[:, 0].tolist() == [1.0, 0.0]
    assert merged[0, 3] == 2.0
    assert float(metric.finalize_rows(merged)) == pytest.approx(1.0, rel=1e-6)
