"""What an explanation is, and the shapes of what it explains (`core.games`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalharness.core.games import Attentions, Game, GameError, PathGradients, RememberedGame, Token, WhiteBox
from evalharness.core.types import Json
from evalharness.stats.arrays import Floats, np

__all__ = [
    "Attentions",
    "Explanation",
    "Game",
    "GameError",
    "PathGradients",
    "RememberedGame",
    "Token",
    "WhiteBox",
    "explanation_from_json",
]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """How much each player of one text adds to each output.

    `values` is (n_players, n_outputs); `base_values` and `full_values` (n_outputs,) are the outputs with every player
    masked and with none. `n_evaluations` counts the distinct coalitions that the model was asked for; `seconds` is the
    time of the whole, `model_seconds` the part that the model took. `meta` says what the method adds: standard errors,
    completeness, how many nodes of the tree were split.
    """

    tokens: tuple[Token, ...]
    outputs: tuple[str, ...]
    values: Floats
    base_values: Floats
    full_values: Floats
    method: str
    n_evaluations: int
    seconds: float
    model_seconds: float
    meta: Mapping[str, Json] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        """All of it, as plain JSON; `explanation_from_json` reads it back bit for bit."""
        return {
            "tokens": [[token.text, token.start, token.end] for token in self.tokens],
            "outputs": list(self.outputs),
            "values": self.values.tolist(),
            "base_values": self.base_values.tolist(),
            "full_values": self.full_values.tolist(),
            "method": self.method,
            "n_evaluations": self.n_evaluations,
            "seconds": self.seconds,
            "model_seconds": self.model_seconds,
            "meta": dict(self.meta),
        }


def explanation_from_json(given: Mapping[str, Any]) -> Explanation:
    """The explanation that `Explanation.as_json` wrote.

    Raises:
        ValueError: a key is missing, or the shapes do not agree.
    """
    try:
        tokens = tuple(Token(str(text), int(start), int(end)) for text, start, end in given["tokens"])
        outputs = tuple(str(name) for name in given["outputs"])
        # With no players there is no row from which the number of columns could be seen.
        values = _array(given["values"]).reshape(len(tokens), len(outputs))
        found = Explanation(
            tokens=tokens,
            outputs=outputs,
            values=values,
            base_values=_array(given["base_values"]).reshape(len(outputs)),
            full_values=_array(given["full_values"]).reshape(len(outputs)),
            method=str(given["method"]),
            n_evaluations=int(given["n_evaluations"]),
            seconds=float(given["seconds"]),
            model_seconds=float(given["model_seconds"]),
            meta=dict(given["meta"]),
        )
    except KeyError as error:
        raise ValueError(f"an explanation needs the key {error}") from error
    except TypeError as error:
        raise ValueError(f"this is no explanation: {error}") from error
    return found


def _array(given: Sequence[Any]) -> Floats:
    return np.asarray(given, dtype=np.float64)
