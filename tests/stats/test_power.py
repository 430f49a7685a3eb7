from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from evalharness.stats.power import (
    design_effect,
    minimum_detectable,
    minimum_detectable_proportion,
    paired_variance,
    pairs_for_margin,
    power_of,
    power_of_proportion,
    samples_for_proportion,
)

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "power.json"


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_miller_s_examples():
    rows = json.loads(VECTORS.read_text())["rows"]
    assert len(rows) == 3
    for row in rows:
        variance = row["omega2"] + 2 * row["s2"] / row["K"]
        assert pairs_for_margin(row["delta"], variance, sides=2) == math.ceil(row["n"]), row


@pytest.mark.parametrize(("discordance", "n"), [(0.02, 1237), (0.05, 3092), (0.10, 6183), (0.20, 12366)])
def test_non_inferiority_within_a_point(discordance, n):
    assert pairs_for_margin(0.01, paired_variance(discordance)) == n
    assert power_of(n, 0.01, discordance) >= 0.8 > power_of(n - 1, 0.01, discordance)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("difference", [0.0, 0.02, -0.01])
def test_equals_statsmodels(sides, difference):
    variance, margin, n = 0.3, 0.05, 700
    theirs = NormalIndPower().power(
        (margin + difference) / math.sqrt(variance),
        n,
        0.05,
        ratio=0,
        alternative="two-sided" if sides == 2 else "larger",
    )
    assert power_of(n, margin, variance, difference=difference, sides=sides) == pytest.approx(theirs, abs=1e-12)
    solved = NormalIndPower().solve_power(
        (margin + difference) / math.sqrt(variance),
        alpha=0.05,
        power=0.9,
        ratio=0,
        alternative="two-sided" if sides == 2 else "larger",
    )
    assert pairs_for_margin(margin, variance, power=0.9, difference=difference, sides=sides) == math.ceil(solved)


def test_the_minimum_detectable_is_what_the_pairs_are_enough_for():
    found = minimum_detectable(0.07, 900)
    assert found == pytest.approx(2.80 * math.sqrt(0.07 / 900), rel=1e-3)
    assert pairs_for_margin(found, 0.07, sides=2) == 900


def test_power_by_simulation():
    rng = np.random.default_rng(0)
    n = samples_for_proportion(0.95, 0.9)
    p, limit = 0.95, 0.9
    x = rng.binomial(n, p, 40_000) / n
    shown = (x - limit) / math.sqrt(limit * (1 - limit) / n) > 1.6448536269514722
    assert shown.mean() == pytest.approx(power_of_proportion(n, p, limit), abs=0.03)
    assert power_of_proportion(n, p, limit) >= 0.8 > power_of_proportion(n - 1, p, limit)


def test_fleiss_table():
    # Fleiss, Levin and Paik 2003, eq. 2.8, for p0 = .5, p1 = .6, two-sided .05, power .8:
    # (1.95996·.5 + .84162·sqrt(.24))²/.01 = 193.8.
    assert samples_for_proportion(0.6, 0.5, sides=2) == 194


@pytest.mark.parametrize("above", [True, False])
def test_minimum_detectable_proportion(above):
    found = minimum_detectable_proportion(0.7, 400, above=above)
    p = 0.7 + found if above else 0.7 - found
    assert power_of_proportion(400, p, 0.7) == pytest.approx(0.8, abs=1e-9)
    assert math.isnan(minimum_detectable_proportion(0.99, 20, above=True))


def test_design_effect():
    assert design_effect(1, 0.5) == 1
    assert design_effect(10, 0.2) == pytest.approx(2.8)


def test_no_variance():
    assert power_of(10, 0.01, 0.0) == 1.0
    assert power_of(10, 0.01, 0.0, difference=-0.02) == 0.0
    assert pairs_for_margin(0.01, 0.0) == 2
    assert paired_variance(0.1, 0.1) == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pairs_for_margin(0.01, 0.1, difference=-0.01), "no number of samples"),
        (lambda: samples_for_proportion(0.9, 0.9), "no number of samples"),
        (lambda: pairs_for_margin(0.01, 0.1, alpha=0), "alpha and power"),
        (lambda: pairs_for_margin(0.01, 0.1, power=1), "alpha and power"),
        (lambda: pairs_for_margin(0.01, 0.1, sides=3), "sides"),
        (lambda: power_of(0, 0.01, 0.1), "n must be at least 1"),
        (lambda: minimum_detectable(-0.1, 10), "variance"),
        (lambda: minimum_detectable(0.1, 0), "n must be at least 1"),
        (lambda: paired_variance(0.05, 0.1), "share of pairs"),
        (lambda: power_of_proportion(10, 0.5, 1.0), "limit"),
        (lambda: power_of_proportion(0, 0.5, 0.4), "n must be at least 1"),
        (lambda: design_effect(0, 0.1), "cluster"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
