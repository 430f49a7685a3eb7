"""The tail of a weighted sum of chi-squares: the law of every quadratic form of normal deviations."""

from __future__ import annotations

import math

from .arrays import ArrayLike, Floats, np
from .tails import normal_above

__all__ = ["shrunken_weights", "weighted_chi_square_above", "weighted_chi_square_curve"]

_STEPS = 60
# Nearer to the mean than this many of its standard deviations the formula is 0/0, and what lies to both sides is used.
_NEAR = 0.02


def weighted_chi_square_above(t: ArrayLike, weights: ArrayLike, *, df: float = math.inf) -> Floats:
    """(...) P(Σ_j w_j·X_j / (Y/df) > t), the X_j chi-square of 1 degree each, Y of `df`, all independent.

    With one value for all weights it is the chi-square (or F) law, exactly. Else the saddlepoint s of

        K(s) = −½·Σ_j ln(1 − 2·w_j·s) − (df/2)·ln(1 + 2·t·s/df)      (its last term −t·s for df = inf)
        r = sign(s)·sqrt(−2·K(s)),  u = s·sqrt(K″(s)),  p ≈ P(Z > r + ln(u/r)/r)

    whose error is relative, a few percent, however small p is. Source: Kuonen 1999, Biometrika 86:929, for `df` = inf;
    Barndorff-Nielsen 1986 for the form with logarithm. `t` ≤ 0 gives 1; weights (m,) of 0 are left out, and with none
    left p is 0 for t > 0.

    Raises:
        ValueError: for a negative weight.
    """
    w = np.asarray(weights, dtype=np.float64)
    values = np.asarray(t, dtype=np.float64)
    if (w < 0).any():
        raise ValueError(f"weights must be 0 or more; got {w.min()!r}")
    w = w[w > 1e-12 * w.max(initial=0.0)]
    flat = values.ravel()
    found = np.where(flat > 0, 0.0, 1.0)
    inside = flat > 0
    if w.size and inside.any():
        found[inside] = _above(flat[inside], w, df)
    return found.reshape(values.shape)


def weighted_chi_square_curve(weights: Floats, points: int = 64) -> tuple[Floats, Floats]:
    """Values t (points,), growing, and ln P(Σ_j w_j·X_j > t) there, from near 0 to a hundred times the largest weight.

    The law above for `df` = inf, read along its saddlepoints: t = K'(s) needs no root for a given s. For thousands of
    values at once, between which it is interpolated. Weights (m,) of 0 or more, one of them above 0.
    """
    w = weights[weights > 1e-12 * weights.max()]
    # 1 − 2·w·s of the largest weight, and none of them 1: at s = 0 the formula is 0/0.
    half = points // 2
    rest = np.concatenate([np.geomspace(1e4, 1.1, half), np.geomspace(0.9, 0.01, points - half)])
    s = (1 - rest)[:, None] / (2 * w.max())
    each = 1 - 2 * w * s
    t = (w / each).sum(axis=1)
    r = np.sign(s[:, 0]) * np.sqrt(np.maximum(np.log(each).sum(axis=1) + 2 * s[:, 0] * t, 1e-300))
    u = s[:, 0] * np.sqrt(2 * ((w / each) ** 2).sum(axis=1))
    return t, np.log(np.maximum(normal_above(r + np.log(u / r) / r), 1e-300))


def _above(t: Floats, w: Floats, df: float) -> Floats:
    if np.ptp(w) <= 1e-9 * w[0]:
        from scipy.special import chdtrc, fdtrc

        exact: Floats = chdtrc(w.size, t / w[0]) if math.isinf(df) else fdtrc(w.size, df, t / w.sum())
        return exact
    mean, spread = w.sum(), math.sqrt(2 * float((w * w).sum()) + (0.0 if math.isinf(df) else 2 * w.sum() ** 2 / df))
    near = np.abs(t - mean) < _NEAR * spread
    if not near.any():
        return _saddle(t, w, df)
    below, above = _saddle(np.array([mean - _NEAR * spread, mean + _NEAR * spread]), w, df).tolist()
    share = (t - mean) / (2 * _NEAR * spread) + 0.5
    return np.where(near, below + share * (above - below), _saddle(np.where(near, mean + spread, t), w, df))


def _saddle(t: Floats, w: Floats, df: float) -> Floats:
    t, w = t[:, None], w[None, :]
    high = np.full(len(t), 1 / (2 * w.max()))
    # Below the mean: Σ w/(1 − 2ws) < m/(2|s|), so that the root lies above −m/(2t).
    low = -np.minimum(w.size, df)[..., None].repeat(len(t)) / (2 * t[:, 0])
    for _ in range(_STEPS):
        s = (low + high) / 2
        up = _slope(s[:, None], t, w, df) < 0
        low, high = np.where(up, s, low), np.where(up, high, s)
    s = ((low + high) / 2)[:, None]
    rest = 1 - 2 * w * s
    k = -0.5 * np.log(rest).sum(axis=1)
    curve = 2 * ((w / rest) ** 2).sum(axis=1)
    if math.isinf(df):
        k -= s[:, 0] * t[:, 0]
    else:
        other = 1 + 2 * s[:, 0] * t[:, 0] / df
        k -= df / 2 * np.log(other)
        curve += 2 * t[:, 0] ** 2 / df / other**2
    r = np.sign(s[:, 0]) * np.sqrt(np.maximum(-2 * k, 1e-300))
    u = s[:, 0] * np.sqrt(curve)
    return normal_above(r + np.log(u / r) / r)


def _slope(s: Floats, t: Floats, w: Floats, df: float) -> Floats:
    slope: Floats = (w / (1 - 2 * w * s)).sum(axis=1)
    other = 1.0 if math.isinf(df) else 1 + 2 * s[:, 0] * t[:, 0] / df
    return slope - t[:, 0] / other


def shrunken_weights(spread: Floats, df: float) -> tuple[Floats, float]:
    """The weights (eigenvalues, (m,)) of a covariance known only from `df` deviations, and the df of their sum.

    `spread` (g, m) holds the deviations, so that S = spreadᵀ·spread. The eigenvalues of S lie further apart than those
    of what it estimates; they are drawn together until the sum of their squares is the unbiased

        Σ̂λ² = df²/((df − 1)(df + 2))·(tr S² − (tr S)²/df),

    and the sum has df·(tr S)²/Σ̂λ² degrees of freedom. Source: Srivastava 2005 (J Japan Stat Soc 35:251) for the
    unbiased square; Satterthwaite 1946.
    """
    g, m = spread.shape
    gram = spread @ spread.T if g < m else spread.T @ spread
    found = np.maximum(np.linalg.eigvalsh(gram), 0.0)
    values = np.zeros(m)
    values[: found.size] = found
    total, squares = float(values.sum()), float((values * values).sum())
    if total <= 0 or df <= 1:
        return values, max(df, 1.0)
    unbiased = df * df / ((df - 1) * (df + 2)) * (squares - total * total / df)
    rank = max(int((values > 1e-12 * values.max()).sum()), 1)
    flat = total * total / m
    unbiased = min(max(unbiased, flat), squares)
    shrink = math.sqrt((unbiased - flat) / (squares - flat)) if squares > flat * (1 + 1e-12) and rank > 1 else 1.0
    return total / m + shrink * (values - total / m), df * total * total / unbiased
