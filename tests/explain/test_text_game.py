from __future__ import annotations

import numpy as np
import pytest

from evalharness.core.games import GameError
from evalharness.explain import explain_game
from evalharness.explain.text_game import TextGame


def test_words_are_masked_in_their_place():
    seen = []

    def score(texts):
        seen.extend(texts)
        return np.array([[2.0 * ("good" in text) + ("北" in text)] for text in texts])

    game = TextGame("A good, good film. 北京!", score, ["points"])
    assert [token.text for token in game.tokens] == ["A", "good", ",", "good", "film", ".", "北", "京", "!"]
    assert game.masked_text(np.arange(9) % 2 == 0) == "A …, … film… 北…!"
    found = explain_game(game, "exact")
    # Either "good" alone is enough.
    assert found.values[:, 0] == pytest.approx([0, 1, 0, 1, 0, 0, 1, 0, 0], abs=1e-9)
    assert len(seen) == len(set(seen)) == game.n_rows == 2**9
    assert game.n_calls == 8
    assert game.meta == {"players": "words", "mask": "…"}
    for token in game.tokens:
        assert game.text[token.start : token.end] == token.text


def test_words_can_be_left_out():
    game = TextGame("one  two-three four", lambda texts: np.array([[float(len(t))] for t in texts]), ["n"], mask="")
    assert game.masked_text(np.array([True, False, True])) == "one four"
    assert game.masked_text(np.array([False, False, False])) == ""
    assert game.meta["mask"] == "remove"


def test_wrong_scores_are_refused():
    game = TextGame("a b", lambda texts: np.zeros(len(texts)), ["x"])
    with pytest.raises(GameError, match=r"2 texts must score \(2, 1\)"):
        explain_game(game, "occlusion")
