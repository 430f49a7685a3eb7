from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from evalharness.stats.curves import average_precision, roc_area


def plain_roc_area(positive, scores):
    """Every pair of a positive and a negative, counted by hand."""
    wins = [float(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("seed", range(5))
def test_against_the_plain_twin_and_sklearn(seed):
    rng = np.random.default_rng(seed)
    positive = np.append([True, False], rng.random(40) < 0.3)
    scores = rng.integers(0, 12, 42) / 7
    assert roc_area(positive, scores) == pytest.approx(plain_roc_area(positive, scores), abs=1e-12)
    assert average_precision(positive, scores) == pytest.approx(sk.average_precision_score(positive, scores), abs=1e-12)


@pytest.mark.parametrize("area", [roc_area, average_precision])
def test_weights_are_repetitions(area):
    rng = np.random.default_rng(0)
    positive, scores = rng.random(20) < 0.5, rng.integers(0, 6, 20)
    weights = rng.integers(0, 3, (2, 4, 20))
    found = area(positive, scores, weights)
    assert found.shape == (2, 4)
    for place in np.ndindex(2, 4):
        repeated = np.repeat(np.arange(20), weights[place])
        assert found[place] == pytest.approx(float(area(positive[repeated], scores[repeated])), abs=1e-12)


def test_nothing_to_order():
    assert math.isnan(roc_area([True, True], [0.1, 0.2]))
    assert math.isnan(roc_area([False], [0.1]))
    assert math.isnan(average_precision([False], [0.1]))
    assert average_precision([True], [0.1]) == 1.0
    for area in (roc_area, average_precision):
        assert math.isnan(area([], []))
        assert np.isnan(area([True, False], [1, 0], np.zeros((3, 2)))).all()


@pytest.mark.parametrize("area", [roc_area, average_precision])
def test_lengths_must_agree(area):
    with pytest.raises(ValueError, match="one-dimensional and alike"):
        area([True], [0.1, 0.2])
    with pytest.raises(ValueError, match="one entry a score"):
        area([True, False], [0.1, 0.2], [1.0])
