from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalharness.stats.intervals import mean_interval
from evalharness.stats.repeats import repeat_variance, repeats_needed, standard_error_of_mean


def simulated(n, r, *, between, within, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, math.sqrt(between), (n, 1)) + rng.normal(0, math.sqrt(within), (n, r))


def test_equals_reml_of_statsmodels():
    from statsmodels.regression.mixed_linear_model import MixedLM

    values = simulated(40, 5, between=2.0, within=1.0)
    fit = MixedLM(values.ravel(), np.ones(200), groups=np.repeat(np.arange(40), 5)).fit(reml=True)
    found = repeat_variance(values)
    assert found.within == pytest.approx(float(fit.scale), rel=1e-4)
    assert found.between == pytest.approx(float(fit.cov_re[0, 0]), rel=1e-4)


def test_mean_squares_are_those_of_the_analysis_of_variance():
    values = simulated(6, 4, between=1.0, within=1.0)
    values[0, 2:] = math.nan
    values[3, 1] = math.nan
    groups = [row[~np.isnan(row)] for row in values]
    found = repeat_variance(values)
    sizes = np.array([len(g) for g in groups])
    r0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / 5
    # F = MSB/MSW, and MSB = within + r₀·between.
    f = scipy_stats.f_oneway(*groups).statistic
    assert (found.within + r0 * found.between) / found.within == pytest.approx(f, rel=1e-9)
    assert found.n_samples == 6
    assert found.n_repeats == pytest.approx(sizes.mean())


def test_is_unbiased():
    draws = [repeat_variance(simulated(10, 3, between=2.0, within=1.0, seed=s)) for s in range(1500)]
    assert np.mean([d.within for d in draws]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([d.between for d in draws]) == pytest.approx(2.0, abs=0.1)
    assert draws[0].share_within == pytest.approx(draws[0].within / (draws[0].within + draws[0].between))


def test_the_standard_error_at_the_repeats_measured_is_that_of_the_samples_means():
    values = simulated(30, 4, between=2.0, within=1.0)
    found = repeat_variance(values)
    means = values.mean(axis=1)
    assert standard_error_of_mean(found, n_repeats=4) == pytest.approx(means.std(ddof=1) / math.sqrt(30), rel=1e-9)
    low, high = mean_interval(means)
    assert found.mean == pytest.approx((low + high) / 2)
    assert standard_error_of_mean(found, n_samples=120, n_repeats=4) == pytest.approx(
        standard_error_of_mean(found, n_repeats=4) / 2
    )


def test_repeats_needed():
    found = repeat_variance(simulated(50, 4, between=1.0, within=4.0))
    for r in (1, 2, 4, 9):
        assert repeats_needed(found, standard_error_of_mean(found, n_repeats=r)) == r
    assert repeats_needed(found, math.sqrt(found.between / 50)) is None
    assert repeats_needed(found, 100.0) == 1


@pytest.mark.parametrize(
    ("values", "nan"),
    [
        (np.zeros((0, 3)), ("mean", "between", "within")),
        ([[1.0], [2.0]], ("between", "within")),
        ([[1.0, 2.0]], ("between",)),
        ([[1.0, math.nan], [math.nan, math.nan]], ("between", "within")),
    ],
)
def test_what_cannot_be_known_is_nan(values, nan):
    found = repeat_variance(values)
    assert {name for name in ("mean", "between", "within") if math.isnan(getattr(found, name))} == set(nan)


def test_no_variance_at_all():
    found = repeat_variance(np.full((4, 3), 0.1))
    assert found.between == 0
    assert found.within == pytest.approx(0, abs=1e-30)


def test_refuses():
    with pytest.raises(ValueError, match="samples, repeats"):
        repeat_variance([1.0])
    with pytest.raises(ValueError, match="finite"):
        repeat_variance([[1.0, math.inf]])
    found = repeat_variance([[1.0, 2.0], [2.0, 3.0]])
    with pytest.raises(ValueError, match="at least 1"):
        standard_error_of_mean(found, n_repeats=0)
    with pytest.raises(ValueError, match="positive standard error"):
        repeats_needed(found, 0.0)
