from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.games import GameError
from evalharness.explain import METHODS, explain_game, explanation_from_json, make_method, option_names


def test_a_coalition_is_asked_for_once(game_of):
    game = game_of(3, lambda kept: kept.sum(axis=1, keepdims=True).astype(float))
    kept = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]], dtype=bool)
    assert game.value(kept).tolist() == [[1.0], [2.0], [1.0]]
    assert game.value(~kept[:2]).tolist() == [[2.0], [1.0]]
    assert game.value(kept[::-1]).tolist() == [[1.0], [2.0], [1.0]]
    assert game.asked == [2, 2]
    assert (game.n_rows, game.n_calls) == (4, 2)
    game.forget()
    assert game.value(kept[:1]).tolist() == [[1.0]]
    assert (game.n_rows, game.asked) == (1, [2, 2, 1])


def test_more_players_than_bits_of_a_byte_are_told_apart(game_of):
    game = game_of(20, lambda kept: (kept @ np.arange(1.0, 21.0))[:, None])
    kept = np.random.default_rng(0).random((300, 20)) < 0.5
    assert game.value(kept)[:, 0] == pytest.approx(kept @ np.arange(1.0, 21.0), abs=0)


def test_what_failed_is_asked_for_again(game_of):
    state = {"broken": True}

    def function(kept):
        return np.full((len(kept), 1), np.nan if state["broken"] else 3.0)

    game = game_of(2, function)
    with pytest.raises(GameError, match="NaN or infinity"):
        game.value(np.ones((1, 2), dtype=bool))
    state["broken"] = False
    assert game.value(np.ones((1, 2), dtype=bool)).tolist() == [[3.0]]
    with pytest.raises(ValueError, match=r"\(m, 2\)"):
        game.value(np.ones((1, 3), dtype=bool))


def test_an_explanation_is_read_back_from_json(table_game):
    found = explain_game(table_game(4), "permutation", seed=3)
    again = explanation_from_json(json.loads(json.dumps(found.as_json())))
    assert (again.values == found.values).all()
    assert (again.base_values == found.base_values).all()
    assert (again.full_values == found.full_values).all()
    assert again.tokens == found.tokens
    assert again.as_json() == found.as_json()
    assert found.method == "permutation"
    assert found.n_evaluations == 16
    assert 0 <= found.model_seconds <= found.seconds
    none = explain_game(table_game(0), "shap")
    assert explanation_from_json(none.as_json()).values.shape == (0, 2)
    with pytest.raises(ValueError, match="needs the key 'tokens'"):
        explanation_from_json({})
    with pytest.raises(ValueError, match="no explanation"):
        explanation_from_json({**found.as_json(), "tokens": 3})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shapp", {}, "unknown method 'shapp'; did you mean 'shap'"),
        ("shap", {"max_eval": 5}, "shap has no option 'max_eval'; did you mean 'max_evals'"),
        ("occlusion", {"seed": 5}, "occlusion has no option 'seed'; it takes none"),
        ("shap", {"max_evals": 3}, "max_evals must be a whole number of at least 4; got 3"),
        ("shap", {"max_evals": "many"}, "max_evals must be a whole number of at least 4; got 'many'"),
        ("shap", {"max_evals": 10.5}, "got 10.5"),
        ("shap", {"tolerance": True}, "tolerance must be a number of at least 0; got True"),
        ("lime", {"kernel_width": float("nan")}, "got nan"),
        ("shap", {"engine": "lime"}, "engine must be own or shap; got 'lime'"),
        ("shap", {"engine": "shap", "tolerance": 0.1}, "has no tolerance"),
        ("shap", {"exact_up_to": 30}, "at most 16"),
        ("exact", {"max_players": 40}, "at most 20"),
        ("permutation", {"seed": -1}, "seed must be a whole number of at least 0"),
        ("permutation", {"engine": "x"}, "engine must be own or shap"),
        ("lime", {"ridge": -1}, "ridge must be a number of at least 0; got -1"),
        ("integrated_gradients", {"steps": 0}, "steps must be a whole number of at least 1; got 0"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_method(name, options)


def test_every_method_says_what_it_is():
    for name in METHODS:
        method = make_method(name, {})
        assert method.name == name
        assert method.description
        assert isinstance(option_names(name), tuple)


@pytest.mark.parametrize("name", ["attention", "integrated_gradients"])
def test_a_game_without_an_inside_cannot_be_looked_into(name, table_game):
    with pytest.raises(GameError, match="only be asked"):
        explain_game(table_game(3), name)


@pytest.mark.parametrize("name", ["exact", "shap", "permutation", "occlusion", "lime"])
@pytest.mark.parametrize("n", [0, 1])
def test_texts_of_no_and_of_one_word(name, n, table_game):
    found = explain_game(table_game(n), name)
    assert found.values.shape == (n, 2)
    if n and name != "lime":
        assert found.values[0] == pytest.approx(found.full_values - found.base_values, abs=1e-12)


def test_the_options_of_all_methods_are_documented():
    page = (Path(__file__).parents[2] / "docs" / "explain-methods.md").read_text(encoding="utf-8")
    table = page.partition("## Options")[2].partition("`engine: shap` lets")[0]
    rows = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    for method in METHODS:
        own = [name for name in option_names(method) if name not in ("max_evals", "seed")]
        assert (method in rows) == bool(own)
        assert all(f"`{name}`" in rows[method] for name in own)
