"""How far raters agree beyond chance: kappas of tables, and Krippendorff's alpha by coincidence matrices.

Tables and coincidence matrices are counts, and so additive over units: all figures take (..., k, k), so that a
bootstrap hands over the tables of all its resamples at once. What is not defined is NaN: no unit that two raters
rated, or no two values among all ratings, where agreement by chance is certain.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from .arrays import ArrayLike, Floats, np

__all__ = [
    "ALPHA_MOMENTS",
    "Coincidences",
    "Level",
    "alpha_moments",
    "alpha_of_moments",
    "cohen_kappa",
    "coincidence_alpha",
    "coincidences",
    "fleiss_kappa",
    "krippendorff_alpha",
    "percent_agreement",
    "weighted_kappa",
]

Level = Literal["nominal", "ordinal", "interval", "ratio"]

ALPHA_MOMENTS = ("values", "disagreement", "sum", "squares")
"""The columns of `alpha_moments`."""

_ROUNDING = 1e-12  # a spread this far below the squares it is left over from is one of rounding


def _square(table: ArrayLike) -> Floats:
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise ValueError(f"a table of two raters must be (..., k, k); got shape {counts.shape}")
    if (counts < 0).any():
        raise ValueError("a table of two raters holds counts; it has negative ones")
    return counts


def _share(part: Floats, whole: Floats) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    result: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return result


def percent_agreement(table: ArrayLike) -> Floats:
    """The share of units (...) on which two raters agree, from tables (..., k, k); NaN for an empty table.

    p_o = Σ_i t_ii / Σ_ij t_ij
    """
    counts = _square(table)
    return _share(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def cohen_kappa(table: ArrayLike) -> Floats:
    """Cohen's kappa (...) of two raters from their tables (..., k, k): rows are the first one's classes.

        κ = (p_o − p_e) / (1 − p_e),  p_e = Σ_i p_i· p_·i

    Source: Cohen 1960; scikit-learn `cohen_kappa_score`, equal. NaN for an empty table, and where both raters give one
    and the same class to everything. Counts may be fractions.

    Raises:
        ValueError: for a table that is not square, or negative counts.
    """
    counts = _square(table)
    return _kappa(counts, 1.0 - np.eye(counts.shape[-1]))


def weighted_kappa(table: ArrayLike, *, weights: Literal["linear", "quadratic"]) -> Floats:
    """Cohen's weighted kappa (...) for ordered classes, from tables (..., k, k).

        κ_w = 1 − Σ_ij w_ij p_ij / Σ_ij w_ij p_i· p_·j,  w_ij = |i − j| (linear) or (i − j)² (quadratic)

    Source: Cohen 1968; scikit-learn `cohen_kappa_score(weights=...)`, equal. With two classes it is Cohen's kappa. NaN
    where `cohen_kappa` is.

    Raises:
        ValueError: for a table that is not square, negative counts or other weights.
    """
    if weights not in ("linear", "quadratic"):
        raise ValueError(f"weights must be 'linear' or 'quadratic'; got {weights!r}")
    counts = _square(table)
    places = np.arange(counts.shape[-1], dtype=np.float64)
    distance = np.abs(places[:, None] - places)
    return _kappa(counts, distance if weights == "linear" else distance**2)


def _kappa(counts: Floats, disagreement: Floats) -> Floats:
    # 1 − Σwo/Σwe is (p_o − p_e)/(1 − p_e) for w = 1 − identity, and has no difference of nearly equal numbers in it.
    total = counts.sum(axis=(-2, -1))
    expected = ((counts.sum(axis=-1) @ disagreement) * counts.sum(axis=-2)).sum(axis=-1)
    return 1.0 - _share((counts * disagreement).sum(axis=(-2, -1)) * total, expected)


def fleiss_kappa(table: ArrayLike) -> Floats:
    """Fleiss' kappa (...) of many raters: `table` (..., n, k) says how many of them put each unit into each class.

        κ = (P̄ − P̄_e) / (1 − P̄_e),  P_i = (Σ_j n_ij² − m) / (m(m − 1)),  P̄_e = Σ_j p_j²

    with m ratings of each unit. Source: Fleiss 1971; statsmodels `inter_rater.fleiss_kappa`, equal. For units with
    different numbers of ratings take Krippendorff's alpha. NaN for no units and where all ratings are of one class.

    Raises:
        ValueError: where the units have different numbers of ratings, or fewer than two.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim < 2:
        raise ValueError(f"the table must be (..., units, classes); got shape {counts.shape}")
    if (counts < 0).any():
        raise ValueError("the table holds counts; it has negative ones")
    if counts.shape[-2] == 0:
        return np.full(counts.shape[:-2], np.nan)
    each = counts.sum(axis=-1)
    raters = float(each.flat[0]) if each.size else 2.0
    if raters < 2 or (each != raters).any():
        raise ValueError(
            f"each unit must have the same number of ratings, two or more; they have {each.min():g} to "
            f"{each.max():g}: take Krippendorff's alpha"
        )
    agreed = ((counts**2).sum(axis=-1) - raters) / (raters * (raters - 1))
    shares = counts.sum(axis=-2) / (raters * counts.shape[-2])
    by_chance = (shares**2).sum(axis=-1)
    # All ratings of one class: shares are 0 and 1 exactly.
    return _share(agreed.mean(axis=-1) - by_chance, 1.0 - by_chance)


class Coincidences(NamedTuple):
    """The `values` (v,) that occur, ascending, and the coincidences `units` (n, v, v) of each unit."""

    values: Floats
    units: Floats


def _ratings(ratings: ArrayLike) -> Floats:
    array = np.asarray(ratings, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"ratings must be (raters, units), NaN where one is missing; got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError("ratings must be finite, or NaN where one is missing")
    return array


def coincidences(ratings: ArrayLike) -> Coincidences:
    """The coincidences of each unit of `ratings` (raters, units), NaN where one is missing; additive over units.

        o_ck = (number of ordered pairs of ratings c, k of the unit) / (m − 1)

    with m the ratings of the unit; a unit with fewer than two has none. The sum over units is Krippendorff's
    coincidence matrix. Classes are given as numbers. Source: Krippendorff 2011, "Computing Krippendorff's
    alpha-reliability".

    Raises:
        ValueError: for ratings that are not two-dimensional, or infinite.
    """
    array = _ratings(ratings)
    values = np.unique(array[~np.isnan(array)])
    counts = (array[:, :, None] == values).sum(axis=0).astype(np.float64)
    number = counts.sum(axis=1)
    paired = np.where(number > 1, 1.0 / np.maximum(number - 1, 1), 0.0)
    pairs = counts[:, :, None] * counts[:, None, :]
    # A rating makes no pair with itself.
    pairs -= counts[:, :, None] * np.eye(values.size)
    return Coincidences(values, pairs * paired[:, None, None])


def coincidence_alpha(matrix: ArrayLike, values: ArrayLike | None = None, *, level: Level) -> Floats:
    """Krippendorff's alpha (...) from coincidence matrices (..., v, v) of the ascending `values` (v,).

        α = 1 − (n − 1) · Σ_ck o_ck δ²_ck / Σ_ck n_c n_k δ²_ck

        nominal    δ² = [c ≠ k]
        ordinal    δ² = (Σ_{g=c…k} n_g − (n_c + n_k)/2)²
        interval   δ² = (c − k)²
        ratio      δ² = ((c − k)/(c + k))²

    with n_c the row sums and n the sum of all. Source: Krippendorff 2011; the worked example there. `values` may be
    left out for the levels nominal and ordinal. NaN where nothing coincides, and where there is one value only.

    Raises:
        ValueError: for a level of another name, values that do not fit, or negative ones at the level ratio.
    """
    counts = _square(matrix)
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}; got {level!r}")
    places = _values(values, counts.shape[-1], level)
    margin = counts.sum(axis=-1)
    n = margin.sum(axis=-1)
    if level == "nominal":
        delta = 1.0 - np.eye(counts.shape[-1])
    elif level == "ordinal":
        # Σ_{g=c…k} n_g − (n_c + n_k)/2 is the difference of the places of c and k, counted to the middle of each.
        middle = np.cumsum(margin, axis=-1) - margin / 2
        delta = (middle[..., :, None] - middle[..., None, :]) ** 2
    elif level == "interval":
        delta = (places[:, None] - places) ** 2
    else:
        sums = places[:, None] + places
        delta = _share(places[:, None] - places, np.where(sums > 0, sums, 1.0)) ** 2
    observed = (counts * delta).sum(axis=(-2, -1))
    expected = (margin[..., :, None] * margin[..., None, :] * delta).sum(axis=(-2, -1))
    return 1.0 - _share((n - 1) * observed, expected)


def _values(values: ArrayLike | None, v: int, level: Level) -> Floats:
    if values is None:
        if level in ("interval", "ratio"):
            raise ValueError(f"the level {level} needs the values of rows and columns")
        return np.arange(v, dtype=np.float64)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (v,) or (np.diff(array) <= 0).any():
        raise ValueError(f"values must be {v} ascending numbers, one a row; got {array.tolist()}")
    if level == "ratio" and (array < 0).any():
        raise ValueError(f"the level ratio needs values of 0 and more; got {float(array.min()):g}")
    return array


def krippendorff_alpha(ratings: ArrayLike, *, level: Level) -> float:
    """Krippendorff's alpha of `ratings` (raters, units), NaN where one is missing: see `coincidence_alpha`.

    Raises:
        ValueError: as `coincidences` and `coincidence_alpha`.
    """
    values, units = coincidences(ratings)
    return float(coincidence_alpha(units.sum(axis=0), values, level=level))


def alpha_moments(ratings: ArrayLike) -> Floats:
    """(units, 4) additive statistics for alpha at the level interval, from `ratings` (raters, units): `ALPHA_MOMENTS`.

    A unit of m ratings v gives m, 2(mΣv² − (Σv)²)/(m − 1), Σv and Σv²; one with fewer than two gives zeros. It takes
    the place of a coincidence matrix where there are many values: Σ_ck o_ck (c − k)² of one unit is its second column.

    Raises:
        ValueError: for ratings that are not two-dimensional, or infinite.
    """
    array = _ratings(ratings)
    known = ~np.isnan(array)
    number = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, array, 0.0)
    sums = filled.sum(axis=0)
    mean = sums / np.maximum(number, 1)
    # m·Σv² − (Σv)² = m·Σ(v − mean)², without the difference of large numbers.
    within = (np.where(known, array - mean, 0.0) ** 2).sum(axis=0)
    rows = np.stack([number, 2 * number * within / np.maximum(number - 1, 1), sums, (filled**2).sum(axis=0)], axis=1)
    return np.where(number[:, None] > 1, rows, 0.0)


def alpha_of_moments(totals: ArrayLike) -> Floats:
    """Krippendorff's alpha (...) at the level interval from totals (..., 4) of `alpha_moments`.

        α = 1 − (n − 1) · Σ disagreement / (2 (n Σv² − (Σv)²))

    for Σ_ck n_c n_k (c − k)² = 2 (n Σv² − (Σv)²). It equals `coincidence_alpha(level="interval")`; NaN where that is.
    """
    array = np.asarray(totals, dtype=np.float64)
    n, observed, sums, squares = (array[..., i] for i in range(4))
    spread = n * squares - sums**2
    spread = np.where(spread <= _ROUNDING * n * squares, 0.0, spread)
    return 1.0 - _share((n - 1) * observed, 2 * spread)
