from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.agreement import (
    alpha_moments,
    alpha_of_moments,
    cohen_kappa,
    coincidence_alpha,
    coincidences,
    fleiss_kappa,
    krippendorff_alpha,
    percent_agreement,
    weighted_kappa,
)

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "agreement.json"
needs_vectors = pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
LEVELS = ("nominal", "ordinal", "interval", "ratio")


def alpha_by_pairs(ratings, level):
    """Krippendorff's alpha pair by pair, from his definition: observed and expected disagreement are mean distances."""
    units = [[v for v in column if not np.isnan(v)] for column in np.asarray(ratings, dtype=float).T]
    units = [unit for unit in units if len(unit) > 1]
    pool = [v for unit in units for v in unit]
    n = {v: pool.count(v) for v in pool}

    def distance(a, b):
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        if level == "ratio":
            return 0.0 if a == b else ((a - b) / (a + b)) ** 2
        low, high = min(a, b), max(a, b)
        return (sum(count for v, count in n.items() if low <= v <= high) - (n[a] + n[b]) / 2) ** 2

    observed = sum(
        sum(distance(a, b) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units
    ) / len(pool)
    expected = sum(distance(a, b) for a, b in itertools.permutations(pool, 2)) / (len(pool) * (len(pool) - 1))
    return 1 - observed / expected


def table_of(first, second, k):
    table = np.zeros((k, k))
    np.add.at(table, (first, second), 1)
    return table


@needs_vectors
def test_shared_vectors():
    vectors = json.loads(VECTORS.read_text())
    alpha = vectors["krippendorff"]
    ratings = np.array(alpha["data"], dtype=float)
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(ratings, level=level) == pytest.approx(alpha[level], abs=1e-12)
    assert alpha_of_moments(alpha_moments(ratings).sum(axis=0)) == pytest.approx(alpha["interval"], abs=1e-12)
    assert fleiss_kappa(vectors["fleiss"]["table"]) == pytest.approx(vectors["fleiss"]["kappa"], abs=1e-12)
    assert cohen_kappa(vectors["cohen"]["table"]) == pytest.approx(vectors["cohen"]["kappa"], abs=1e-12)


def test_worked_example_of_krippendorff():
    """Krippendorff 2011, example C: four observers, twelve units, missing data; 0.743, 0.815, 0.849 and 0.797."""
    n = np.nan
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
        [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
    ]
    found = [round(krippendorff_alpha(ratings, level=level), 3) for level in LEVELS]
    assert found == [0.743, 0.815, 0.849, 0.797]


@pytest.mark.parametrize("seed", range(4))
def test_kappas_are_those_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 5, 60)
    second = np.where(rng.random(60) < 0.6, first, rng.integers(0, 5, 60))
    table = table_of(first, second, 5)
    assert cohen_kappa(table) == pytest.approx(metrics.cohen_kappa_score(first, second, labels=range(5)), abs=1e-12)
    for weights in ("linear", "quadratic"):
        expected = metrics.cohen_kappa_score(first, second, labels=range(5), weights=weights)
        assert weighted_kappa(table, weights=weights) == pytest.approx(expected, abs=1e-12)
    assert percent_agreement(table) == pytest.approx((first == second).mean(), abs=1e-15)


def test_two_classes_have_one_kappa():
    table = [[20, 5], [10, 15]]
    assert {float(cohen_kappa(table)), *(float(weighted_kappa(table, weights=w)) for w in ("linear", "quadratic"))} == {
        cohen_kappa(table)
    }


def test_tables_are_vectorised():
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 9, (3, 2, 4, 4))
    matrices = tables + np.swapaxes(tables, -1, -2)
    kernels = [
        (tables, percent_agreement),
        (tables, cohen_kappa),
        (tables, lambda t: weighted_kappa(t, weights="linear")),
        *[(matrices, lambda t, at=at: coincidence_alpha(t, [1, 2, 4, 8], level=at)) for at in LEVELS],
        (np.stack([rng.multinomial(6, [0.2, 0.3, 0.5], size=7) for _ in range(6)]).reshape(3, 2, 7, 3), fleiss_kappa),
    ]
    for many, kernel in kernels:
        found = kernel(many)
        assert found.shape == (3, 2)
        assert found == pytest.approx(np.array([[kernel(many[i, j]) for j in range(2)] for i in range(3)]), abs=1e-14)


def test_undefined_is_nan():
    """Nothing rated, and chance alone agrees always: one class for everything."""
    for table in (np.zeros((2, 2)), [[7, 0], [0, 0]]):
        assert np.isnan(cohen_kappa(table))
        assert np.isnan(weighted_kappa(table, weights="linear"))
    assert np.isnan(percent_agreement(np.zeros((3, 3))))
    assert percent_agreement([[7, 0], [0, 0]]) == 1
    assert np.isnan(fleiss_kappa(np.zeros((0, 3))))
    assert np.isnan(fleiss_kappa([[4, 0], [4, 0]]))
    n = np.nan
    for ratings in ([[1, 1], [1, 1]], [[1, n], [n, 2]], np.zeros((2, 0)), [[n], [n]]):
        assert all(np.isnan(krippendorff_alpha(ratings, level=level)) for level in LEVELS)
        assert np.isnan(alpha_of_moments(alpha_moments(ratings).sum(axis=0)))


def test_a_constant_that_rounds_has_no_alpha():
    assert np.isnan(alpha_of_moments(alpha_moments(np.full((3, 7), 0.1)).sum(axis=0)))


def test_extremes():
    assert cohen_kappa([[5, 0], [0, 5]]) == 1
    assert cohen_kappa([[0, 5], [5, 0]]) == -1
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]], level="ordinal") == 1
    # One unit of two values: what is observed is what is expected.
    assert krippendorff_alpha([[1], [2]], level="interval") == 0


def test_a_unit_with_one_rating_changes_nothing():
    ratings = np.array([[1, 2, 3, 3, 1.0], [1, 2, 2, 3, 2.0]])
    more = np.concatenate([ratings, [[4.0], [np.nan]]], axis=1)
    for level in LEVELS:
        assert krippendorff_alpha(more, level=level) == pytest.approx(
            krippendorff_alpha(ratings, level=level), abs=1e-14
        )


@given(
    st.integers(2, 4).flatmap(
        lambda raters: st.lists(
            st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0, np.nan]), min_size=raters, max_size=raters),
            min_size=1,
            max_size=8,
        )
    )
)
def test_alpha_is_what_its_definition_says(columns):
    ratings = np.array(columns).T
    rated = [c[~np.isnan(c)] for c in ratings.T]
    pool = np.concatenate([c for c in rated if len(c) > 1] or [np.zeros(0)])
    if len(np.unique(pool)) < 2:
        assert all(np.isnan(krippendorff_alpha(ratings, level=level)) for level in LEVELS)
        return
    for level in LEVELS:
        assert krippendorff_alpha(ratings, level=level) == pytest.approx(alpha_by_pairs(ratings, level), abs=1e-9)
    by_moments = alpha_of_moments(alpha_moments(ratings).sum(axis=0))
    assert by_moments == pytest.approx(alpha_by_pairs(ratings, "interval"), abs=1e-9)


def test_coincidences_are_additive():
    ratings = np.array([[1, 2, 3, 1], [1, 2, 2, np.nan], [1, 3, np.nan, np.nan]])
    values, units = coincidences(ratings)
    assert values.tolist() == [1, 2, 3]
    assert units.shape == (4, 3, 3)
    assert units[0].tolist() == [[3, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert units[1].tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 0]]
    assert not units[3].any()
    # Each unit weighs as many as it has ratings.
    assert units.sum(axis=(1, 2)).tolist() == [3, 3, 2, 0]


@given(st.lists(st.lists(st.floats(0, 9), min_size=9, max_size=9), min_size=1, max_size=4))
def test_kappas_lie_between_minus_one_and_one(tables):
    table = np.array(tables).reshape(-1, 3, 3)
    for found in (
        cohen_kappa(table),
        weighted_kappa(table, weights="linear"),
        weighted_kappa(table, weights="quadratic"),
    ):
        known = found[~np.isnan(found)]
        assert (known >= -1 - 1e-9).all()
        assert (known <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cohen_kappa([[1, 2]]), "must be"),
        (lambda: cohen_kappa([1, 2]), "must be"),
        (lambda: cohen_kappa([[1, -2], [0, 0]]), "negative"),
        (lambda: weighted_kappa([[1, 0], [0, 1]], weights="cubic"), "weights must be"),
        (lambda: fleiss_kappa([1, 2]), "units, classes"),
        (lambda: fleiss_kappa([[3, 0], [1, 1]]), "same number of ratings"),
        (lambda: fleiss_kappa([[1, 0], [0, 1]]), "two or more"),
        (lambda: fleiss_kappa([[3, -1]]), "negative"),
        (lambda: krippendorff_alpha([1, 2], level="nominal"), "raters, units"),
        (lambda: krippendorff_alpha([[1], [np.inf]], level="nominal"), "finite"),
        (lambda: krippendorff_alpha([[1], [2]], level="cardinal"), "level must be one of"),
        (lambda: krippendorff_alpha([[1], [-2]], level="ratio"), "0 and more"),
        (lambda: coincidence_alpha([[1, 0], [0, 1]], level="interval"), "needs the values"),
        (lambda: coincidence_alpha([[1, 0], [0, 1]], [2, 1], level="interval"), "ascending"),
        (lambda: alpha_moments([1, 2]), "raters, units"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
