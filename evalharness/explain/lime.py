"""LIME for texts: a weighted linear model of the values of random coalitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evalharness.stats.arrays import Bools, Floats, np

from .base import Attribution, check_at_least, ends
from .game import Game, GameError

__all__ = ["Lime", "weighted_ridge"]


@dataclass(frozen=True, slots=True)
class Lime:
    """The slopes of a ridge regression of the value on the words that are kept, near the text.

    Each coalition masks a number of words drawn evenly from 1 to n. Its weight is exp(−d² / (2·width²)) with d = 100
    times its cosine distance from the whole text, the penalty `ridge` is on the squared slopes and not on the
    intercept. Source: Ribeiro, Singh & Guestrin 2016, with the numbers of their `lime_text` (kernel width 25, ridge 1).
    The values do not sum to the whole; `meta` has the weighted R² of the fit.
    """

    name: ClassVar[str] = "lime"
    description: ClassVar[str] = "slopes of a weighted linear model of random maskings"

    max_evals: int = 500
    kernel_width: float = 25.0
    ridge: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self.name, 4, max_evals=self.max_evals)
        check_at_least(self.name, 1e-6, kernel_width=self.kernel_width)
        check_at_least(self.name, 0.0, ridge=self.ridge)
        check_at_least(self.name, 0, seed=self.seed)

    def attribute(self, game: Game) -> Attribution:
        n = len(game.tokens)
        base, full = ends(game)
        if not n:
            return Attribution(np.zeros((0, len(base))), base, full, {"r_squared": None})
        if self.max_evals <= n and not self.ridge:
            raise GameError(f"{self.max_evals} evaluations do not fix {n} slopes without a ridge; raise max_evals")
        kept = _drawn(n, self.max_evals - 1, np.random.default_rng(self.seed))
        values = game.value(kept)
        slopes, intercept = weighted_ridge(kept, values, _weights(kept, self.kernel_width), ridge=self.ridge)
        r_squared = _r_squared(kept, values, _weights(kept, self.kernel_width), slopes, intercept)
        return Attribution(slopes, base, full, {"r_squared": r_squared, "intercept": intercept.tolist()})


def _drawn(n: int, n_samples: int, rng: np.random.Generator) -> Bools:
    """(n_samples, n): the whole text, and coalitions that mask 1 to n words."""
    kept: Bools = np.ones((n_samples, n), dtype=np.bool_)
    n_masked = rng.integers(1, n + 1, size=n_samples - 1)
    order = np.argsort(rng.random((n_samples - 1, n)), axis=1)
    kept[1:] = order >= n_masked[:, None]
    return kept


def _weights(kept: Bools, width: float) -> Floats:
    """(m,) closeness of each coalition to the whole text.

    The cosine of a row of k ones among n with the row of n ones is k / sqrt(k·n) = sqrt(k / n).
    """
    distance = 100.0 * (1.0 - np.sqrt(kept.mean(axis=1)))
    found: Floats = np.sqrt(np.exp(-(distance**2) / width**2))
    return found


def weighted_ridge(kept: Bools, values: Floats, weights: Floats, *, ridge: float) -> tuple[Floats, Floats]:
    """Slopes (n, k) and intercepts (k,) that minimise Σ w (y − a − x·b)² + ridge·|b|².

    `kept` is (m, n), `values` (m, k), `weights` (m,). Both sides are centred at their weighted means, which leaves the
    intercept out of the penalty; without a ridge, slopes that the rows do not fix are the smallest that fit.
    """
    share = weights / weights.sum()
    x: Floats = kept.astype(np.float64)
    x_mean, y_mean = share @ x, share @ values
    root = np.sqrt(weights)[:, None]
    x_off, y_off = root * (x - x_mean), root * (values - y_mean)
    # Least squares of the rows with the penalty as further rows: squares are never squared again.
    n = x.shape[1]
    rows: Floats = np.concatenate([x_off, np.sqrt(ridge) * np.eye(n)])
    wanted: Floats = np.concatenate([y_off, np.zeros((n, values.shape[1]))])
    slopes: Floats = np.asarray(np.linalg.lstsq(rows, wanted, rcond=None)[0], dtype=np.float64)
    return slopes, y_mean - x_mean @ slopes


def _r_squared(kept: Bools, values: Floats, weights: Floats, slopes: Floats, intercept: Floats) -> list[float | None]:
    """The share of the weighted variance of each output that the linear model explains; None where there is none."""
    share = weights / weights.sum()
    rest = share @ (values - intercept - kept.astype(np.float64) @ slopes) ** 2
    spread = share @ (values - share @ values) ** 2
    # What is left of a constant by rounding is no variance.
    least = 1e-24 * (share @ values**2)
    return [float(1 - r / s) if s > low else None for r, s, low in zip(rest, spread, least, strict=True)]
