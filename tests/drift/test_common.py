"""What every registered drift test must hold. A new test gets these free; it adds only cases of its own."""

import dataclasses
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from windows import clustered, column, make

from evalharness.core.drifting import ColumnKind
from evalharness.core.registry import registry
from evalharness.drift.base import Rows
from evalharness.drift.defaults import make_test

# Hundreds of seeds a test: minutes in all.
pytestmark = pytest.mark.slow

ROOM = registry("drift")
CASES = [(name, shape) for name in ROOM.names() for shape in ROOM.load(name).takes]
SEEDS = 100
# P(more than 13 of 100 with p ≤ 0.05) is 0.0005 under the null.
MOST_ALARMS = 13
# Their statistic does not depend on which window is called the reference.
SYMMETRIC = {"ks", "cramer_von_mises", "anderson_darling", "omnibus", "chi_square", "g_test", "psi"}
SYMMETRIC |= {"jensen_shannon", "hellinger"}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}")
def case(request):
    name, shape = request.param
    return make_test(name), shape


def _p_values(test, shape, draw, seeds=SEEDS):
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 7])
        found.append(test.compare(*draw(rng), seed=seed).p_value)
    return np.array(found)


@pytest.mark.parametrize("kind", ["normal", "zeros", "zipf"])
def test_false_alarms_keep_the_level(case, kind):
    test, shape = case
    p = _p_values(test, shape, lambda rng: make(test, shape, column(kind, 150, rng), column(kind, 90, rng)))
    assert ((p > 0) & (p <= 1)).all()
    assert (p <= 0.05).sum() <= MOST_ALARMS
    # A p-value that never comes near 0 is no evidence either.
    assert p.mean() < 0.8
    assert np.median(p) > 0.2


def test_false_alarms_keep_the_level_where_rows_belong_together(case):
    test, shape = case

    def draw(rng):
        (x, a), (y, b) = clustered(150, rng), clustered(90, rng)
        return make(test, shape, x, y, (a, b), groups_seed=rng.integers(1 << 30))

    p = _p_values(test, shape, draw)
    assert (p <= 0.05).sum() <= MOST_ALARMS
    assert (p <= 0.002).sum() <= 3


def test_as_if_rows_were_independent_there_would_be_false_alarms(case):
    """That the test above can fail: the same windows, their clusters kept back."""
    test, shape = case
    if test.name in ("mmd", "classifier", "rate"):
        pytest.skip("their noise hides what clusters do at these sizes")
    p = _p_values(test, shape, lambda rng: make(test, shape, clustered(150, rng)[0], clustered(90, rng)[0]), 25)
    assert (p <= 0.05).sum() > 6


@pytest.mark.parametrize("clusters", [False, True])
def test_a_clear_shift_is_found(case, clusters):
    test, shape = case
    p, effects = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        if clusters:
            (x, a), (y, b) = clustered(400, rng), clustered(300, rng, shift=0.9)
            windows = make(test, shape, x, y, (a, b))
        else:
            windows = make(test, shape, rng.normal(size=1000), rng.normal(0.9, 1, size=700))
        found = test.compare(*windows, seed=seed)
        p.append(found.p_value)
        effects.append(found.effect)
    # The level of a window of 200 columns.
    assert max(p) < 0.05 / 200
    assert min(p) > 0
    assert min(effects) > test.effect


def test_without_drift_the_effect_of_many_rows_is_below_its_threshold(case):
    test, shape = case
    rng = np.random.default_rng(11)
    found = test.compare(*make(test, shape, rng.normal(size=30_000), rng.normal(size=30_000)), seed=0)
    assert abs(found.effect) < test.effect


def test_the_order_of_rows_does_not_matter(case):
    test, shape = case
    rng = np.random.default_rng(3)
    (x, a), (y, b) = clustered(60, rng), clustered(50, rng, shift=0.1)
    first, second = rng.permutation(len(x)), rng.permutation(len(y))
    for clusters in ((None, None), (a, b)):
        moved = (None, None) if clusters[0] is None else (a[first], b[second])
        here = test.compare(*make(test, shape, x, y, clusters), seed=1)
        if shape is not Rows and clusters[0] is None and test.name == "mmd":
            continue  # its groups are the state's, by row
        there = test.compare(*make(test, shape, x[first], y[second], moved), seed=1)
        assert there.p_value == pytest.approx(here.p_value, rel=1e-9)
        assert there.effect == pytest.approx(here.effect, rel=1e-9)


def test_the_same_seed_gives_the_same_outcome(case):
    test, shape = case
    rng = np.random.default_rng(5)
    windows = make(test, shape, rng.normal(size=80), rng.normal(0.2, 1, size=70))
    assert repr(test.compare(*windows, seed=4)) == repr(test.compare(*windows, seed=4))


def test_exchanging_the_windows_keeps_the_statistic(case):
    test, shape = case
    if test.name not in SYMMETRIC:
        pytest.skip("its effect is in the unit of the reference, or it has a direction")
    rng = np.random.default_rng(6)
    first, second = make(test, shape, rng.normal(size=90), rng.normal(0.4, 1, size=60))
    here, there = test.compare(first, second, seed=0), test.compare(second, first, seed=0)
    assert there.statistic == pytest.approx(here.statistic)
    assert abs(there.effect) == pytest.approx(abs(here.effect))
    assert math.log(there.p_value) == pytest.approx(math.log(here.p_value), rel=0.3)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 20), (20, 0)])
def test_nothing_can_be_said_of_a_window_without_rows(case, n, m):
    test, shape = case
    found = test.compare(*make(test, shape, np.arange(n, dtype=float), np.arange(m, dtype=float)), seed=0)
    assert math.isnan(found.p_value)
    assert math.isnan(found.effect)
    assert found.detail["law"]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 30), (2, 2), (3, 8)])
def test_few_rows_are_no_evidence_and_no_error(case, n, m):
    test, shape = case
    rng = np.random.default_rng(9)
    found = test.compare(*make(test, shape, rng.normal(size=n), rng.normal(size=m)), seed=0)
    assert math.isnan(found.p_value) or 0.001 < found.p_value <= 1


def test_a_column_that_does_not_vary_is_no_drift(case):
    test, shape = case
    found = test.compare(*make(test, shape, np.full(50, 2.0), np.full(40, 2.0)), seed=0)
    assert math.isnan(found.p_value) or found.p_value > 0.5
    assert math.isnan(found.effect) or found.effect == pytest.approx(0, abs=1e-9)


def test_clusters_that_are_one_are_too_few(case):
    test, shape = case
    rng = np.random.default_rng(2)
    one = np.zeros(60, dtype=np.int64)
    found = test.compare(*make(test, shape, rng.normal(size=60), rng.normal(1, 1, size=60), (one, one)), seed=0)
    assert math.isnan(found.p_value)
    assert "few" in str(found.detail["law"])


def test_the_interval_holds_the_effect(case):
    test, shape = case
    rng = np.random.default_rng(8)
    found = test.compare(*make(test, shape, rng.normal(size=300), rng.normal(0.3, 1, size=200)), seed=0)
    if not math.isnan(found.effect_low):
        assert found.effect_low < found.effect < found.effect_high


def test_the_smallest_effect_falls_with_rows_and_grows_with_clusters(case):
    test, _ = case
    here = test.smallest_effect(500, 300, 0.05)
    assert 0 < here < math.inf
    assert test.smallest_effect(50_000, 30_000, 0.05) == pytest.approx(here / 10, rel=0.02) or test.name == "psi"
    assert test.smallest_effect(500, 300, 0.0005) > here
    assert test.smallest_effect(500, 300, 0.05, design=3.0) > here
    assert math.isinf(test.smallest_effect(0, 300, 0.05))


def test_a_test_says_what_it_is(case):
    test, _ = case
    assert dataclasses.is_dataclass(test)
    assert type(test).__dataclass_params__.frozen
    assert test.name in ROOM.names()
    assert test.kinds
    assert set(test.kinds) <= set(get_args(ColumnKind))
    assert test.on == ("rows" if test.takes[0] is Rows else "state")
    assert test.effect > 0
    text = ROOM.describe(test.name)
    for field in dataclasses.fields(test):
        assert f"    {field.name}: " in text, f"{test.name}: the option {field.name} is not described"
    assert "Source:" in text
    assert "The default" in text, f"{test.name}: its threshold has no reason"


def test_the_page_of_tests_names_each_with_its_threshold():
    page = (Path(__file__).parents[2] / "docs" / "drift-tests.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert sorted(rows) == sorted(ROOM.names())
    for name, row in rows.items():
        assert row.rstrip(" |").endswith(f"| {make_test(name).effect:g}")
