"""The axioms of Shapley values, for every method that promises them, and equality with their definition."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.games import GameError
from evalharness.explain import explain_game
from evalharness.explain.partition import owen_values
from evalharness.explain.permutation import from_permutations
from evalharness.explain.tree import merge_tree, text_tree

EFFICIENT = [
    ("exact", {}),
    ("shap", {}),
    ("shap", {"exact_up_to": 0}),
    ("shap", {"exact_up_to": 0, "max_evals": 14}),
    ("shap", {"exact_up_to": 0, "tolerance": 0.1}),
    ("permutation", {}),
]
# Along these the values are the Shapley values of games of single words and pairs.
OF_PAIRS = [("exact", {}), ("shap", {}), ("shap", {"exact_up_to": 0, "max_evals": 5000}), ("permutation", {})]


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_exact_values_are_the_mean_over_all_orders(n, table_game, brute_force):
    game = table_game(n, seed=n)
    expected = brute_force(game)
    assert explain_game(game, "exact").values == pytest.approx(expected, abs=1e-12)
    assert explain_game(game, "shap").values == pytest.approx(expected, abs=1e-12)


def shapley_by_dividends(worth):
    """Shapley values from the worth (2^n, k) of all coalitions, bit i of a row's number being player i.

    Harsanyi's dividends d(S) = Σ over T ⊆ S of (−1)^(|S|−|T|)·v(T), each shared evenly by the players of S.
    """
    n = int(np.log2(len(worth)))
    members = np.arange(2**n)[:, None] >> np.arange(n) & 1 > 0
    dividends = worth.astype(float).copy()
    for i in range(n):
        dividends[members[:, i]] -= dividends[~members[:, i]]
    shares = dividends[1:] / members[1:].sum(axis=1)[:, None]
    return members[1:].T.astype(float) @ shares


@pytest.mark.parametrize("n", [7, 8, 9, 10])
def test_up_to_ten_players_have_their_shapley_values(n, table_game):
    """A game with interactions of all orders, against another formula than the one that is computed."""
    game = table_game(n, seed=n)
    coalitions = np.arange(2**n)[:, None] >> np.arange(n) & 1 > 0
    expected = shapley_by_dividends(game.value(coalitions))
    for method in ("exact", "shap"):
        found = explain_game(table_game(n, seed=n), method)
        assert found.values == pytest.approx(expected, abs=1e-9)
        assert found.n_evaluations == 2**n
    # The tree alone is not it: the game would not tell the two apart otherwise.
    tree = explain_game(table_game(n, seed=n), "shap", exact_up_to=0, max_evals=100_000)
    assert np.abs(tree.values - expected).max() > 1e-3


@pytest.mark.parametrize(("name", "options"), EFFICIENT)
@pytest.mark.parametrize("n", [2, 7, 10])
def test_values_sum_to_the_whole(name, options, n, table_game):
    found = explain_game(table_game(n, seed=n), name, **options)
    assert found.values.sum(axis=0) == pytest.approx(found.full_values - found.base_values, abs=1e-9)


@pytest.mark.parametrize(("name", "options"), OF_PAIRS)
@pytest.mark.parametrize("n", [4, 7, 10])
def test_null_players_symmetry_and_shapley_values_of_pairs(name, options, n, pair_game):
    game = pair_game(n, seed=n)
    found = explain_game(game, name, **options)
    assert np.abs(found.values[1]).max() <= 1e-9
    assert found.values[0] == pytest.approx(found.values[2], abs=1e-9)
    assert found.values == pytest.approx(explain_game(pair_game(n, seed=n), "exact").values, abs=1e-9)


def test_exact_values_have_a_limit(table_game):
    with pytest.raises(GameError, match="8,192 evaluations"):
        explain_game(table_game(13), "exact")
    assert explain_game(table_game(13), "exact", max_players=13).values.shape == (13, 2)


def owen_by_recursion(game, tree):
    """The walk without any budget, read off its definition."""
    n = len(game.tokens)

    def below(node):
        return {node} if node < n else below(int(tree[node - n, 0])) | below(int(tree[node - n, 1]))

    def value(players):
        return game.value(np.array([[i in players for i in range(n)]]))[0]

    found = np.zeros((n, len(game.outputs)))

    def visit(node, context, weight):
        if node < n:
            found[node] += weight * (value(context | {node}) - value(context))
            return
        left, right = int(tree[node - n, 0]), int(tree[node - n, 1])
        for child, other in ((left, right), (right, left)):
            visit(child, context, weight / 2)
            visit(child, context | below(other), weight / 2)

    visit(2 * n - 2, frozenset(), 1.0)
    return found


@pytest.mark.parametrize("n", [2, 3, 6, 9])
@pytest.mark.parametrize("batch_size", [2, 7, 64])
def test_owen_values_without_a_budget(n, batch_size, table_game):
    game = table_game(n, seed=n)
    tree = text_tree(game.tokens)
    expected = owen_by_recursion(game, tree)
    walk = owen_values(game, tree, max_evals=100_000, batch_size=batch_size)
    assert walk.values == pytest.approx(expected, abs=1e-12)
    assert walk.n_undivided == 0


def test_a_budget_holds_and_the_rest_is_divided_evenly(table_game):
    game = table_game(8, seed=1)
    tree = merge_tree([f"w{i}" for i in range(8)])
    walk = owen_values(game, tree, max_evals=2, batch_size=32)
    assert walk.values == pytest.approx(np.repeat([(walk.full - walk.base) / 8], 8, axis=0), abs=1e-12)
    for budget in (4, 11, 30):
        fresh = table_game(8, seed=1)
        walk = owen_values(fresh, tree, max_evals=budget, batch_size=32)
        assert fresh.n_rows <= walk.n_asked <= budget + 1
        assert walk.n_undivided > 0


def test_what_changes_nothing_is_not_divided(game_of):
    # Words 0 to 7 do all there is, the other eight nothing.
    weight = np.concatenate([np.arange(1.0, 9.0), np.zeros(8)])
    whole = explain_game(game_of(16, lambda kept: (kept @ weight)[:, None]), "shap", exact_up_to=0, max_evals=9999)
    pruned = explain_game(game_of(16, lambda kept: (kept @ weight)[:, None]), "shap", exact_up_to=0, tolerance=1e-9)
    assert pruned.values == pytest.approx(whole.values, abs=1e-9)
    assert pruned.n_evaluations < whole.n_evaluations
    assert pruned.meta["n_undivided"] > 0
    rough = explain_game(game_of(16, lambda kept: (kept @ weight)[:, None]), "shap", exact_up_to=0, tolerance=0.05)
    assert rough.n_evaluations <= pruned.n_evaluations <= 2 * 16
    assert rough.values.sum() == pytest.approx(36.0, abs=1e-9)
    # A text that never changes the value ends at once, one whose halves cancel does not.
    still = explain_game(game_of(16, lambda kept: np.ones((len(kept), 1))), "shap", exact_up_to=0, tolerance=0.01)
    assert still.n_evaluations <= 4
    signs = np.repeat([1.0, -1.0], 8)
    cancelled = explain_game(
        game_of(16, lambda kept: (kept @ signs)[:, None]), "shap", exact_up_to=0, tolerance=0.01, max_evals=9999
    )
    assert cancelled.values[:, 0] == pytest.approx(signs, abs=1e-9)


def test_pruned_children_keep_the_mean_of_both_contexts(game_of):
    # v(a) = 1, v(b) = 2, v(ab) = 5: the Shapley values are 2 and 3 although one context alone says 3 and 4.
    game = game_of(2, lambda kept: (kept @ [1.0, 2.0] + 2.0 * kept.all(axis=1))[:, None])
    assert explain_game(game, "shap", exact_up_to=0, tolerance=1.0).values[:, 0] == pytest.approx([2.0, 3.0], abs=1e-12)


@pytest.mark.parametrize("tolerance", [0.01, 0.05])
def test_pruning_costs_about_the_tolerance(tolerance, game_of):
    rng = np.random.default_rng(0)
    single, third = rng.normal(size=14), 0.05 * rng.normal(size=(14, 14))

    def function(kept):
        return np.tanh(kept @ single / 3 + np.einsum("mi,ij,mj->m", kept, third, kept))[:, None]

    whole = explain_game(game_of(14, function), "shap", exact_up_to=0, max_evals=100_000)
    pruned = explain_game(game_of(14, function), "shap", exact_up_to=0, max_evals=100_000, tolerance=tolerance)
    assert pruned.n_evaluations < 0.8 * whole.n_evaluations
    assert pruned.values.sum() == pytest.approx(whole.values.sum(), abs=1e-9)
    assert np.abs(pruned.values - whole.values).max() < tolerance * 2


def test_permutations_have_standard_errors(table_game, brute_force):
    game = table_game(6, seed=2)
    expected = brute_force(game)
    found = explain_game(game, "permutation", max_evals=13 * 400, seed=1)
    errors = np.array(found.meta["standard_errors"])
    assert found.meta["n_orders"] == 400
    z = (found.values - expected) / errors
    assert np.abs(z).max() < 4
    assert 0.5 < np.sqrt((z**2).mean()) < 1.6
    again = explain_game(table_game(6, seed=2), "permutation", max_evals=13 * 400, seed=1)
    assert (again.values == found.values).all()
    assert explain_game(game, "permutation", max_evals=13).meta["standard_errors"] is None
    with pytest.raises(GameError, match="one order takes 13 evaluations"):
        explain_game(game, "permutation", max_evals=12)


def test_an_order_and_its_reversal_by_hand(table_game):
    game = table_game(3, seed=5, k=1)

    def value(*players):
        return game.value(np.array([[i in players for i in range(3)]]))[0, 0]

    values, errors = from_permutations(game, [np.array([2, 0, 1])])
    forwards = [value(0, 2) - value(2), value(0, 1, 2) - value(0, 2), value(2) - value()]
    backwards = [value(0, 1) - value(1), value(1) - value(), value(0, 1, 2) - value(0, 1)]
    assert values[:, 0] == pytest.approx((np.array(forwards) + backwards) / 2, abs=1e-12)
    assert errors is None


def test_occlusion_by_hand(table_game):
    game = table_game(4, seed=3)
    found = explain_game(game, "occlusion")
    whole = np.ones(4, dtype=bool)
    for player in range(4):
        without = whole.copy()
        without[player] = False
        expected = game.value(whole[None])[0] - game.value(without[None])[0]
        assert found.values[player] == pytest.approx(expected, abs=1e-12)
    assert found.n_evaluations == 6
