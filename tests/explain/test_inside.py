"""Integrated gradients and attention rollout over insides that are written down."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.games import Attentions, PathGradients, RememberedGame, Token
from evalharness.explain import explain_game
from evalharness.explain.attention import rollout


class Inside(RememberedGame):
    """v(x) = Σ_i w_i x_i³ + x_0 x_1 on the line from 0 to 1, each player an embedding of one number."""

    weight = np.array([1.0, -2.0, 0.5])

    def __init__(self) -> None:
        super().__init__(tuple(Token(c, i, i + 1) for i, c in enumerate("abc")), ("v",))

    def evaluate(self, kept):
        x = kept.astype(float)
        return (x**3 @ self.weight + x[:, 0] * x[:, 1])[:, None]

    def path_gradients(self, places):
        a = places[:, None]
        gradient = 3 * a**2 * self.weight + np.hstack([a, a, 0 * a])
        values = (places**3 * self.weight.sum() + places**2)[:, None]
        return PathGradients(values, gradient[:, :, None])

    def attentions(self):
        weights = np.zeros((2, 2, 4, 4))
        weights[0] = np.eye(4)
        weights[1, 0], weights[1, 1] = np.eye(4), np.full((4, 4), 0.25)
        return Attentions(weights, ((1,), (2, 3), ()), 0)


def test_integrated_gradients_by_hand():
    found = explain_game(Inside(), "integrated_gradients", steps=3)
    # ∫ 3 a² w + a [i < 2] = w + ½ [i < 2]; three places are exact for polynomials up to degree 5.
    assert found.values[:, 0] == pytest.approx([1.5, -1.5, 0.5], abs=1e-12)
    assert found.meta["completeness_error"] == [pytest.approx(0.0, abs=1e-12)]
    assert (found.base_values, found.full_values) == (0.0, 0.5)
    rough = explain_game(Inside(), "integrated_gradients", steps=1)
    assert abs(rough.meta["completeness_error"][0]) > 0.01


def test_rollout_by_hand():
    found = explain_game(Inside(), "attention")
    # Layer 1 keeps all in place; layer 2 has heads I and ¼, so Â = (½I + ⅛ + I) / 2 = ¾I + 1/16.
    assert found.values[:, 0] == pytest.approx([1 / 16, 2 / 16, 0.0])
    assert found.meta["rest"] == pytest.approx(13 / 16)
    assert found.meta["causal"] is False


def test_rows_of_a_rollout_sum_to_one():
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=(3, 2, 5))
    assert rollout(weights).sum(axis=1) == pytest.approx(np.ones(5))
    assert rollout(np.zeros((0, 1, 3, 3))).tolist() == np.eye(3).tolist()
