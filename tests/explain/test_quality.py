from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from evalharness.explain import explain_game
from evalharness.explain.quality import AOPC_SHARES, faithfulness, random_agreement, rank_agreement


def figures_by_hand(game, order, output):
    """Comprehensiveness, sufficiency and the areas, one coalition at a time."""
    n = len(game.tokens)

    def value(players):
        return game.value(np.array([[i in players for i in range(n)]]))[0, output]

    everyone = set(range(n))
    tops = [set(order[: int(np.ceil(share * n))]) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    deletion = [value(everyone - set(order[:k])) for k in range(n + 1)]
    insertion = [value(set(order[:k])) for k in range(n + 1)]
    return (
        np.mean([value(everyone) - value(everyone - top) for top in tops]),
        np.mean([value(everyone) - value(top) for top in tops]),
        np.trapezoid(deletion, dx=1 / n),
        np.trapezoid(insertion, dx=1 / n),
    )


@pytest.mark.parametrize("n", [1, 3, 9])
def test_figures_are_those_of_one_coalition_at_a_time(n, table_game):
    game = table_game(n, seed=n)
    values = np.random.default_rng(n).normal(size=(n, 2))
    found = faithfulness(game, values, output=1, n_random=3, seed=5)
    expected = figures_by_hand(game, np.argsort(-values[:, 1]), 1)
    scores = (found.comprehensiveness, found.sufficiency, found.deletion_auc, found.insertion_auc)
    assert [score.value for score in scores] == pytest.approx(expected, abs=1e-12)
    rng = np.random.default_rng(5)
    drawn = [figures_by_hand(game, rng.permutation(n), 1) for _ in range(3)]
    for score, column in zip(scores, zip(*drawn, strict=True), strict=True):
        assert score.random_values == pytest.approx(column, abs=1e-12)
        assert score.gain == pytest.approx(score.value - np.mean(column))
    curves = (found.deletion_random_curve, found.insertion_random_curve)
    for score, curve in zip(scores[2:], curves, strict=True):
        assert np.trapezoid(curve, dx=1 / n) == pytest.approx(score.random_mean)
    assert found.output == "y1"
    assert found.deletion_curve[0] == found.insertion_curve[-1] == game.value(np.ones((1, n), dtype=bool))[0, 1]


def test_a_long_text_is_measured_at_a_hundred_steps(game_of):
    n = 750
    rng = np.random.default_rng(1)
    weight = rng.normal(size=n)
    game = game_of(n, lambda kept: (kept @ weight)[:, None])
    values = (weight + rng.normal(size=n))[:, None]
    found = faithfulness(game, values, n_random=1)
    assert game.n_rows <= 2 * 2 * 106
    assert len(found.deletion_curve) == len(found.insertion_curve) == 101
    order = np.argsort(-values[:, 0], kind="stable")
    whole = np.concatenate([[0.0], np.cumsum(weight[order])])
    sizes = [math.ceil(share * n) for share in AOPC_SHARES]
    assert found.comprehensiveness.value == pytest.approx(whole[sizes].mean())
    assert found.sufficiency.value == pytest.approx((whole[-1] - whole[sizes]).mean())
    assert found.insertion_curve == pytest.approx(whole[np.round(np.linspace(0, n, 101)).astype(int)])
    assert found.insertion_auc.value == pytest.approx(np.trapezoid(whole) / n, rel=2e-3)
    assert found.deletion_auc.value == pytest.approx(np.trapezoid(whole[-1] - whole) / n, abs=2e-3 * abs(whole).max())


def test_the_right_order_beats_chance_and_the_reverse_loses_to_it(game_of):
    weight = np.random.default_rng(0).normal(size=30) ** 3
    game = game_of(30, lambda kept: (kept @ weight)[:, None])
    right = faithfulness(game, explain_game(game, "permutation").values)
    wrong = faithfulness(game, -explain_game(game, "permutation").values)
    assert right.comprehensiveness.gain > 0 > wrong.comprehensiveness.gain
    assert right.sufficiency.gain < 0 < wrong.sufficiency.gain
    assert right.deletion_auc.gain < 0 < wrong.deletion_auc.gain
    assert right.insertion_auc.gain > 0 > wrong.insertion_auc.gain


def test_the_output_is_that_of_the_answer_and_ties_stay_in_order(game_of):
    game = game_of(4, lambda kept: np.stack([kept.sum(axis=1) * 1.0, kept @ [5.0, 1.0, 1.0, 1.0]], axis=1))
    found = faithfulness(game, np.zeros((4, 2)), n_random=0)
    assert found.output == "y1"
    assert found.deletion_curve.tolist() == [8.0, 3.0, 2.0, 1.0, 0.0]
    assert np.isnan(found.comprehensiveness.random_mean)
    assert json.loads(json.dumps(found.as_json()))["comprehensiveness"]["random_mean"] is None
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        faithfulness(game, np.zeros((4, 1)))


def test_no_players_have_no_figures(table_game):
    found = faithfulness(table_game(0), np.zeros((0, 2)))
    assert np.isnan(found.comprehensiveness.value)
    assert np.isnan(found.deletion_auc.random_mean)


def test_shares_are_erasers():
    assert AOPC_SHARES == (0.01, 0.05, 0.10, 0.20, 0.50)


def test_rank_agreement():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(12, 2)), rng.normal(size=(12, 2))
    expected = np.mean([spearmanr(first[:, k], second[:, k]).statistic for k in range(2)])
    assert rank_agreement(first, second) == pytest.approx(expected, abs=1e-12)
    assert rank_agreement(first, first) == pytest.approx(1.0)
    assert np.isnan(rank_agreement(first, np.zeros((12, 2))))
    half = np.column_stack([first[:, 0], np.zeros(12)])
    assert rank_agreement(half, half) == pytest.approx(1.0)
    drawn = random_agreement(first, n_random=200)
    assert abs(drawn.mean()) < 0.1
    assert drawn.tolist() == random_agreement(first, n_random=200).tolist()
    with pytest.raises(ValueError, match="same players"):
        rank_agreement(first, second[:3])


def test_the_same_seed_is_stable_and_a_budget_makes_it_so(table_game):
    def values(n_orders, seed):
        return explain_game(table_game(8, seed=1), "permutation", max_evals=17 * n_orders, seed=seed).values

    few, many = ([values(n_orders, seed) for seed in (0, 1)] for n_orders in (1, 2000))
    assert rank_agreement(*few) < rank_agreement(*many)
    assert rank_agreement(*many) > 0.9
