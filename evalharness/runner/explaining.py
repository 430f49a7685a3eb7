"""The explanation of one sample, as it stands in a record: values, what they explain, and how faithful they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from evalharness.core.registry import suggestion

if TYPE_CHECKING:
    from evalharness.core.games import Game
    from evalharness.explain.game import Explanation

__all__ = ["explain_sample"]

_N_RANDOM = 3  # attributions that say nothing, of each text
_N_SHUFFLED = 100  # and such as are only held against the explanation itself, which asks no model
_CURVES = ("", "_random")


def explain_sample(
    game: Game,
    options: Mapping[str, Any],
    *,
    text: str,
    randomised: Callable[[], AbstractContextManager[Game]] | None = None,
) -> dict[str, Any]:
    """The explanation of `game` as plain JSON: `Explanation.as_json` of the outputs that are asked for, and more.

    Besides there are `text` (what the places of the tokens count in), `predicted` (the output with the highest value),
    `explained` (the output whose quality is measured) and `quality` (None where it is not asked for). Within
    `randomised()` the model's upper layers know nothing, and it gives the game of the same text.

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
    given |= options.get("options") or {}
    found = explain_game(game, method, **given)
    predicted = found.outputs[int(found.full_values.argmax())]
    explained = predicted
    wanted = options["target"] if options["output"] == "target" else options["output"]
    if options["output"] not in ("predicted", "all"):
        explained = str(wanted).strip()
        if explained not in found.outputs:
            near = suggestion(explained, found.outputs) or f"; it has: {', '.join(found.outputs[:10])}"
            raise GameError(f"the model has no output {explained!r}{near}")
    quality: dict[str, Any] | None = None
    if options.get("quality"):
        column = found.outputs.index(explained)
        quality = _quality(game, found, column, options, given)
        if options.get("randomisation"):
            if randomised is None:
                raise GameError("the weights of this model cannot be drawn anew: leave out quality.randomisation")
            with randomised() as other:
                quality |= _randomisation(other, found, column, given, seed=int(options["seed"]))
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
    from evalharness.explain.quality import faithfulness, random_agreement, rank_agreement

    seed = int(options["seed"])
    scores: Mapping[str, Any] = faithfulness(game, found.values, output=output, n_random=_N_RANDOM, seed=seed).as_json()
    quality: dict[str, Any] = {}
    for name in ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc"):
        quality[name], quality[f"{name}_random"] = scores[name]["value"], scores[name]["random_mean"]
    # What a report draws: the output with the first 0, 1, … n players masked, or alone kept, by value and at random.
    quality |= {f"{way}{of}_curve": scores[f"{way}{of}_curve"] for way in ("deletion", "insertion") for of in _CURVES}
    own, stability = found.values[:, [output]], 1.0
    if "seed" in option_names(found.method):
        again = explain_game(game, found.method, **{**given, "seed": seed + 1})
        stability = rank_agreement(own, again.values[:, [output]])
    chance = float(random_agreement(own, n_random=_N_SHUFFLED, seed=seed).mean())
    quality["seed_stability"] = None if math.isnan(stability) else stability
    quality["seed_stability_random"] = None if math.isnan(chance) else chance
    return quality


def _randomisation(
    game: Game, found: Explanation, output: int, given: Mapping[str, Any], *, seed: int
) -> dict[str, Any]:
    """How alike the explanation and that of a model that knows nothing are, and what shuffled values would be."""
    from evalharness.explain.methods import explain_game
    from evalharness.explain.quality import random_agreement, rank_agreement

    own, other = found.values[:, [output]], explain_game(game, found.method, **given).values[:, [output]]
    likeness = rank_agreement(own, other)
    signed, absolute = "randomisation_similarity", "randomisation_similarity_absolute"
    if math.isnan(likeness):
        return dict.fromkeys((f"{name}{end}" for name in (signed, absolute) for end in ("", "_random")), None)
    chance = random_agreement(own, n_random=_N_SHUFFLED, seed=seed)
    return {
        signed: likeness,
        f"{signed}_random": float(chance.mean()),
        absolute: abs(likeness),
        f"{absolute}_random": float(abs(chance).mean()),
    }
