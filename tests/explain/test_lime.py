from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances

from evalharness.explain import explain_game
from evalharness.explain.lime import Lime, _drawn, _weights, weighted_ridge


@pytest.mark.parametrize("ridge", [0.0, 0.3, 1.0, 50.0])
def test_the_regression_is_the_direct_solution_and_scikit_learns(ridge):
    rng = np.random.default_rng(4)
    kept, values, weights = rng.random((80, 6)) < 0.6, rng.normal(size=(80, 3)), rng.random(80) + 0.01
    slopes, intercept = weighted_ridge(kept, values, weights, ridge=ridge)
    # The normal equations, with the intercept as a column without penalty.
    x = np.column_stack([np.ones(80), kept])
    penalty = np.diag([0.0] + [ridge] * 6)
    direct = np.linalg.solve(x.T @ (weights[:, None] * x) + penalty, x.T @ (weights[:, None] * values))
    assert np.vstack([intercept, slopes]) == pytest.approx(direct, abs=1e-10)
    if ridge:
        theirs = Ridge(alpha=ridge).fit(kept.astype(float), values, sample_weight=weights)
        assert slopes == pytest.approx(theirs.coef_.T, abs=1e-8)
        assert intercept == pytest.approx(theirs.intercept_, abs=1e-8)


def test_weights_are_those_of_lime_text():
    kept = _drawn(9, 200, np.random.default_rng(0))
    assert kept[0].all()
    some = kept[kept.any(axis=1)]
    # lime_text: sqrt(exp(-d²/width²)) of 100 times sklearn's cosine distance to the first row.
    distance = pairwise_distances(some.astype(float), np.ones((1, 9)), metric="cosine").ravel() * 100
    assert _weights(some, 25.0) == pytest.approx(np.sqrt(np.exp(-(distance**2) / 25.0**2)), abs=1e-12)
    n_masked = (~kept[1:]).sum(axis=1)
    assert set(n_masked.tolist()) == set(range(1, 10))


def test_a_linear_game_has_its_slopes(game_of):
    weight = np.array([2.0, -1.0, 0.0, 0.5])
    found = explain_game(game_of(4, lambda kept: 3.0 + (kept @ weight)[:, None]), "lime", ridge=1e-9)
    assert found.values[:, 0] == pytest.approx(weight, abs=1e-6)
    assert found.meta["r_squared"] == [pytest.approx(1.0)]
    assert found.meta["intercept"] == [pytest.approx(3.0, abs=1e-6)]
    again = explain_game(game_of(4, lambda kept: 3.0 + (kept @ weight)[:, None]), "lime", ridge=1e-9)
    assert (again.values == found.values).all()


def test_a_constant_game_has_no_r_squared(game_of):
    found = explain_game(game_of(3, lambda kept: np.full((len(kept), 1), 0.25)), "lime")
    assert found.values == pytest.approx(np.zeros((3, 1)), abs=1e-12)
    assert found.meta["r_squared"] == [None]


def test_too_few_evaluations_without_a_ridge(table_game):
    with pytest.raises(ValueError, match="do not fix 6 slopes"):
        Lime(max_evals=5, ridge=0.0).attribute(table_game(6))
