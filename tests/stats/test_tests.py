from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from evalharness.stats.intervals import mean_interval
from evalharness.stats.tests import mcnemar, paired_t

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "mcnemar.json"
METHODS = ("exact", "mid-p", "asymptotic")


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_agrees_with_the_shared_vectors():
    rows = json.loads(VECTORS.read_text())
    assert len(rows) > 3
    for row in rows:
        for method, name in (("exact", "exact"), ("mid-p", "midp"), ("asymptotic", "chi2")):
            assert mcnemar(row["b"], row["c"], method=method).p_value == pytest.approx(row[name], abs=1e-12), row


def test_fagerland_2013():
    # Fagerland, Lydersen and Laake 2013 (BMC Med Res Methodol 13:91), table 6: b = 1, c = 7.
    found = {method: mcnemar(1, 7, method=method).p_value for method in METHODS}
    assert found == pytest.approx({"asymptotic": 0.034, "exact": 0.070, "mid-p": 0.039}, abs=5e-4)


@given(st.integers(0, 300), st.integers(0, 300))
def test_equals_statsmodels(b, c):
    table = [[7, b], [c, 9]]
    assert mcnemar(b, c, method="exact").p_value == pytest.approx(
        statsmodels_mcnemar(table, exact=True).pvalue, rel=1e-9
    )
    if b + c:
        theirs = statsmodels_mcnemar(table, exact=False, correction=False)
        ours = mcnemar(b, c, method="asymptotic")
        assert ours.statistic**2 == pytest.approx(theirs.statistic, rel=1e-12)
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_sides(b, c):
    coin = scipy_stats.binom(b + c, 0.5)
    above, below = (mcnemar(b, c, method="exact", alternative=side).p_value for side in ("greater", "less"))
    assert above == pytest.approx(coin.sf(b - 1), rel=1e-9)
    assert below == pytest.approx(coin.cdf(b), rel=1e-9)
    if b + c:
        mid = [mcnemar(b, c, alternative=side).p_value for side in ("greater", "less")]
        assert sum(mid) == pytest.approx(1.0, abs=1e-9)
        assert mid[0] == pytest.approx(above - 0.5 * coin.pmf(b), abs=1e-12)
    assert mcnemar(b, c, alternative="greater").p_value == pytest.approx(
        mcnemar(c, b, alternative="less").p_value, rel=1e-9
    )


@pytest.mark.parametrize(("b", "c"), [(0, 900), (40_000, 41_000), (100_000, 0), (70_000, 70_000)])
def test_many_pairs_keep_their_digits(b, c):
    expected = scipy_stats.binomtest(min(b, c), b + c).pvalue
    assert mcnemar(b, c, method="exact").p_value == pytest.approx(expected, rel=1e-7)


def test_no_pair_that_differs_is_no_evidence():
    for method in METHODS:
        for side in ("two-sided", "greater", "less"):
            assert mcnemar(0, 0, method=method, alternative=side).p_value == 1.0


@pytest.mark.parametrize(
    ("b", "c", "options", "message"),
    [
        (-1, 2, {}, "count pairs"),
        (1.5, 2, {}, "count pairs"),
        (1, 2, {"method": "midp"}, "exact, mid-p, asymptotic"),
        (1, 2, {"alternative": "smaller"}, "two-sided, greater, less"),
    ],
)
def test_mcnemar_refuses(b, c, options, message):
    with pytest.raises(ValueError, match=message):
        mcnemar(b, c, **options)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("shift", [0.0, -0.3, 5.0])
def test_paired_t_equals_scipy(alternative, shift):
    values = np.random.default_rng(4).normal(0.2, 1, 31)
    theirs = scipy_stats.ttest_1samp(values, shift, alternative=alternative)
    assert paired_t(values, shift=shift, alternative=alternative)[:2] == pytest.approx(theirs, rel=1e-9)


def test_clustered_t_is_that_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(12), 5)
    values = rng.normal(0.3, 1, 60) + rng.normal(0, 1, 12)[codes]
    fit = sm.OLS(values, np.ones(60)).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "df_correction": True}, use_t=True
    )
    found = paired_t(values, codes=codes)
    # statsmodels' factor is C/(C − 1)·(n − 1)/(n − 1); its degrees of freedom C − 1.
    assert found.statistic == pytest.approx(float(fit.tvalues[0]), rel=1e-9)
    assert found.p_value == pytest.approx(float(fit.pvalues[0]), rel=1e-9)
    assert found.method == "paired t, clustered"


def test_the_test_and_the_interval_agree():
    values = np.random.default_rng(2).gamma(2, size=20)
    codes = np.arange(20) // 2
    for given_codes in (None, codes):
        low, high = mean_interval(values, codes=given_codes)
        for edge in (low, high):
            assert paired_t(values, codes=given_codes, shift=edge).p_value == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([], None),
        ([0.3], None),
        ([0.1] * 9, None),
        ([1.0, math.nan, 2.0], None),
        ([0.0, 1.0], np.array([0, 0])),
        ([0.1, 0.3, 0.3, 0.1], np.array([0, 0, 1, 1])),
    ],
)
def test_what_does_not_vary_says_nothing(values, codes):
    found = paired_t(values, codes=codes)
    assert math.isnan(found.statistic)
    assert math.isnan(found.p_value)


def test_paired_t_refuses():
    with pytest.raises(ValueError, match="one-dimensional"):
        paired_t(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="codes"):
        paired_t([1.0, 2.0], codes=np.array([0]))
