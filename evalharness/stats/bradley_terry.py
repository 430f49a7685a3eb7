"""Bradley-Terry strengths from who won against whom, with their covariance.

    P(i beats j) = 1 / (1 + exp(θ_j − θ_i)),  Σ θ_i = 0

A tie is half a win for each. The strengths exist only where every item can be reached from every other one along
wins; `separate_groups` says where that fails: an item that won (or lost) everything has no finite strength, and items
that were never compared, not even through others, have no common scale.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .arrays import ArrayLike, Floats, np
from .tails import normal_quantile

__all__ = ["ELO", "BradleyTerry", "bradley_terry", "separate_groups"]

ELO = 400 / math.log(10)
"""Points of the Elo scale for one unit of log-strength: 400 points are odds of ten to one."""

_MOST_STEPS = 200
_MOST_HALVINGS = 60
_PRECISION = 1e-12


class BradleyTerry(NamedTuple):
    """Fitted strengths, in the order of the items.

    `log_strengths` (k,) have mean 0. `covariance` (k, k) is the inverse of the information, along their sum 0: of
    comparisons that are independent of one another.
    """

    log_strengths: Floats
    covariance: Floats

    @property
    def strengths(self) -> Floats:
        """(k,) exp θ, of geometric mean 1."""
        return np.exp(self.log_strengths)

    @property
    def elo(self) -> Floats:
        """(k,) 400·log10 of the strengths: points above or below the mean item."""
        return self.log_strengths * ELO

    @property
    def standard_errors(self) -> Floats:
        """(k,) of the log-strengths, each against the mean of all."""
        return _errors(self.covariance)

    def robust_errors(self, units: ArrayLike) -> Floats:
        """(k,) of the log-strengths, where comparisons hang together: from `robust_covariance`."""
        return _errors(self.robust_covariance(units))

    def probabilities(self) -> Floats:
        """(k, k) P(row beats column); 1/2 on the diagonal."""
        return _wins_expected(self.log_strengths)

    def interval(self, *, confidence: float = 0.95, covariance: Floats | None = None) -> tuple[Floats, Floats]:
        """The bounds (k,) θ ± z · SE of the log-strengths, with another covariance where one is given.

        Raises:
            ValueError: for a confidence outside (0, 1).
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, exclusive; got {confidence!r}")
        errors = _errors(self.covariance if covariance is None else covariance)
        half = normal_quantile((1 + confidence) / 2) * errors
        return self.log_strengths - half, self.log_strengths + half

    def robust_covariance(self, units: ArrayLike) -> Floats:
        """(k, k) covariance for comparisons that hang together: `units` (C, k, k) are the wins of each unit.

            V = C/(C − 1) · I⁺ (Σ_c u_c u_cᵀ) I⁺,  u_c,i = Σ_j (w_c,ij − n_c,ij P(i beats j))

        with I⁺ the covariance of independent comparisons (the sandwich estimator, clustered by unit). Source: Liang and
        Zeger 1986. Fewer than two units give NaN.

        Raises:
            ValueError: for units of another shape.
        """
        wins = np.asarray(units, dtype=np.float64)
        k = self.log_strengths.size
        if wins.ndim != 3 or wins.shape[1:] != (k, k):
            raise ValueError(f"units must be (C, {k}, {k}); got shape {wins.shape}")
        if len(wins) < 2:
            return np.full((k, k), np.nan)
        games = wins + wins.transpose(0, 2, 1)
        scores = wins.sum(axis=2) - (games * self.probabilities()).sum(axis=2)
        spread = scores.T @ scores * (len(wins) / (len(wins) - 1))
        covariance: Floats = self.covariance @ spread @ self.covariance
        return covariance


def _errors(covariance: Floats) -> Floats:
    # Where verdicts of a unit cancel out, what is left by rounding may lie below 0.
    return np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _wins_expected(theta: Floats) -> Floats:
    # The logistic function, by the one form of it that cannot overflow.
    result: Floats = 0.5 + 0.5 * np.tanh((theta[:, None] - theta) / 2)
    return result


def separate_groups(wins: ArrayLike) -> list[list[int]]:
    """The items in groups that wins do not lead back and forth between; one group means that strengths exist.

    Groups are the strongly connected components of the graph of wins (Ford 1957), in the order of their first items.

    Raises:
        ValueError: for counts that are not a square of finite numbers of 0 and more.
    """
    counts = _counts(wins)
    reached = (counts > 0) | np.eye(len(counts), dtype=bool)
    # Squared, it holds ways of twice the length.
    for _ in range(len(counts).bit_length()):
        reached = reached @ reached
    both = reached & reached.T
    return [np.flatnonzero(row).tolist() for i, row in enumerate(both) if row.argmax() == i]


def bradley_terry(wins: ArrayLike, *, ties: ArrayLike | None = None, prior: float = 0.0) -> BradleyTerry:
    """Maximum-likelihood strengths from `wins` (k, k), how often the row's item beat the column's.

    `ties` (k, k), symmetric, adds half a win to each side. `prior` adds that many wins to either side of every pair
    that was compared at all: strengths are then finite, and pulled towards one another, as soon as the comparisons
    hang together. Source: Bradley and Terry 1952; Hunter 2004 (whose MM steps reach the same maximum; here Newton's
    do, each halved until it does not fall back). The likelihood is concave, so the maximum is the only one.

    Raises:
        ValueError: for counts that are not a square of finite numbers of 0 and more; for fewer than two items; where
            the strengths do not exist: the message names the items by their place.
    """
    counts = _counts(wins)
    if ties is not None:
        counts = counts + _tied(ties, len(counts)) / 2
    if not (math.isfinite(prior) and prior >= 0):
        raise ValueError(f"prior must be a finite number of 0 or more; got {prior!r}")
    np.fill_diagonal(counts, 0.0)
    counts = np.where(counts + counts.T > 0, counts + prior, 0.0)
    groups = separate_groups(counts)
    if len(groups) > 1:
        apart = " and ".join(str(group) for group in groups[:4])
        raise ValueError(
            f"strengths do not exist: wins do not lead back and forth between the items {apart}"
            f"{' and others' if len(groups) > 4 else ''}: compare them with one another"
            + ("" if prior else ", or give a prior above 0 if each was compared with another")
        )
    return _fit(counts)


def _counts(wins: ArrayLike) -> Floats:
    counts = np.array(wins, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError(f"wins must be (k, k) of two items or more; got shape {counts.shape}")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("wins must be finite numbers of 0 and more")
    return counts


def _tied(ties: ArrayLike, k: int) -> Floats:
    counts = np.asarray(ties, dtype=np.float64)
    if counts.shape != (k, k) or not np.isfinite(counts).all() or (counts < 0).any() or (counts != counts.T).any():
        raise ValueError(f"ties must be a symmetric ({k}, {k}) of finite numbers of 0 and more")
    return counts


def _likelihood(counts: Floats, theta: Floats) -> float:
    return -float((counts * np.logaddexp(0.0, theta - theta[:, None])).sum())


def _information(games: Floats, expected: Floats) -> Floats:
    """The Laplacian of the comparisons; a number added to each cell makes it regular, the inverse on Σ = 0 stays."""
    weights = games * expected * (1 - expected)
    laplacian: Floats = np.diag(weights.sum(axis=1)) - weights
    return laplacian


def _fit(counts: Floats) -> BradleyTerry:
    k = len(counts)
    games, won = counts + counts.T, counts.sum(axis=1)
    scale = games.sum() / k  # so that the added cells are of the size of the others
    theta = np.zeros(k)
    likelihood = _likelihood(counts, theta)
    for _ in range(_MOST_STEPS):
        expected = _wins_expected(theta)
        slope = won - (games * expected).sum(axis=1)
        step = np.linalg.solve(_information(games, expected) + scale / k, slope)
        step -= step.mean()
        for _ in range(_MOST_HALVINGS):
            reached = _likelihood(counts, theta + step)
            if reached >= likelihood - _PRECISION * abs(likelihood):
                break
            step = step / 2
        theta, likelihood = theta + step, reached
        if np.abs(step).max() < _PRECISION * max(1.0, float(np.abs(theta).max())):
            break
    information = _information(games, _wins_expected(theta))
    covariance = np.linalg.inv(information + scale / k) - 1 / (scale * k)
    return BradleyTerry(theta - theta.mean(), (covariance + covariance.T) / 2)
