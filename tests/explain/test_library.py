"""Equality with the shap library: its tree, its Partition and its Permutation explainers."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.games import Token
from evalharness.explain import explain_game
from evalharness.explain.partition import owen_values
from evalharness.explain.permutation import from_permutations
from evalharness.explain.tree import labels_of, merge_tree

pytestmark = [
    pytest.mark.slow,
    # What numba and its neighbours deprecate is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

TEXTS = [
    "the film is n't good , but ( despite its length ) it is never dull . go and see it !",
    "a b c d e f g h",
    "one",
    "un ##believ ##able , and [ so ] the [CLS] token ( with ( nested ) ones ) ' s here ' t",
    "? ! . , ( ) ( ) ' but or and",
]


@pytest.fixture(scope="module")
def shap():
    return pytest.importorskip("shap")


@pytest.mark.parametrize("text", TEXTS)
def test_the_tree_is_shaps(text, shap):
    from shap.maskers._text import partition_tree

    labels = text.split()
    expected = partition_tree(labels, [])
    found = merge_tree(labels)
    assert found[:, [0, 1, 3]].tolist() == expected[:, [0, 1, 3]].tolist()
    assert found[:, 2].tolist() == (expected[:, 3] / len(labels)).tolist()


def test_the_tree_of_random_words_is_shaps(shap):
    from shap.maskers._text import partition_tree

    words = ["a", "but", "and", ",", ".", "?", "(", ")", "'", "t", "s", "##x", "[y]", "film", "z"]
    rng = np.random.default_rng(3)
    for _ in range(40):
        labels = rng.choice(words, size=rng.integers(2, 30)).tolist()
        assert merge_tree(labels)[:, [0, 1, 3]].tolist() == partition_tree(labels, [])[:, [0, 1, 3]].tolist()


def test_labels_are_those_of_shaps_text_masker(shap):
    # "unbelievable" in three tokens, without white space between.
    text = "an unbelievable (film), 北京"
    pieces = ["an", "un", "believ", "able", "(", "film", ")", ",", "北", "京"]
    tokens, at = [], 0
    for piece in pieces:
        at = text.index(piece, at)
        tokens.append(Token(piece, at, at + len(piece)))
        at += len(piece)
    assert labels_of(tokens) == ["an", "un", "##believ", "##able", "(", "film", ")", ",", "北", "京"]


@pytest.mark.parametrize("max_evals", [4, 37, 100, 10_000])
@pytest.mark.parametrize("batch_size", [2, 5, 32])
def test_partition_values_are_shaps(max_evals, batch_size, table_game, shap):
    # Random values have no ties, so that shap's unseeded order among equals does not show.
    ours = explain_game(table_game(9, seed=7), "shap", exact_up_to=0, max_evals=max_evals, batch_size=batch_size)
    theirs = explain_game(
        table_game(9, seed=7), "shap", exact_up_to=0, max_evals=max_evals, batch_size=batch_size, engine="shap"
    )
    assert ours.values == pytest.approx(theirs.values, abs=1e-12)
    assert ours.base_values.tolist() == theirs.base_values.tolist()
    assert ours.n_evaluations == theirs.n_evaluations


def test_permutation_values_are_shaps(table_game, shap):
    theirs = explain_game(table_game(7, seed=2), "permutation", max_evals=15 * 4, seed=11, engine="shap")
    # What shap draws: one generator, shuffled again and again.
    state = np.random.RandomState(11)
    order, orders = np.arange(7), []
    for _ in range(4):
        state.shuffle(order)
        orders.append(order.copy())
    values, _ = from_permutations(table_game(7, seed=2), orders)
    assert values == pytest.approx(theirs.values, abs=1e-12)
    before = np.random.get_state()[1].tolist()
    explain_game(table_game(7, seed=2), "permutation", seed=11, engine="shap")
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("name", ["shap", "permutation"])
def test_few_words_by_the_library(n, name, table_game, shap):
    found = explain_game(table_game(n, seed=n), name, engine="shap", max_evals=50)
    assert found.values.sum(axis=0) == pytest.approx(found.full_values - found.base_values if n else [0, 0], abs=1e-12)


def test_the_walk_counts_as_shap_does(table_game, shap):
    game = table_game(9, seed=3)
    tree = merge_tree([token.text for token in game.tokens])
    walk = owen_values(game, tree, max_evals=100, batch_size=10)

    class Masker:
        immutable_outputs = True
        shape = (1, 9)
        clustering = tree

        def __call__(self, mask, x):
            return (mask.reshape(1, -1),)

    explainer = shap.explainers.Partition(table_game(9, seed=3).value, Masker())
    explainer(np.ones((1, 9)), max_evals=100, batch_size=10, silent=True)
    assert walk.n_asked == explainer.last_eval_count + 2
