"""The methods by name, and the one way to run them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion

from .base import Method
from .game import Explanation, Game

__all__ = ["METHODS", "explain_game", "make_method", "option_names", "run_method"]

METHODS: dict[str, str] = {
    "attention": "evalharness.explain.attention:Attention",
    "exact": "evalharness.explain.exact:Exact",
    "integrated_gradients": "evalharness.explain.gradients:IntegratedGradients",
    "lime": "evalharness.explain.lime:Lime",
    "occlusion": "evalharness.explain.occlusion:Occlusion",
    "permutation": "evalharness.explain.permutation:Permutation",
    "shap": "evalharness.explain.partition:Shap",
}


def explain_game(game: Game, method: str, **options: Any) -> Explanation:
    """The explanation of `game` by the method of that name.

    Raises:
        UsageError: there is no such method or option, or an option has a wrong value.
        GameError: this text cannot be explained, or not by this method.
    """
    return run_method(game, make_method(method, options))


def run_method(game: Game, method: Method) -> Explanation:
    """The explanation of `game` by `method`, with what it took."""
    n_rows, model_seconds = game.n_rows, game.model_seconds
    started = time.perf_counter()
    found = method.attribute(game)
    return Explanation(
        tokens=game.tokens,
        outputs=game.outputs,
        values=found.values,
        base_values=found.base,
        full_values=found.full,
        method=method.name,
        n_evaluations=game.n_rows - n_rows,
        seconds=time.perf_counter() - started,
        model_seconds=game.model_seconds - model_seconds,
        meta={**game.meta, **found.meta},
    )


def make_method(name: str, options: Mapping[str, Any]) -> Method:
    """The method `name` with `options`.

    Raises:
        UsageError: as `explain_game`.
    """
    kind = _kind(name)
    known = [field.name for field in fields(kind)]
    for option in options:
        if option not in known:
            offered = f"; it takes {', '.join(known)}" if known else "; it takes none"
            raise UsageError(f"explain: {name} has no option {option!r}{suggestion(option, known) or offered}")
    made: Method = kind(**options)
    return made


def option_names(name: str) -> tuple[str, ...]:
    """The options that the method `name` takes."""
    return tuple(field.name for field in fields(_kind(name)))


def _kind(name: str) -> Any:
    target = METHODS.get(name)
    if target is None:
        hint = suggestion(name, METHODS) or f"; there are {', '.join(sorted(METHODS))}"
        raise UsageError(f"explain: unknown method {name!r}{hint}")
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
