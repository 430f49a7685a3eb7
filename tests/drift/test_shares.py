import math

import numpy as np
import pytest
from scipy import stats

from evalharness.drift.base import Counts
from evalharness.drift.defaults import make_test

NAMES = ["chi_square", "g_test", "psi", "jensen_shannon", "hellinger"]


def test_chi_square_is_scipys():
    x, y = np.array([400, 300, 200]), np.array([350, 330, 260])
    theirs = stats.chi2_contingency([x, y], correction=False)
    found = make_test("chi_square").compare(Counts(x), Counts(y), seed=0)
    assert (found.statistic, found.p_value) == pytest.approx((theirs[0], theirs[1]))
    assert found.effect == pytest.approx(math.sqrt((theirs[0] - 2) / 1840))
    assert found.detail["law"] == "limit"


@pytest.mark.parametrize(
    ("first", "n", "second", "m"), [(9, 12, 2, 12), (1, 40, 9, 15), (0, 200, 6, 200), (30, 30, 2, 3)]
)
def test_of_two_levels_all_tables_are_counted(first, n, second, m):
    # Fisher's test with Pearson's ordering; a level that neither window has changes nothing.
    x, y = np.array([first, 0, n - first]), np.array([second, 0, m - second])
    found = make_test("chi_square").compare(Counts(x), Counts(y), seed=0)
    yes = first + second
    j = np.arange(max(0, yes - m), min(n, yes) + 1)
    gap = np.abs(j - n * yes / (n + m))
    exact = stats.hypergeom(n + m, yes, n).pmf(j)[gap >= abs(first - n * yes / (n + m)) - 1e-9].sum()
    assert found.p_value == pytest.approx(exact, rel=1e-9)
    assert found.detail["law"] == "all tables, exact"
    flipped = make_test("chi_square").compare(Counts(y), Counts(x), seed=1)
    assert flipped.p_value == pytest.approx(exact, rel=1e-9)


def test_of_three_levels_tables_are_drawn():
    x, y = np.array([9, 3, 2]), np.array([2, 10, 3])
    found = make_test("chi_square").compare(Counts(x), Counts(y), seed=0)
    theirs = stats.chi2_contingency([x, y], correction=False, method=stats.PermutationMethod(rng=0)).pvalue
    assert found.p_value == pytest.approx(theirs, abs=0.01)
    assert found.detail["law"] == "permutation"


@pytest.mark.parametrize("name", NAMES)
def test_the_null_mean_is_off_the_effect(name):
    rng = np.random.default_rng(0)
    test = make_test(name)
    raw, effects = [], []
    for seed in range(150):
        x, y = (rng.multinomial(n, np.full(20, 0.05)) for n in (2000, 1000))
        found = test.compare(Counts(x), Counts(y), seed=seed)
        raw.append(found.statistic)
        effects.append(found.effect)
    if name == "psi":
        assert np.mean(raw) == pytest.approx(19 * (1 / 2000 + 1 / 1000), rel=0.1)
        assert abs(np.mean(effects)) < 0.1 * np.mean(raw)
    else:
        # Cut off at 0, about half of them: what is left is far below the threshold.
        assert np.mean(effects) < 0.4 * test.effect
        assert np.mean(np.array(effects) == 0) > 0.4


@pytest.mark.parametrize("name", NAMES)
def test_a_new_level_is_found(name):
    test = make_test(name)
    x, y = np.array([5000.0, 5000.0, 0.0]), np.array([480.0, 480.0, 40.0])
    found = test.compare(Counts(x), Counts(y), seed=0)
    assert found.p_value < 1e-8
    assert found.effect > 0.03


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_effect_is_found_four_times_in_five(name):
    test = make_test(name)
    k, n, m = 6, 3000, 2000
    needed = test.smallest_effect(n, m, 0.01, bins=k)
    # p + t·d and p − t·d, with t such that the distance without noise is what was asked for.
    base, direction = np.full(k, 1 / k), np.array([1, -1, 1, -1, 1, -1]) / k
    many = 10**8

    def without_noise(t):
        p = base + t * direction
        return test.compare(Counts(np.rint(base * many * n / m)), Counts(np.rint(p * many)), seed=0).effect

    low, high = 0.0, 0.9
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if without_noise(middle) < needed else (low, middle)
    rng = np.random.default_rng(1)
    hits = [
        test.compare(
            Counts(rng.multinomial(n, base)), Counts(rng.multinomial(m, base + low * direction)), seed=s
        ).p_value
        <= 0.01
        for s in range(200)
    ]
    assert 0.7 <= np.mean(hits) <= 0.9


@pytest.mark.slow
def test_terms_of_documents_are_no_independent_rows():
    rng = np.random.default_rng(5)
    test = make_test("chi_square")
    plain, grouped = [], []
    for seed in range(40):
        windows = []
        for documents in (200, 150):
            # Each document has its own few words, each said several times; Zipf over 300 terms, many of them rare.
            share = 1 / np.arange(1, 301)
            own = rng.choice(300, size=(documents, 5), p=share / share.sum())
            terms = np.repeat(own, 6, axis=1)
            table = np.zeros((64, 300))
            np.add.at(table, (np.repeat(rng.integers(0, 64, documents), 30), terms.ravel()), 1)
            windows.append(table)
        plain.append(test.compare(*(Counts(t.sum(axis=0)) for t in windows), seed=seed).p_value)
        grouped.append(test.compare(*(Counts(t.sum(axis=0), t) for t in windows), seed=seed).p_value)
    assert np.mean(np.array(plain) <= 0.05) > 0.9
    assert np.mean(np.array(grouped) <= 0.05) < 0.15


def test_ordered_bins_are_put_together_and_levels_are_not():
    rng = np.random.default_rng(2)
    x, y = rng.multinomial(2000, np.full(64, 1 / 64)), rng.multinomial(2000, np.full(64, 1 / 64))
    test = make_test("psi")
    assert test.compare(Counts(x, order=True), Counts(y, order=True), seed=0).detail["bins"] == 10
    assert test.compare(Counts(x), Counts(y), seed=0).detail["bins"] == 64
    assert (
        make_test("psi", {"bins": 32}).compare(Counts(x, order=True), Counts(y, order=True), seed=0).detail["bins"]
        == 32
    )
