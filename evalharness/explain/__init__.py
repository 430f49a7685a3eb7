"""Explanations of single responses, and measures of how faithful they are."""

from __future__ import annotations

from .game import Explanation, Game, GameError, Token, WhiteBox, explanation_from_json
from .methods import METHODS, explain_game, make_method, option_names

__all__ = [
    "METHODS",
    "Explanation",
    "Game",
    "GameError",
    "Token",
    "WhiteBox",
    "explain_game",
    "explanation_from_json",
    "make_method",
    "option_names",
]
