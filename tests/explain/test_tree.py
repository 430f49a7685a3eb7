from __future__ import annotations

import numpy as np

from evalharness.core.games import Token
from evalharness.explain.tree import labels_of, members, merge_tree


def test_merges_of_a_sentence():
    # Made by shap 0.51.0: shap.maskers._text.partition_tree(labels, []).
    labels = ["it", "is", "n't", "long", ",", "and", "(", "despite", "that", ")", "a", "good", "one", ".", "see", "it"]
    expected = [
        (0, 1), (2, 3), (7, 8), (10, 11), (14, 15), (18, 9), (19, 12), (16, 17), (22, 13), (23, 4), (6, 21), (5, 26),
        (27, 24), (25, 28), (29, 20),
    ]  # fmt: skip
    found = merge_tree(labels)
    assert [tuple(row) for row in found[:, :2].astype(int).tolist()] == expected
    assert found[-1, 3] == 16
    assert found[:, 2].tolist() == (found[:, 3] / 16).tolist()


def test_members_of_a_tree():
    tree = merge_tree(["a", "b", "c"])
    assert tree[:, :2].tolist() == [[0, 1], [3, 2]]
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]]
    assert members(tree).astype(int).tolist() == expected
    assert merge_tree(["a"]).shape == merge_tree([]).shape == (0, 4)
    assert members(np.zeros((0, 4))).tolist() == [[True]]


def test_parts_of_words_are_told_from_words():
    text = "unbelievable film, don't 北京 3d"
    spans = [
        (0, 2),
        (2, 8),
        (8, 12),
        (13, 17),
        (17, 18),
        (19, 22),
        (22, 23),
        (23, 24),
        (25, 26),
        (26, 27),
        (28, 29),
        (29, 30),
    ]
    tokens = [Token(text[a:b], a, b) for a, b in spans]
    assert labels_of(tokens) == ["un", "##believ", "##able", "film", ",", "don", "'", "t", "北", "京", "3", "##d"]
