from __future__ import annotations

import random

import numpy as np
import pytest

from evalharness.core.types import Response, Sample
from evalharness.metrics.interval import summarize
from evalharness.metrics.needle import EffectiveLength, NeedleFound


@pytest.mark.parametrize(
    ("answer", "references", "value"),
    [
        (" 482913.", ("482913",), 1),
        ("It is 482,913, I think", ("482913",), 1),
        ("1482913", ("482913",), 0),
        ("4829130", ("482913",), 0),
        ("", ("482913",), 0),
        ("The AMBER falcon", ("amber  falcon",), 1),
        ("111111 and 333333", ("111111", "222222", "333333", "444444"), 0.5),
        ("x", (), None),
        ("a+b (c)", ("a+b (c)",), 1),
    ],
)
def test_found(answer, references, value):
    sample = Sample(id="a", digest="", prompt="p", references=references)
    assert NeedleFound().values([sample], [Response(key="a", text=answer)]) == [value]
    assert NeedleFound().values([sample], [Response(key="a", status="truncated", text=answer)]) == [value]


def batch(shares, n, seed=0):
    """n samples for each length, of which a share is found."""
    draw = random.Random(seed)
    samples, responses = [], []
    for length, share in shares.items():
        for i in range(n):
            key = f"{length}-{i}"
            groups = {"length": str(length)}
            samples.append(Sample(id=key, digest="", prompt="p", references=("42",), groups=groups))
            responses.append(Response(key=key, text="42" if draw.random() < share else "no idea"))
    return samples, responses


def test_effective_length():
    metric = EffectiveLength(lengths=(100, 200, 400, 800), threshold=0.8)
    found = summarize(metric, metric.sample_stats(*batch({100: 1, 200: 1, 400: 0.5, 800: 1}, 40)))
    # The longest one found again does not count behind a length that failed.
    assert (found.value, found.low, found.high) == (200, 200, 200)
    assert found.method == "wilson-bonferroni"


def test_what_may_be_promised_takes_samples():
    metric = EffectiveLength(lengths=(100, 200), threshold=0.85)
    few = summarize(metric, metric.sample_stats(*batch({100: 1, 200: 1}, 5)))
    assert (few.low, few.value, few.high) == (0, 200, 200)
    many = summarize(metric, metric.sample_stats(*batch({100: 1, 200: 1}, 60)))
    assert (many.low, many.value, many.high) == (200, 200, 200)


def test_no_length_reaches_it():
    metric = EffectiveLength(lengths=(100, 200), threshold=0.85)
    found = summarize(metric, metric.sample_stats(*batch({100: 0, 200: 1}, 30)))
    assert (found.low, found.value, found.high) == (0, 0, 0)


def test_the_order_of_the_lengths_is_nothing():
    samples, responses = batch({100: 1, 200: 0.2}, 30)
    one, two = (EffectiveLength(lengths=lengths) for lengths in ((100, 200), (200, 100)))
    assert np.array_equal(one.sample_stats(samples, responses), two.sample_stats(samples, responses))


def test_the_interval_holds_the_true_length():
    """The true effective length lies in the interval in at least 95 % of 300 draws (binomial slack to 92 %)."""
    metric = EffectiveLength(lengths=(1, 2, 4, 8), threshold=0.8)
    shares, true = {1: 0.95, 2: 0.9, 4: 0.82, 8: 0.6}, 4
    held = 0
    for seed in range(300):
        found = summarize(metric, metric.sample_stats(*batch(shares, 25, seed)))
        held += found.low <= true <= found.high
    assert held >= 276


def test_length_of_a_sample_without_group_is_that_of_its_prompt():
    metric = EffectiveLength(lengths=(3, 10))
    samples = [Sample(id=str(n), digest="", prompt="w " * n, references=("x",)) for n in (2, 3, 4, 10, 11)]
    stats = metric.sample_stats(samples, [Response(key=s.id, text="x") for s in samples])
    assert stats[:, 1].tolist() == [1, 1, 0, 0, 0]
    assert stats[:, 3].tolist() == [0, 0, 1, 1, 0]


def test_wrong_options():
    with pytest.raises(ValueError, match="lengths"):
        EffectiveLength(lengths=())
    with pytest.raises(ValueError, match="threshold"):
        EffectiveLength(threshold=1.0)


def test_one_sample_has_no_effective_length():
    metric = EffectiveLength(lengths=(100, 200), threshold=0.85)
    rows = metric.sample_stats(*batch({100: 1.0, 200: 0.5}, 4))
    assert np.isnan(metric.finalize_samples(rows)).all()
    assert len(metric.finalize_samples(rows)) == 8
