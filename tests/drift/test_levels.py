"""The default test of classes: chi-square, and rows in levels that the reference has not."""

from __future__ import annotations

import numpy as np
import pytest

from evalharness.drift.base import Counts
from evalharness.drift.defaults import default_test, make_test
from evalharness.drift.tests.levels import new_level_tails

OPEN = np.append(1 / np.arange(1, 20.0), 0.0) / (1 / np.arange(1, 20.0)).sum()


def p_of(x, y, name="levels", groups=None):
    given = (Counts(np.asarray(x, float), groups), Counts(np.asarray(y, float), groups))
    return make_test(name).compare(*given, seed=0).p_value


def test_it_is_the_default_of_classes():
    assert default_test("category").name == "levels"


def test_the_law_of_new_rows_is_that_of_rows_shared_out_by_chance():
    """Against 40,000 permutations; the terms are not quite independent, which 60 rows show at a few per cent."""
    rng = np.random.default_rng(0)
    pooled = np.array([30, 12, 6, 4, 3, 2, 2, 1])
    rows = np.repeat(np.arange(len(pooled)), pooled)
    n = 35
    seen = np.zeros(len(rows))
    for _ in range(40_000):
        first = np.bincount(rng.permutation(rows)[:n], minlength=len(pooled))
        seen[int((pooled - first)[first == 0].sum())] += 1
    simulated = np.cumsum(seen[::-1])[::-1][1:] / seen.sum()
    x = np.minimum(pooled, [20, 8, 3, 2, 1, 1, 0, 0])
    tails = new_level_tails(x.astype(float) * (n / x.sum()), pooled - x.astype(float) * (n / x.sum()))
    for t in (1, 2, 3, 5):
        assert tails[t - 1] == pytest.approx(simulated[t - 1], rel=0.15, abs=0.004)


def test_a_level_alone_has_the_hypergeometric_chance():
    tails = new_level_tails(np.array([100.0, 0.0]), np.array([95.0, 5.0]))
    chance = np.prod([(100 - i) / (200 - i) for i in range(5)])
    assert tails[4] == pytest.approx(chance)
    assert tails[0] == pytest.approx(chance)
    assert tails[5] == pytest.approx(0.0, abs=1e-12)


def test_without_drift_it_rings_as_often_as_it_says():
    rng = np.random.default_rng(1)
    for n, m in ((200, 200), (1000, 150)):
        found = np.array([p_of(rng.multinomial(n, OPEN), rng.multinomial(m, OPEN)) for _ in range(400)])
        # Four standard errors of 400 windows.
        assert (found <= 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)
        assert (found <= 0.2).mean() < 0.2 + 4 * np.sqrt(0.2 * 0.8 / 400)


def test_a_new_level_is_found_sooner_than_by_chi_square_and_nothing_else_later():
    rng = np.random.default_rng(2)
    new = np.append(OPEN[:-1] * 0.97, 0.03)
    pairs = [(rng.multinomial(200, OPEN), rng.multinomial(200, new)) for _ in range(150)]
    ours, plain = (np.mean([p_of(*pair, name) <= 0.05 for pair in pairs]) for name in ("levels", "chi_square"))
    assert ours > plain + 0.1
    moved = OPEN.copy()
    moved[0], moved[5] = OPEN[0] * 0.7, OPEN[5] + OPEN[0] * 0.3
    pairs = [(rng.multinomial(200, OPEN), rng.multinomial(200, moved)) for _ in range(150)]
    ours, plain = (np.mean([p_of(*pair, name) <= 0.05 for pair in pairs]) for name in ("levels", "chi_square"))
    # What new levels may take of the level is missing there: some points, where levels are rare.
    assert ours > plain - 0.1


def test_a_new_level_beside_a_long_reference_is_no_chance():
    assert p_of([5000, 3000, 2000, 0], [100, 60, 40, 6]) < 1e-9
    assert p_of([5000, 3000, 2000, 6], [100, 60, 40, 0]) > 0.5


@pytest.mark.parametrize(("x", "y"), [([50, 50], [30, 70]), ([90, 10, 0], [80, 20, 0])])
def test_of_two_levels_it_is_chi_square(x, y):
    assert p_of(x, y) == p_of(x, y, "chi_square")


def test_where_rows_belong_together_it_is_chi_square():
    rng = np.random.default_rng(3)
    groups = rng.multinomial(30, OPEN, size=20).astype(float)
    counts = groups.sum(axis=0)
    assert p_of(counts, counts, groups=groups) == p_of(counts, counts, "chi_square", groups=groups)


def test_what_new_levels_may_take_is_taken_from_chi_square():
    """A rare level may lie on one side alone by chance: chi-square has to leave room for that."""
    x, y = [60, 30, 6, 3], [45, 40, 8, 6]
    plain = p_of(x, y, "chi_square")
    tails = new_level_tails(np.array(x, float), np.array(y, float))
    room = tails[tails <= 0.35 * plain / 0.65].max()
    assert room > 0.001
    assert p_of(x, y) == pytest.approx(plain + room)
