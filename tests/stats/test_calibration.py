from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.stats.calibration import equal_mass_error


def plain(confidence, correct, bins):
    """`numpy.array_split` of the samples in the order of their confidence."""
    parts = np.array_split(np.argsort(confidence), bins)
    return sum(abs(sum(confidence[i] - correct[i] for i in part)) for part in parts) / len(confidence)


@pytest.mark.parametrize("n", [1, 7, 15, 16, 100])
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_against_the_plain_twin(n, bins):
    rng = np.random.default_rng(n)
    confidence, correct = rng.random(n), rng.integers(0, 2, n).astype(float)
    assert float(equal_mass_error(confidence, correct, bins=bins)) == pytest.approx(
        plain(confidence, correct, bins), abs=1e-12
    )


def test_weights_are_repetitions_and_order_does_not_matter():
    rng = np.random.default_rng(1)
    confidence, correct = rng.integers(5, 10, 30) / 10, rng.integers(0, 2, 30).astype(float)
    weights = rng.integers(0, 4, (2, 3, 30))
    found = equal_mass_error(confidence, correct, weights, bins=6)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        repeated = rng.permutation(np.repeat(np.arange(30), weights[place]))
        again = equal_mass_error(confidence[repeated], correct[repeated], bins=6)
        assert found[place] == pytest.approx(float(again), abs=1e-12)


def test_nothing():
    assert math.isnan(equal_mass_error([], []))
    assert np.isnan(equal_mass_error([0.5], [1.0], np.zeros((2, 1)))).all()
    with pytest.raises(ValueError, match="must go together"):
        equal_mass_error([0.5], [1.0, 0.0])
