from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.drift.detectors import Cusum, changes, cusum_run_length


def test_cusum_by_hand():
    values = [0.0, 2.0, 2.0, 2.0, 2.0]
    one = Cusum(0.0, 1.0, allowance=0.5, limit=5.0)
    sums = []
    for value in values:
        one.update(value)
        sums.append(one.high)
    assert sums == [0.0, 1.5, 3.0, 4.5, 0.0], "6.0 is above 5 and starts anew"
    assert [c.place for c in changes(values, "cusum", mean=0.0, sd=1.0)] == [4]
    down = changes([-v for v in values], "cusum", mean=0.0, sd=1.0)
    assert [(c.place, c.way) for c in down] == [(4, "down")]


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_run_lengths_are_siegmunds(shift):
    chance = np.random.default_rng(3)
    lengths = []
    for _ in range(300):
        one, n = Cusum(0.0, 1.0, limit=4.0), 0
        while True:
            n += 1
            if one.update(chance.normal(shift)):
                break
        lengths.append(n)
    wanted = cusum_run_length(0.5, 4.0, shift)
    assert np.mean(lengths) == pytest.approx(wanted, rel=0.2)
    assert cusum_run_length(0.5, 5.0) == pytest.approx(465, rel=0.03), "the published table"


@pytest.mark.parametrize(
    ("detector", "options"),
    [("cusum", {"mean": 0.0, "sd": 1.0}), ("page_hinkley", {"limit": 20.0, "allowance": 0.1}), ("adwin", {})],
)
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_shift_is_found_after_it_came(detector, options, way):
    chance = np.random.default_rng(1)
    sign = 1 if way == "up" else -1
    values = np.concatenate([chance.normal(0, 1, 300), chance.normal(sign * 2, 1, 100)])
    if detector == "adwin":
        pytest.importorskip("river")
    found = changes(values, detector, **options)
    assert found
    assert 300 <= found[0].place < 360
    assert found[0].way == way


@pytest.mark.parametrize("detector", ["cusum", "page_hinkley"])
def test_nothing_is_said_of_missing_values(detector):
    options = {"mean": 0.0, "sd": 1.0} if detector == "cusum" else {}
    assert changes([math.nan] * 100, detector, **options) == []


@pytest.mark.parametrize(
    ("detector", "options", "message"),
    [
        ("cusm", {}, "did you mean 'cusum'"),
        ("cusum", {"mean": 0.0}, "sd"),
        ("cusum", {"mean": 0.0, "sd": 0.0}, "sd above 0"),
        ("cusum", {"mean": 0.0, "sd": 1.0, "limit": 0.0}, "limit above 0"),
        ("page_hinkley", {"limit": -1.0}, "limit above 0"),
        ("page_hinkley", {"lambda_": 1.0}, "lambda_"),
        ("adwin", {"delta": 2.0}, "between 0 and 1"),
    ],
)
def test_wrong_options(detector, options, message):
    with pytest.raises(UsageError, match=message):
        changes([1.0], detector, **options)
