import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from evalharness.stats.fisher import doubled_tails, fisher_exact, independent_newcombe


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_scipys(n, m, p, q):
    a, b = round(p * n), round(q * m)
    theirs = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
    assert fisher_exact(a, n, b, m) == pytest.approx(theirs, rel=1e-6)
    assert fisher_exact(a, n, b, m, mid=True) <= fisher_exact(a, n, b, m)


def test_many_rows_and_a_tiny_p_value():
    assert fisher_exact(2000, 100_000, 2300, 100_000) == pytest.approx(
        stats.fisher_exact([[2000, 98_000], [2300, 97_700]]).pvalue, rel=1e-6
    )
    z = (0.0205 - 0.02) / math.sqrt(0.02025 * (1 - 0.02025) * 2 / 1e7)
    found = fisher_exact(200_000, 10_000_000, 205_000, 10_000_000)
    assert math.log(found) == pytest.approx(math.log(2 * stats.norm.sf(z)), rel=0.01)
    assert fisher_exact(0, 10**7, 5 * 10**6, 10**7) > 0


def test_mid_p_takes_half_of_the_table_off():
    table = stats.hypergeom(20, 7, 10)
    assert fisher_exact(5, 10, 2, 10) - fisher_exact(5, 10, 2, 10, mid=True) == pytest.approx(table.pmf(5) / 2)


def test_nothing_and_bad_counts():
    assert math.isnan(fisher_exact(0, 0, 1, 2))
    assert fisher_exact(0, 5, 0, 5) == 1.0
    with pytest.raises(ValueError, match="between 0 and n"):
        fisher_exact(3, 2, 1, 2)


@pytest.mark.parametrize(("a", "n", "b", "m"), [(5, 40, 9, 50), (0, 10, 3, 12), (999, 1000, 400, 500)])
def test_newcombe_is_statsmodels(a, n, b, m):
    theirs = confint_proportions_2indep(b, m, a, n, method="newcomb", compare="diff")
    assert tuple(independent_newcombe(a, n, b, m)) == pytest.approx(theirs)
    assert math.isnan(independent_newcombe(0, 0, 1, 2).low)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_doubled_tails_are_those_of_the_hypergeometric_law(n, m, data):
    from scipy.stats import hypergeom

    yes = data.draw(st.integers(0, n + m))
    law = hypergeom(n + m, yes, n)
    found = doubled_tails(yes, n, m)
    assert found.shape == (yes + 1,)
    for j in range(max(0, yes - m), min(n, yes) + 1):
        assert found[j] == pytest.approx(min(1, 2 * min(law.cdf(j), law.sf(j - 1))), rel=1e-9)
    assert found[0] == found[max(0, yes - m)]
    assert found[-1] == found[min(n, yes)]
