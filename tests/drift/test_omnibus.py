from functools import cache, partial

import numpy as np
import pytest
from scipy.stats import norm
from windows import clustered, column, make

from evalharness.drift.base import Counts, Rows
from evalharness.drift.defaults import DEFAULTS, default_test, make_test
from evalharness.drift.layout import freeze
from evalharness.drift.shared import shared_counts
from evalharness.drift.state import WindowState
from evalharness.drift.table import Table
from evalharness.drift.tests import omnibus
from evalharness.stats.monte_carlo import sequential_p


def counted(before, now):
    """Both windows as a monitor counts them: over the bins of the first."""
    layout, sides = freeze(Table.of({"x": before})), []
    for values in (before, now):
        state = WindowState(layout)
        state.update(Table.of({"x": values}))
        sides.append(state.counts("x"))
    return sides


@cache
def _power(name, change, kind="normal", n=250, seeds=30, size=1.0):
    test, hits = make_test(name), 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1])
        x, y = column(kind, n, rng), column(kind, n, rng)
        if change == "shift":
            y = y + 0.25 * size
        elif change == "scale":
            y = y * (1 + 0.25 * size)
        elif change == "contaminated":
            y = np.where(rng.random(n) < 0.05 * size, rng.normal(5, 1, n), y)
        elif change == "more zeros":
            y = np.where(rng.random(n) < 0.5 * size, 0.0, y)
        hits += test.compare(*counted(x, y), seed=seed).p_value <= 0.01
    return hits / seeds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "kind", "rival"),
    [
        ("shift", "normal", "ks"),
        ("scale", "normal", "ks"),
        ("scale", "normal", "anderson_darling"),
        ("scale", "normal", "jensen_shannon"),
        ("contaminated", "normal", "ks"),
        ("contaminated", "normal", "anderson_darling"),
        ("contaminated", "normal", "jensen_shannon"),
        ("more zeros", "zeros", "jensen_shannon"),
        ("more zeros", "zeros", "wasserstein"),
    ],
)
def test_no_single_test_is_better_by_much(change, kind, rival):
    ours, theirs = _power("omnibus", change, kind), _power(rival, change, kind)
    assert ours > 0.3
    assert ours >= theirs - 0.1


def test_each_part_sees_its_kind_of_change():
    h = np.full(50, 500.0)
    h[10] = 5_000.0
    parts = omnibus._parts(h, np.arange(50.0))
    # Two scores, squares, both tails, the frequent value; A² and χ².
    assert parts.contrasts.shape == (6, 50)
    assert parts.counted.tolist() == [False] * 3 + [True] * 3
    assert parts.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(parts.contrasts[3:5] @ (h / h.sum()), 0.0339, atol=0.002)
    np.testing.assert_array_equal(np.flatnonzero(parts.contrasts[5]), [10])
    assert parts.contrasts[0] @ h == pytest.approx(0, abs=50)
    # Quartiles at 10 and 35, and the median at 20.
    np.testing.assert_allclose(parts.contrasts[2], ((np.arange(50) - 20) / 25) ** 2)


def _far(rows):
    """Bins whose last three lie far above the median."""
    h, positions = np.full(50, rows), np.arange(50.0)
    h[-3:], positions[-3:] = rows / 8, [70.0, 110.0, 1e6]
    return h, positions


def test_far_tails_of_few_rows_are_watched_by_the_logarithm_of_their_distance():
    h, positions = _far(40.0)
    parts = omnibus._parts(h, positions)
    assert len(parts.contrasts) == 3 + 1, "nothing lies far below"
    # The quartiles are 24 apart, the median lies at 23: 70 is not far enough.
    np.testing.assert_allclose(parts.contrasts[3][-2:], np.log((positions[-2:] - 23) / 24 / 2))
    assert not parts.contrasts[3][:-2].any()
    assert not parts.counted.any()
    mirrored = omnibus._parts(h[::-1].copy(), 100.0 - positions[::-1])
    np.testing.assert_allclose(mirrored.contrasts[3][::-1], parts.contrasts[3], atol=0.1)
    # Squares go no further than 12 of them.
    assert parts.contrasts[2].max() == 144
    h[-3:] = 1.0
    assert len(omnibus._parts(h, positions).contrasts) == 3, "three rows tell nothing"


def test_far_tails_of_many_rows_are_counted():
    h, positions = _far(800.0)
    parts = omnibus._parts(h, positions)
    tails = {tuple(np.flatnonzero(row).tolist()) for row in parts.contrasts[3:]}
    # The outer 2 % of either side, and what lies 1.75 and 3 times 23 from the median at 23.
    assert tails == {(0,), (46, 47, 48, 49), (47, 48, 49), (48, 49)}
    assert parts.counted.tolist() == [False] * 3 + [True] * 4


@pytest.mark.slow
def test_a_longer_tail_of_few_rows_is_found_at_least_as_often_as_by_the_wasserstein_distance(monkeypatch):
    """Student's t with a share from elsewhere, and a beta law with one near 0: neither is in the benchmark."""
    monkeypatch.setattr("evalharness.drift.evidence.sequential_p", partial(sequential_p, most=399))
    for draw, other, share in (
        (lambda rng: rng.standard_t(3, 200), lambda rng: rng.normal(8, 2, 200), 0.05),
        (lambda rng: rng.beta(6, 2, 200), lambda rng: rng.uniform(0, 0.3, 200), 0.055),
    ):
        hits = np.zeros(2)
        for seed in range(60):
            rng = np.random.default_rng([seed, 9])
            x, y = draw(rng), draw(rng)
            y = np.where(rng.random(200) < share, other(rng), y)
            sides = Rows(x), Rows(y)
            hits += [make_test(name).compare(*sides, seed=seed).p_value <= 0.05 for name in ("omnibus", "wasserstein")]
        assert hits[0] >= 30
        assert hits[0] >= hits[1]


def test_outliers_are_seen_in_states_though_the_reference_had_none():
    rng = np.random.default_rng(5)
    before, now = rng.normal(size=300), rng.normal(size=300)
    now[:12] = rng.normal(8, 1, 12)
    sides = counted(before, now)
    assert make_test("omnibus").compare(*sides, seed=0).p_value < 0.01
    assert make_test("ks").compare(*sides, seed=0).p_value > 0.1


@pytest.mark.parametrize("shift", [0.7, 0.9, 1.1])
def test_what_no_permutation_reaches_is_no_surer_than_the_law_of_the_parts(shift):
    # The combined statistic has no moments: p by those of its draws was 1e-300 where it is 1e-8.
    rng = np.random.default_rng(5)
    x, y = np.sort(rng.standard_normal((2, 150)), axis=1)
    found = make_test("omnibus").compare(Rows(x), Rows(y + shift), seed=0)
    assert found.detail["law"] == "permutation, tail fitted"
    z = shift / np.sqrt(2 / 150)
    expected = 2 * norm.sf(z) / 0.28  # van der Waerden's part alone, by its weight
    assert expected**1.5 < found.p_value < expected**0.6


def test_few_rows_are_permuted_and_many_have_their_law():
    rng = np.random.default_rng(2)
    for n, law in ((200, "permutation"), (5_000, "permutation"), (100_000, "limit")):
        found = make_test("omnibus").compare(Rows(rng.normal(size=n)), Rows(rng.normal(size=n)), seed=0)
        assert found.detail["law"] == law


def test_the_outermost_of_many_rows_are_in_bins_of_their_own():
    rng = np.random.default_rng(3)
    before, now = rng.normal(size=50_000), rng.normal(size=50_000)
    now[:40] = 20.0 + rng.random(40)
    shared = shared_counts(Rows(before), Rows(now), seed=0)
    assert shared.x[shared.positions > 15].sum() == 0
    assert 32 <= shared.y[shared.positions > 15].sum() <= 40
    assert make_test("omnibus").compare(Rows(before), Rows(now), seed=0).p_value < 1e-6


def test_the_parts_do_not_depend_on_which_rows_are_where():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 30, 40).astype(float), rng.integers(0, 30, 40).astype(float)
    for here, there in zip(omnibus._parts(x + y, np.arange(40.0)), omnibus._parts(y + x, np.arange(40.0)), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.slow
def test_a_far_tail_is_right_for_clusters():
    """At 0.05/20 with 64 groups, where dividing by an estimated scale must be allowed for."""
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        (x, a), (y, b) = clustered(120, rng, size=4), clustered(80, rng, size=4)
        test = make_test("omnibus")
        alarms += test.compare(*make(test, Counts, x, y, (a, b), groups_seed=seed), seed=seed).p_value <= 0.0025
    # 0.75 expected; P(more than 4) is 0.001.
    assert alarms <= 4


def test_yes_and_no_as_a_number():
    rng = np.random.default_rng(1)
    x, y = (rng.random(500) < 0.3).astype(float), (rng.random(500) < 0.5).astype(float)
    found = make_test("omnibus").compare(Rows(x), Rows(y), seed=0)
    assert found.p_value < 1e-4
    assert found.effect == pytest.approx(y.mean() - x.mean())


def test_defaults_are_tests_of_their_kind():
    for kind in DEFAULTS:
        assert kind in default_test(kind).kinds
