from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from evalharness.stats.anytime import (
    asymptotic_sequence,
    confidence_sequence_mean,
    confidence_sequence_proportion,
    e_value_proportion,
    proportion_at,
)
from evalharness.stats.intervals import clopper_pearson


def plug_in_bernstein(values, alpha):
    """Theorem 2 of Waudby-Smith and Ramdas 2024, word for word and one value at a time."""
    mean, variance, bounds = 0.5, 0.25, []
    total, squares, bets, weighted, paid = 0.5, 0.25, 0.0, 0.0, 0.0
    for t, x in enumerate(values, 1):
        bet = min(math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(1 + t))), 0.5)
        psi = (-math.log(1 - bet) - bet) / 4
        paid += 4 * (x - mean) ** 2 * psi
        bets += bet
        weighted += bet * x
        half = (math.log(2 / alpha) + paid) / bets
        bounds.append((weighted / bets - half, weighted / bets + half))
        total += x
        mean = total / (t + 1)
        squares += (x - mean) ** 2
        variance = squares / (t + 1)
    lows, highs = zip(*bounds, strict=True)
    return np.stack([np.maximum.accumulate(np.maximum(lows, 0)), np.minimum.accumulate(np.minimum(highs, 1))], axis=1)


def test_the_mean_s_sequence_is_the_published_one():
    values = np.random.default_rng(0).beta(2, 5, 300)
    assert confidence_sequence_mean(values, (0, 1), alpha=0.1) == pytest.approx(
        plug_in_bernstein(values, 0.1), abs=1e-12
    )


def test_it_moves_with_its_bounds():
    values = np.random.default_rng(0).random(50)
    plain = confidence_sequence_mean(values, (0, 1))
    assert confidence_sequence_mean(values * 200 - 100, (-100, 100)) == pytest.approx(plain * 200 - 100, abs=1e-9)


@pytest.mark.parametrize(("s", "n"), [(0, 7), (3, 10), (50, 50), (480, 500)])
def test_the_mixture_is_an_integral(s, n):
    """M_n(p) by numerical integration of the likelihood ratio over Jeffreys' prior, and the bounds by scipy's roots."""

    def ratio(p):
        def integrand(angle):  # q = sin², which takes Jeffreys' prior to the uniform one
            q = math.sin(angle) ** 2
            return math.exp(special.xlogy(s, q / p) + special.xlogy(n - s, (1 - q) / (1 - p)))

        return integrate.quad(integrand, 0, math.pi / 2, limit=500, points=[math.asin(math.sqrt(s / n))])[0] / (
            math.pi / 2
        )

    for p in (0.3, 0.8):
        assert e_value_proportion(s, n, p) == pytest.approx(ratio(p), rel=1e-6)
    low, high = proportion_at(s, n)
    point = s / n
    log = math.log(20)
    if s:
        root = optimize.brentq(lambda p: math.log(ratio(p)) - log, low / 2, point - 1e-9)
        assert low == pytest.approx(root, abs=1e-6)
    else:
        assert low == 0.0
    if s < n:
        root = optimize.brentq(lambda p: math.log(ratio(p)) - log, point + 1e-9, (1 + high) / 2)
        assert high == pytest.approx(root, abs=1e-6)
    else:
        assert high == 1.0


@pytest.mark.parametrize("p", [0.5, 0.9, 0.97])
def test_proportions_are_covered_at_all_times(p):
    """400 samples looked at after each: the truth leaves the sequence in at most 5 % of the runs, ever."""
    rng = np.random.default_rng(2)
    n = np.arange(1, 401)
    e_max, excluded = [], 0
    for _ in range(400):
        s = np.cumsum(rng.random(400) < p)
        log = special.betaln(0.5 + s, 0.5 + n - s) - special.betaln(0.5, 0.5) - s * np.log(p) - (n - s) * np.log1p(-p)
        e_max.append(log.max())
    excluded = np.mean(np.array(e_max) >= math.log(20))
    assert excluded <= 0.05
    assert excluded > 0.002
    s = np.cumsum(rng.random(400) < p)
    rows = confidence_sequence_proportion(s, n)
    for k in (0, 9, 399):
        assert tuple(rows[k]) == proportion_at(s[k], n[k])
        inside = rows[k, 0] < p < rows[k, 1]
        assert inside == (e_value_proportion(s[k], n[k], p) < 20)


def test_a_fixed_interval_is_not_valid_at_all_times():
    """What the sequence is for: Clopper-Pearson looked at after each sample misses the truth far too often."""
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(150):
        s = np.cumsum(rng.random(200) < 0.5)
        missed += any(not (lo <= 0.5 <= hi) for lo, hi in (clopper_pearson(s[i], i + 1) for i in range(9, 200, 5)))
    assert missed / 150 > 0.1


@pytest.mark.parametrize(("a", "b"), [(1, 1), (9, 1), (0.5, 2)])
def test_means_are_covered_at_all_times(a, b):
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(300):
        found = confidence_sequence_mean(rng.beta(a, b, 300), (0, 1), alpha=0.1)
        # Intersected: the truth is in all of them where it is in the last.
        hits.append(found[-1, 0] <= a / (a + b) <= found[-1, 1])
        assert (np.diff(found[:, 0]) >= 0).all()
        assert (np.diff(found[:, 1]) <= 0).all()
    assert np.mean(hits) >= 0.9


def test_the_asymptotic_sequence_covers_and_is_narrowest_where_told():
    rng = np.random.default_rng(5)
    n = np.arange(150, 1001)
    missed = 0
    for _ in range(300):
        x = rng.exponential(size=1000) - 1
        mean = np.cumsum(x)[149:] / n
        variance = np.cumsum(x**2)[149:] / n - mean**2
        bounds = [
            asymptotic_sequence(*v, narrowest_at=200) for v in zip(n[::10], mean[::10], variance[::10], strict=True)
        ]
        missed += any(low > 0 or high < 0 for low, high in bounds)
    assert missed / 300 < 0.06
    widths = {m: asymptotic_sequence(200, 0, 1, narrowest_at=m).high for m in (20, 100, 200, 400, 2000)}
    assert min(widths, key=widths.__getitem__) == 200
    assert 1.3 < widths[200] / (1.96 / math.sqrt(200)) < 1.7


def test_the_formula_of_the_asymptotic_sequence():
    # Waudby-Smith et al. 2024, equation 2: s·sqrt(2(tρ² + 1)/(t²ρ²)·log(sqrt(tρ² + 1)/α)).
    rho = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 100
    half = 0.7 * math.sqrt(2 * (60 * rho + 1) / (60**2 * rho) * math.log(math.sqrt(60 * rho + 1) / 0.05))
    assert asymptotic_sequence(60, 0.2, 0.49, narrowest_at=100) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-12)


def test_nothing_seen_yet():
    assert confidence_sequence_mean([], (0, 1)).shape == (0, 2)
    assert confidence_sequence_proportion([], []).shape == (0, 2)
    assert proportion_at(0, 0) == (0.0, 1.0)
    assert e_value_proportion(0, 0, 0.3) == 1.0
    assert all(map(math.isnan, asymptotic_sequence(1, 0.5, 0.1)))
    assert all(map(math.isnan, asymptotic_sequence(50, 0.5, 0.0)))


def test_impossible_rates_are_refuted_at_once():
    assert e_value_proportion(1, 3, 0.0) == math.inf
    assert e_value_proportion(1, 3, 1.0) == math.inf
    assert e_value_proportion(3, 3, 1.0) < 1


def test_a_sequence_that_contradicts_itself_stays_where_it_last_held():
    values = np.concatenate([np.zeros(3000), np.ones(9000)])
    found = confidence_sequence_mean(values, (0, 1))
    assert (found[:, 0] <= found[:, 1]).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence_sequence_mean([0.5], (1, 0)), "ascending"),
        (lambda: confidence_sequence_mean([0.5], (0, math.inf)), "finite"),
        (lambda: confidence_sequence_mean([1.5], (0, 1)), "within the bounds"),
        (lambda: confidence_sequence_mean([math.nan], (0, 1)), "within the bounds"),
        (lambda: confidence_sequence_mean([0.5], (0, 1), alpha=1.0), "alpha"),
        (lambda: confidence_sequence_proportion([2], [1]), "between 0 and n"),
        (lambda: confidence_sequence_proportion([2, 3], [4]), "one length"),
        (lambda: proportion_at(1, 2, prior=(0.0, 1.0)), "prior"),
        (lambda: e_value_proportion(1, 2, 1.5), "between 0 and 1"),
        (lambda: asymptotic_sequence(5, 0.0, -1.0), "variance"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
