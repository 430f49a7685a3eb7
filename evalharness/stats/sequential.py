"""Group-sequential boundaries: looking at data several times, with the error of a single look.

At look k, with the fraction t_k of the samples in, Z_k is a test statistic whose score S_k = Z_k·sqrt(t_k) has
independent normal increments: S_k − S_{k−1} ~ N(η(t_k − t_{k−1}), t_k − t_{k−1}), with the drift η = E Z at t = 1. H0
is η = 0. A run that crosses the upper boundary has shown its rule to hold; one below the lower has little hope left and
may be stopped. Lower boundaries are non-binding: the upper ones keep the error α whether or not one stops there.

Probabilities by the recursive numerical integration of Armitage, McPherson and Rowe (1969) with Gauss-Legendre panels.
Source: Lan and DeMets 1983; Jennison and Turnbull 2000, chapters 7 and 19; R gsDesign (`test.type = 1` and `4`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from .arrays import Floats, np
from .tails import normal_above, normal_probability, normal_quantile

__all__ = ["Crossings", "Spending", "boundaries", "crossings", "drift", "futility", "inflation", "spent"]

Spending = Literal["obrien-fleming", "pocock"]

_NODES = 12  # Gauss-Legendre nodes a panel; a panel is as wide as the finest normal kernel that meets it
_REACH = 8.5  # standard deviations beyond which nothing is left: P(|Z| > 8.5) < 2e-17
_CLOSEST = 1e-3  # looks closer than this would need grids of thousands of points
_CHUNK_CELLS = 4_000_000
_STEPS = 60


class Crossings(NamedTuple):
    """The probability of stopping at each look (K,): above the upper boundary, and below the lower one."""

    upper: Floats
    lower: Floats


def spent(kind: Spending, fractions: Sequence[float], alpha: float) -> Floats:
    """(K,) the error spent up to each look, of `alpha` in all.

        obrien-fleming   2 − 2Φ(z_{1−α/2}/sqrt(t))
        pocock           α·ln(1 + (e − 1)t)

    O'Brien-Fleming spends next to nothing early and leaves the last look almost as it would be alone; Pocock stops
    sooner. Source: Lan and DeMets 1983; gsDesign `sfLDOF`, `sfLDPocock`.

    Raises:
        ValueError: for fractions that do not ascend within (0, 1], or lie closer than 0.001; alpha outside (0, 1);
            a spending of another name.
    """
    t = _fractions(fractions)
    _check(kind, alpha)
    if kind == "pocock":
        return np.array([alpha * math.log1p((math.e - 1) * v) for v in t.tolist()])
    z = -normal_quantile(alpha / 2)
    return np.array([2 * normal_probability(-z / math.sqrt(v)) for v in t.tolist()])


def boundaries(kind: Spending, fractions: Sequence[float], alpha: float) -> Floats:
    """(K,) the upper boundary on Z at each look: under H0 it is crossed at any of them with probability α(t_K).

    One-sided: for both sides at level 2α take ± these. inf where the error that may be spent is too small to be told
    from none. Looks may be added later: the boundary of a look depends on the looks before it alone.

    Raises:
        ValueError: as `spent`.
    """
    t = _fractions(fractions)
    return np.array(_upper(tuple(t.tolist()), tuple(spent(kind, t.tolist(), alpha).tolist())))


def futility(kind: Spending, fractions: Sequence[float], alpha: float, power: float) -> Floats:
    """(K,) the lower boundary on Z at each look, non-binding; at the last look the upper one.

    It spends the error of the second kind β = 1 − power as `kind` says, under the drift at which the plan with these
    lower boundaries has the `power` (`drift(…, with_futility=True)`): stopping below gives up β of the releases that
    are as good as planned, at all looks together. Source: Pampallona, Tsiatis and Kim 2001; gsDesign `test.type = 4`.

    Raises:
        ValueError: as `spent`; unless the last fraction is 1; and for a power not between alpha and 1.
    """
    return np.array(_design(kind, tuple(_fractions(fractions).tolist()), alpha, power)[1])


def drift(
    kind: Spending, fractions: Sequence[float], alpha: float, power: float, *, with_futility: bool = False
) -> float:
    """η = E Z at the last look at which the plan has the `power`; for one look z_{1−α} + z_power.

    Raises:
        ValueError: as `futility`.
    """
    t = tuple(_fractions(fractions).tolist())
    if with_futility:
        return _design(kind, t, alpha, power)[0]
    _check_power(t, alpha, power)
    upper = boundaries(kind, t, alpha)
    return _solved(lambda eta: float(crossings(upper, t, drift=eta).upper.sum()) - power, alpha, power)


def inflation(
    kind: Spending, fractions: Sequence[float], alpha: float, power: float, *, with_futility: bool = False
) -> float:
    """How many times as many samples the plan may need at most as one look with the same error and power.

    Raises:
        ValueError: as `futility`.
    """
    eta = drift(kind, fractions, alpha, power, with_futility=with_futility)
    return (eta / (normal_quantile(power) - normal_quantile(alpha))) ** 2


def crossings(
    upper: Sequence[float] | Floats,
    fractions: Sequence[float],
    *,
    lower: Sequence[float] | Floats | None = None,
    drift: float = 0.0,
) -> Crossings:
    """How likely it is to stop at each look, and on which side; boundaries on Z, `lower` None for none.

    Raises:
        ValueError: as `spent` for fractions, and for boundaries of another length or crossing one another.
    """
    t = _fractions(fractions)
    high = np.asarray(upper, dtype=np.float64)
    low = np.full(t.shape, -math.inf) if lower is None else np.asarray(lower, dtype=np.float64)
    if high.shape != t.shape or low.shape != t.shape or not (low <= high).all():
        raise ValueError(
            f"an upper and a lower boundary a look are needed, the lower not above; got {high.tolist()} and "
            f"{low.tolist()} for {t.size} looks"
        )
    above, below = np.zeros(t.size), np.zeros(t.size)
    walk = _Walk(tuple(t.tolist()), drift)
    for k, root in enumerate(np.sqrt(t).tolist()):
        above[k] = walk.beyond(high[k] * root, 1)
        below[k] = walk.beyond(low[k] * root, -1)
        walk.go_on(low[k] * root, high[k] * root)
    return Crossings(above, below)


class _Walk:
    """The density of S among the runs that have not stopped, look by look, as weights on a grid of points."""

    def __init__(self, fractions: tuple[float, ...], drift: float) -> None:
        self.t = fractions
        self.drift = drift
        self.k = 0
        # Before the first look S is 0 for certain.
        self.points, self.weights = np.zeros(1), np.ones(1)

    @property
    def step(self) -> float:
        return self.t[self.k] - (self.t[self.k - 1] if self.k else 0.0)

    def beyond(self, bound: float, side: int) -> float:
        """P(not stopped before, and S > bound at this look), or < for side −1."""
        if math.isinf(bound):
            return 0.0 if bound * side > 0 else float(self.weights.sum())
        z = (bound - self.points - self.drift * self.step) / math.sqrt(self.step)
        return float(self.weights @ normal_above(side * z))

    def bound(self, probability: float, side: int) -> float:
        """The bound that is passed on this side with the `probability`; ±inf where there is none."""
        mean, spread = self.drift * self.t[self.k], math.sqrt(self.t[self.k])
        left = self.beyond(-side * math.inf, side)
        if probability <= 1e-300 or probability >= left:
            return side * math.inf if probability < left else -side * math.inf
        # Not stopping makes it less likely: the root lies within. Logarithms of such probabilities are concave
        # (densities cut off and smoothed by normal ones stay log-concave), so that Newton's steps end on its far side
        # and come nearer from there.
        found = mean - side * spread * normal_quantile(probability)
        root = math.sqrt(self.step)
        for _ in range(_STEPS):
            z = side * (found - self.points - self.drift * self.step) / root
            value = float(self.weights @ normal_above(z))
            slope = float(self.weights @ np.exp(-0.5 * z * z)) / (root * math.sqrt(2 * math.pi))
            if value <= 0 or slope <= 0:
                return side * math.inf
            move = (math.log(value) - math.log(probability)) * value / slope
            found += side * move
            if abs(move) < 1e-12:
                break
        return found

    def go_on(self, low: float, high: float) -> None:
        """Keep the runs with S within (low, high) at this look, and go to the next one."""
        if self.k + 1 == len(self.t):
            return
        mean, spread = self.drift * self.t[self.k], math.sqrt(self.t[self.k])
        low, high = max(low, mean - _REACH * spread), min(high, mean + _REACH * spread)
        following = self.t[self.k + 1] - self.t[self.k]
        if not low < high:
            points, weights = np.zeros(1), np.zeros(1)
        else:
            points, widths = _grid(low, high, min(math.sqrt(self.step), math.sqrt(following)))
            weights = widths * self._density(points)
        self.points, self.weights = points, weights
        self.k += 1

    def _density(self, points: Floats) -> Floats:
        root = math.sqrt(self.step)
        rows = max(1, _CHUNK_CELLS // self.points.size)
        parts = []
        for start in range(0, points.size, rows):
            z = (points[start : start + rows, None] - self.points - self.drift * self.step) / root
            parts.append(np.exp(-0.5 * z * z) @ self.weights)
        density: Floats = np.concatenate(parts) / (root * math.sqrt(2 * math.pi))
        return density


def _grid(low: float, high: float, scale: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre points and weights on panels no wider than `scale`."""
    nodes, weights = _legendre()
    panels = math.ceil((high - low) / scale)
    edges = np.linspace(low, high, panels + 1)
    half = (high - low) / panels / 2
    points: Floats = ((edges[:-1] + edges[1:]) / 2)[:, None] + half * nodes
    return points.ravel(), np.tile(half * weights, panels)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


@lru_cache(maxsize=128)
def _upper(fractions: tuple[float, ...], cumulative: tuple[float, ...]) -> tuple[float, ...]:
    """The upper boundaries on Z for the error spent up to each look."""
    walk, before = _Walk(fractions, 0.0), 0.0
    found: list[float] = []
    for t, total in zip(fractions, cumulative, strict=True):
        bound = walk.bound(total - before, 1)
        before = total
        walk.go_on(-math.inf, bound)
        found.append(bound / math.sqrt(t))
    return tuple(found)


@lru_cache(maxsize=128)
def _design(
    kind: Spending, fractions: tuple[float, ...], alpha: float, power: float
) -> tuple[float, tuple[float, ...]]:
    """The drift, and the lower boundaries on Z that meet the upper ones at the last look."""
    _check(kind, alpha)
    _check_power(fractions, alpha, power)
    upper = tuple(boundaries(kind, fractions, alpha).tolist())
    return _with_futility(fractions, upper, tuple(spent(kind, fractions, 1 - power).tolist()), alpha)


def _with_futility(
    fractions: tuple[float, ...], upper: tuple[float, ...], cumulative: tuple[float, ...], alpha: float
) -> tuple[float, tuple[float, ...]]:
    beta = cumulative[-1]

    def lower(eta: float) -> tuple[list[float], float]:
        """The lower boundaries under this drift, and what would have been spent in all where they meet the upper."""
        walk, before = _Walk(fractions, eta), 0.0
        found: list[float] = []
        for k, (t, total) in enumerate(zip(fractions, cumulative, strict=True)):
            root = math.sqrt(t)
            if k + 1 == len(fractions):
                return [*found, upper[k]], before + walk.beyond(upper[k] * root, -1)
            bound = min(walk.bound(total - before, -1), upper[k] * root)
            before += walk.beyond(bound, -1)
            found.append(bound / root)
            walk.go_on(bound, upper[k] * root)
        raise AssertionError("there is a last look")

    eta = _solved(lambda candidate: beta - lower(candidate)[1], alpha, 1 - beta)
    return eta, tuple(lower(eta)[0])


def _solved(gain: Callable[[float], float], alpha: float, power: float) -> float:
    """The drift at which `gain`, which rises with it, is 0; from that of a single look upwards."""
    low = normal_quantile(power) - normal_quantile(alpha)
    low, high = low - 0.05, low + 0.5
    while gain(high) < 0:
        low, high = high, high + 1.0
    return _root(gain, low, high)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Bisection with secant steps (the Illinois form of regula falsi)."""
    at_low, at_high = function(low), function(high)
    for _ in range(_STEPS):
        if at_low == at_high:
            break
        middle = high - at_high * (high - low) / (at_high - at_low)
        value = function(middle)
        if abs(value) < 1e-12 or abs(high - low) < 1e-12:
            return middle
        if value * at_high < 0:
            low, at_low = high, at_high
        else:
            at_low /= 2
        high, at_high = middle, value
    return high


def _looks(fractions: Sequence[float]) -> Iterator[float]:
    before = 0.0
    for value in fractions:
        t = float(value)
        if not (before + _CLOSEST <= t <= 1 + 1e-12):
            raise ValueError(
                f"the fractions of the looks must ascend within (0, 1], {_CLOSEST:g} or more apart; got "
                f"{[float(v) for v in fractions]}"
            )
        before = t
        yield min(t, 1.0)


def _fractions(fractions: Sequence[float]) -> Floats:
    found = np.array(list(_looks(fractions)), dtype=np.float64)
    if not found.size:
        raise ValueError("one look or more is needed; got no fractions")
    return found


def _check(kind: str, alpha: float) -> None:
    if kind not in get_args(Spending):
        raise ValueError(f"spending must be one of {', '.join(get_args(Spending))}; got {kind!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, exclusive; got {alpha!r}")


def _check_power(fractions: tuple[float, ...], alpha: float, power: float) -> None:
    if fractions[-1] != 1:
        raise ValueError(f"the last look must have all samples, a fraction of 1; got {fractions[-1]:g}")
    if not alpha < power < 1:
        raise ValueError(f"power must lie between alpha and 1; got {power!r} with alpha {alpha:g}")
