from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalharness.stats.ppi import PPI_COLUMNS, ppi_interval, ppi_mean, ppi_power, ppi_rows, ppi_standard_error

NAN = math.nan


def totals_of(judged, rated):
    return ppi_rows(judged, rated).sum(axis=0)


def by_hand(judged, rated, power=None):
    """The estimate and its standard error, from the formulas and the values themselves."""
    judged, rated = np.asarray(judged, dtype=float), np.asarray(rated, dtype=float)
    known = ~np.isnan(rated)
    y, f, other = rated[known], judged[known], judged[~known]
    n, m = len(y), len(other)
    if power is None:
        power = np.cov(y, f)[0, 1] / (f.var(ddof=1) + n / m * other.var(ddof=1))
        power = min(1.0, max(0.0, power))
    value = power * other.mean() + (y - power * f).mean()
    return value, math.sqrt(power**2 * other.var(ddof=1) / m + (y - power * f).var(ddof=1) / n), power


def draw(rng, n, others, *, noise=0.5, bias=1.0):
    """Ratings y of mean 3, judgements that are off by `bias` and by noise, ratings known of the first n only."""
    y = rng.normal(3, 1, n + others)
    judged = y + bias + rng.normal(0, noise, n + others)
    rated = np.where(np.arange(n + others) < n, y, NAN)
    return judged, rated


@pytest.mark.parametrize("noise", [0.1, 1.0, 20.0])
def test_is_what_the_formulas_say(noise):
    judged, rated = draw(np.random.default_rng(3), 30, 200, noise=noise)
    totals = totals_of(judged, rated)
    value, error, power = by_hand(judged, rated)
    assert ppi_power(totals) == pytest.approx(power, abs=1e-12)
    assert ppi_mean(totals) == pytest.approx(value, abs=1e-12)
    assert ppi_standard_error(totals) == pytest.approx(error, abs=1e-12)
    low, high = ppi_interval(totals, confidence=0.9)
    half = scipy_stats.t.ppf(0.95, 29) * error
    assert (low, high) == pytest.approx((value - half, value + half), abs=1e-9)


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_a_given_power(power):
    judged, rated = draw(np.random.default_rng(4), 12, 60)
    totals = totals_of(judged, rated)
    value, error, _ = by_hand(judged, rated, power)
    assert ppi_mean(totals, power=power) == pytest.approx(value, abs=1e-12)
    assert ppi_standard_error(totals, power=power) == pytest.approx(error, abs=1e-12)


def test_no_power_is_the_mean_of_people():
    judged, rated = draw(np.random.default_rng(5), 20, 100)
    y = rated[:20]
    totals = totals_of(judged, rated)
    assert ppi_mean(totals, power=0) == pytest.approx(y.mean(), abs=1e-12)
    assert ppi_standard_error(totals, power=0) == pytest.approx(y.std(ddof=1) / math.sqrt(20), abs=1e-12)


def test_every_answer_rated():
    """N = 0: people have said it all."""
    judged, rated = draw(np.random.default_rng(6), 25, 0)
    totals = totals_of(judged, rated)
    assert ppi_power(totals) == 0
    assert ppi_mean(totals) == ppi_mean(totals, power=1) == pytest.approx(rated.mean(), abs=1e-12)
    assert ppi_standard_error(totals) == pytest.approx(rated.std(ddof=1) / 5, abs=1e-12)


def test_one_rating():
    totals = totals_of([4, 1, 2], [3, NAN, NAN])
    assert ppi_power(totals) == 0
    assert ppi_mean(totals) == 3
    assert math.isnan(ppi_standard_error(totals))


def test_no_rating():
    for judged, rated in (([4, 1, 2], [NAN] * 3), ([], []), ([NAN], [2.0])):
        totals = totals_of(judged, rated)
        assert math.isnan(ppi_mean(totals))
        assert math.isnan(ppi_standard_error(totals))
        assert all(map(math.isnan, ppi_interval(totals)))


def test_a_single_answer_without_rating():
    totals = totals_of([1, 2, 3, 2], [1, 2, 3, NAN])
    assert ppi_power(totals) == pytest.approx(1 / (1 + 3), abs=1e-12)
    assert ppi_mean(totals) == pytest.approx(2)
    assert math.isfinite(ppi_standard_error(totals))


@pytest.mark.parametrize("judged", [[0.1] * 6, [5, 3, 1, 2, 2, 2]])
def test_a_judge_without_worth_is_left_out(judged):
    """One that says the same of everything, and one that goes against people."""
    totals = totals_of(judged, [1, 2, 4, NAN, NAN, NAN])
    assert ppi_power(totals) == 0
    assert ppi_mean(totals) == pytest.approx(7 / 3)


def test_a_perfect_judge_makes_of_few_ratings_as_many_as_there_are_answers():
    rng = np.random.default_rng(8)
    y = rng.normal(0, 1, 2000)
    totals = totals_of(y - 5, np.where(np.arange(2000) < 50, y, NAN))
    assert ppi_mean(totals) == pytest.approx(y.mean(), abs=0.01)
    assert ppi_standard_error(totals) == pytest.approx(1 / math.sqrt(2000), rel=0.1)


def test_never_wider_than_people_alone():
    rng = np.random.default_rng(9)
    for _ in range(300):
        noise = rng.choice([0.01, 1, 30])
        judged, rated = draw(rng, int(rng.integers(2, 30)), int(rng.integers(0, 60)), noise=noise)
        totals = totals_of(judged, rated)
        assert ppi_standard_error(totals) <= ppi_standard_error(totals, power=0) * (1 + 1e-9)


@pytest.mark.parametrize(("noise", "bias"), [(0.3, 0.0), (0.7, 2.0), (5.0, -1.0)])
def test_coverage(noise, bias):
    """A nominal 95 % interval holds the true mean in 93 to 97 % of draws, whatever the judge; a good one pays off."""
    rng = np.random.default_rng(11)
    rows = np.stack([totals_of(*draw(rng, 100, 1000, noise=noise, bias=bias)) for _ in range(2000)])
    low, high = ppi_interval(rows)
    covered = ((low <= 3) & (high >= 3)).mean()
    assert 0.93 <= covered <= 0.97
    assert ppi_mean(rows).mean() == pytest.approx(3, abs=0.015)
    # The judge alone is off by its bias.
    people_low, people_high = ppi_interval(rows, power=0)
    width = (high - low).mean() / (people_high - people_low).mean()
    assert width <= {0.3: 0.5, 0.7: 0.75, 5.0: 1.0}[noise]


def zeros_and_ones(rng, n, *, kind=0.0, strict=0.0):
    """Of 1,000 answers 70 % are good; the judge takes `kind` of the bad for good, and `strict` of the good for bad."""
    y = (rng.random(n + 1000) < 0.7).astype(float)
    wrong = rng.random(n + 1000) < np.where(y == 1, strict, kind)
    return np.where(wrong, 1 - y, y), np.where(np.arange(n + 1000) < n, y, NAN)


def test_coverage_of_zeros_and_ones():
    rng = np.random.default_rng(12)
    rows = np.stack([totals_of(*zeros_and_ones(rng, 100, kind=0.15, strict=0.15)) for _ in range(2000)])
    low, high = ppi_interval(rows)
    assert 0.93 <= ((low <= 0.7) & (high >= 0.7)).mean() <= 0.97


@pytest.mark.parametrize(("n", "most"), [(20, 0.8), (30, 0.75), (100, 0.65), (300, 0.7)])
def test_a_judge_that_is_rarely_wrong(n, most):
    """Few ratings may hold none of its errors: without the ends of the scale the interval would be far too narrow."""
    rng = np.random.default_rng(13)
    rows = np.stack([totals_of(*zeros_and_ones(rng, n, kind=0.15)) for _ in range(1500)])
    low, high = ppi_interval(rows, ends=(0, 1))
    assert ((low <= 0.7) & (high >= 0.7)).mean() >= 0.935
    people_low, people_high = ppi_interval(rows, power=0)
    assert (high - low).mean() <= most * (people_high - people_low).mean()
    if n == 30:
        low, high = ppi_interval(rows)
        assert ((low <= 0.7) & (high >= 0.7)).mean() < 0.85


def test_the_ends_do_not_move_the_mean():
    judged, rated = draw(np.random.default_rng(14), 20, 80)
    totals = totals_of(judged, rated)
    low, high = ppi_interval(totals, ends=(0, 5))
    assert (low + high) / 2 == pytest.approx(float(ppi_mean(totals)), abs=1e-12)
    more = [0, 0, 5, 5], [0, 5, 0, 5]
    widened = totals_of(np.append(judged, more[0]), np.append(rated, more[1]))
    assert (high - low) / 2 == pytest.approx(
        scipy_stats.t.ppf(0.975, 19) * float(ppi_standard_error(widened)), abs=1e-12
    )


def test_rows_add_up_and_totals_are_vectorised():
    judged, rated = draw(np.random.default_rng(13), 20, 30)
    rows = ppi_rows(judged, rated)
    assert rows.shape == (50, len(PPI_COLUMNS))
    weights = np.random.default_rng(0).integers(0, 3, (2, 4, 50))
    for kernel in (ppi_mean, ppi_power, ppi_standard_error):
        found = kernel(weights @ rows)
        assert found.shape == (2, 4)
        for index in np.ndindex(2, 4):
            many = weights[index]
            alone = kernel(totals_of(np.repeat(judged, many), np.repeat(rated, many)))
            assert found[index] == pytest.approx(float(alone), abs=1e-9)


def test_what_was_not_judged_is_left_out():
    assert not ppi_rows([NAN, NAN], [3.0, NAN]).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ppi_rows([1, 2], [1]), "one length"),
        (lambda: ppi_rows([1, math.inf], [1, 2]), "finite"),
        (lambda: ppi_mean([1, 2]), "totals must be"),
        (lambda: ppi_mean(np.zeros(9), power=1.5), "between 0 and 1"),
        (lambda: ppi_interval(np.zeros(9), confidence=1.0), "between 0 and 1"),
        (lambda: ppi_interval(np.zeros(9), ends=(1, 1)), "ascending"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
