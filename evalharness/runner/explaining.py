"""The explanation of one sample, as it stands in a record: values, what they explain, and how faithful they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evalharness.core.registry import suggestion

if TYPE_CHECKING:
    from evalharness.core.games import Game
    from evalharness.explain.game import Explanation

__all__ = ["explain_sample"]

_N_RANDOM = 3  # attributions that say nothing, of each text


def explain_sample(game: Game, options: Mapping[str, Any], *, text: str) -> dict[str, Any]:
    """The explanation of `game` as plain JSON: `Explanation.as_json` of the outputs that are asked for, and more.

    Besides there are `text` (what the places of the tokens count in), `predicted` (the output with the highest value),
    `explained` (the output whose quality is measured) and `quality` (None where it is not asked for).

    Raises:
        GameError: the text cannot be explained.
        UsageError: the method takes no such option.
    """
    from evalharness.core.games import GameError
    from evalharness.explain.methods import explain_game, option_names

    method = str(options["method"])
    if not game.tokens:
        raise GameError("the text has no words to explain")
    known = option_names(method)
    given: dict[str, Any] = {name: options[name] for name in ("max_evals", "seed") if name in known}
    found = explain_game(game, method, **given)
    predicted = found.outputs[int(found.full_values.argmax())]
    explained = predicted
    wanted = options["target"] if options["output"] == "target" else options["output"]
    if options["output"] not in ("predicted", "all"):
        explained = str(wanted).strip()
        if explained not in found.outputs:
            near = suggestion(explained, found.outputs) or f"; it has: {', '.join(found.outputs[:10])}"
            raise GameError(f"the model has no output {explained!r}{near}")
    quality = _quality(game, found, found.outputs.index(explained), options, given) if options.get("quality") else None
    body: dict[str, Any] = found.as_json()
    if options["output"] != "all":
        column = found.outputs.index(explained)
        body["outputs"] = [explained]
        for name in ("base_values", "full_values"):
            body[name] = [body[name][column]]
        body["values"] = [[row[column]] for row in body["values"]]
    return {**body, "text": text, "predicted": predicted, "explained": explained, "quality": quality}


def _quality(
    game: Game, found: Explanation, output: int, options: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    from evalharness.explain.methods import explain_game, option_names
    from evalharness.explain.quality import faithfulness, rank_agreement

    seed = int(options["seed"])
    scores: Mapping[str, Any] = faithfulness(game, found.values, output=output, n_random=_N_RANDOM, seed=seed).as_json()
    quality: dict[str, Any] = {}
    for name in ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc"):
        quality[name], quality[f"{name}_random"] = scores[name]["value"], scores[name]["random_mean"]
    stability = 1.0
    if "seed" in option_names(found.method):
        again = explain_game(game, found.method, **{**given, "seed": seed + 1})
        stability = rank_agreement(found.values[:, [output]], again.values[:, [output]])
    quality["seed_stability"] = None if math.isnan(stability) else stability
    return quality
