"""How faithful attributions are to the game that they explain, beside attributions that say nothing.

Players are masked in the order of their values, the highest first, those that are equal in the order of the text. A
faithful order takes the value down early (comprehensiveness, deletion), and its first players alone bring it back
(sufficiency, insertion). Random orders say what comes for free.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from evalharness.core.types import Json
from evalharness.stats.arrays import Bools, Floats, Ints, np
from evalharness.stats.correlation import spearman

from .game import Game

__all__ = [
    "AOPC_SHARES",
    "MOST_STEPS",
    "Faithfulness",
    "Score",
    "compare_orders",
    "faithfulness",
    "random_agreement",
    "rank_agreement",
]

AOPC_SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
"""The shares of the players at which comprehensiveness and sufficiency are taken (ERASER)."""
MOST_STEPS = 100
"""So many steps a curve has at most: each word of a text of thousands would cost more than its explanation."""


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of an attribution: `value`, and the mean and the values of random attributions of the same text."""

    value: float
    random_mean: float
    random_values: tuple[float, ...]

    @property
    def gain(self) -> float:
        """The value less that of random attributions; NaN without any."""
        return self.value - self.random_mean

    def as_json(self) -> dict[str, Json]:
        """Plain JSON; NaN is null."""
        return {"value": _number(self.value), "random_mean": _number(self.random_mean), "n_random": self.n_random}

    @property
    def n_random(self) -> int:
        """How many random attributions were drawn."""
        return len(self.random_values)


@dataclass(frozen=True, slots=True, eq=False)
class Faithfulness:
    """Four figures of one attribution for one output, in the units of the game.

    Higher is better for `comprehensiveness` and `insertion_auc`, lower for `sufficiency` and `deletion_auc`. The
    curves (n + 1,) are the values with the first 0, 1, … n players masked, or alone kept; those of more than
    `MOST_STEPS` players are taken at so many even steps (`MOST_STEPS` + 1,). The random curves are the means of those
    of the random orders, NaN without any.
    """

    output: str
    comprehensiveness: Score
    sufficiency: Score
    deletion_auc: Score
    insertion_auc: Score
    deletion_curve: Floats
    insertion_curve: Floats
    deletion_random_curve: Floats
    insertion_random_curve: Floats

    def as_json(self) -> dict[str, Json]:
        """Plain JSON, as it stands in a record."""
        return {
            "output": self.output,
            "comprehensiveness": self.comprehensiveness.as_json(),
            "sufficiency": self.sufficiency.as_json(),
            "deletion_auc": self.deletion_auc.as_json(),
            "insertion_auc": self.insertion_auc.as_json(),
            "deletion_curve": self.deletion_curve.tolist(),
            "insertion_curve": self.insertion_curve.tolist(),
            "deletion_random_curve": _numbers(self.deletion_random_curve),
            "insertion_random_curve": _numbers(self.insertion_random_curve),
        }


def faithfulness(
    game: Game, values: Floats, *, output: int | None = None, n_random: int = 10, seed: int = 0
) -> Faithfulness:
    """The four figures of the attribution `values` (n_players, n_outputs) for one output.

    With n players in the order π of their values, v the output's value, S_k the first k players:

        comprehensiveness = mean over q of v(all) − v(all without S_⌈qn⌉),  q in `AOPC_SHARES`
        sufficiency       = mean over q of v(all) − v(S_⌈qn⌉)
        deletion AUC      = ∫₀¹ v(all without S_an) da,  insertion AUC = ∫₀¹ v(S_an) da  (trapezoids between the
                            players, of more than 100 between 101 even places)

    `output` is a column; None takes that of the largest v(all). Beside each stand `n_random` orders drawn with `seed`.
    All are NaN for no players. Sources: DeYoung et al. 2020 (ERASER; the mean over the five shares, as in its code);
    Petsiuk, Das & Saenko 2018.
    """
    n = len(game.tokens)
    if values.shape != (n, len(game.outputs)):
        raise ValueError(f"values must be ({n}, {len(game.outputs)}); got {values.shape}")
    whole = game.value(np.ones((1, n), dtype=np.bool_))[0]
    at = int(np.argmax(whole)) if output is None else output
    rng = np.random.default_rng(seed)
    # Stable: players of equal values stay in the order of the text.
    orders = [np.argsort(-values[:, at], kind="stable"), *(rng.permutation(n) for _ in range(n_random))]
    found = compare_orders(game, orders, output=at)
    scores = (Score(float(each[0]), _mean(each[1:]), tuple(each[1:].tolist())) for each in found.figures)
    comprehensiveness, sufficiency, deletion_auc, insertion_auc = scores
    return Faithfulness(
        output=game.outputs[at],
        comprehensiveness=comprehensiveness,
        sufficiency=sufficiency,
        deletion_auc=deletion_auc,
        insertion_auc=insertion_auc,
        deletion_curve=found.deletion[0],
        insertion_curve=found.insertion[0],
        deletion_random_curve=_mean_curve(found.deletion[1:]),
        insertion_random_curve=_mean_curve(found.insertion[1:]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Of r orders: `figures` (4, r) as in `Faithfulness`, the curves (r, min(n, MOST_STEPS) + 1)."""

    figures: Floats
    deletion: Floats
    insertion: Floats


def compare_orders(game: Game, orders: list[Ints], *, output: int) -> _Curves:
    """The figures of each of `orders`, permutations of the players, all asked for together."""
    n = len(game.tokens)
    if not n:
        empty: Floats = np.full((4, len(orders)), np.nan)
        return _Curves(empty, np.full((len(orders), 1), np.nan), np.full((len(orders), 1), np.nan))
    steps: Ints = np.round(np.linspace(0, n, min(n, MOST_STEPS) + 1)).astype(np.int64)
    sizes: Ints = np.array([ceil(share * n) for share in AOPC_SHARES])
    counts = np.unique(np.concatenate([steps, sizes]))
    first: Bools = np.stack([_first_players(order, counts) for order in orders])
    asked = np.concatenate([~first, first]).reshape(-1, n)
    found = game.value(asked)[:, output].reshape(2, len(orders), len(counts))
    at_sizes, at_steps = np.searchsorted(counts, sizes), np.searchsorted(counts, steps)
    whole = found[1][:, -1:]
    deletion, insertion = found[0][:, at_steps], found[1][:, at_steps]
    figures = np.stack(
        [
            (whole - found[0][:, at_sizes]).mean(axis=1),
            (whole - found[1][:, at_sizes]).mean(axis=1),
            _area(deletion, steps),
            _area(insertion, steps),
        ]
    )
    return _Curves(figures, deletion, insertion)


def _first_players(order: Ints, counts: Ints) -> Bools:
    """(m, n): row i has the first `counts[i]` players of `order`."""
    n = len(order)
    place: Ints = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    found: Bools = place[None, :] < counts[:, None]
    return found


def _area(curves: Floats, steps: Ints) -> Floats:
    """(r,) the area under `curves` (r, m) at `steps` (m,) players, over their share from 0 to 1."""
    widths = np.diff(steps) / steps[-1]
    found: Floats = ((curves[:, 1:] + curves[:, :-1]) / 2) @ widths
    return found


def rank_agreement(first: Floats, second: Floats) -> float:
    """Spearman's correlation of two attributions (n_players, n_outputs), the mean over the outputs where it is defined.

    Stability is that of two seeds of one method. Of the explanations of a model and of the same model with its upper
    layers drawn anew, it should be near that of random attributions: an explanation that does not change with the model
    explains the text alone (Adebayo et al. 2018). Beside both stands that of random attributions, `random_agreement`.
    NaN where no output's values vary.
    """
    if first.shape != second.shape:
        raise ValueError(f"two attributions of the same players are needed; got shapes {first.shape}, {second.shape}")
    found = np.array([float(spearman(first[:, k], second[:, k])) for k in range(first.shape[1])])
    return float(found[~np.isnan(found)].mean()) if (~np.isnan(found)).any() else float("nan")


def random_agreement(values: Floats, *, n_random: int = 100, seed: int = 0) -> Floats:
    """(n_random,) the rank agreement of `values` with themselves shuffled: what comes for free."""
    rng = np.random.default_rng(seed)
    found: Floats = np.array([rank_agreement(values, rng.permutation(values)) for _ in range(n_random)])
    return found


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _mean_curve(curves: Floats) -> Floats:
    """(m,) the mean of `curves` (r, m); NaN for none."""
    return curves.mean(axis=0) if len(curves) else np.full(curves.shape[1], np.nan)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _numbers(values: Floats) -> list[Json]:
    return [_number(value) for value in values.tolist()]
