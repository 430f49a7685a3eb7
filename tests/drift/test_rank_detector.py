"""The detector over ranks: its promise, its evidence by hand, and what it sees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from evalharness.core.errors import UsageError
from evalharness.drift.detectors import changes
from evalharness.drift.rank_detector import RankShift, _alternatives

DRAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "yes and no": lambda rng, n: (rng.random(n) < 0.1).astype(float),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.exponential(size=n)),
}


def evidence_of(values, seed=0):
    one, found = RankShift(1e300, seed), []
    for value in values:
        one.update(float(value))
        found.append(one.evidence)
    return np.array(found)


@pytest.mark.parametrize("law", DRAWS)
def test_scores_are_normal_and_independent_whatever_the_law(law):
    one = RankShift()
    z = np.array([one._score(float(v)) for v in DRAWS[law](np.random.default_rng(1), 3_000)])
    assert stats.kstest(z, "norm").pvalue > 0.01
    # Three standard errors of a correlation of 3,000.
    assert abs(np.corrcoef(z[1:], z[:-1])[0, 1]) < 3 / math.sqrt(3_000)


def test_the_evidence_is_the_sum_over_all_times_at_which_a_change_may_have_come():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(size=30), rng.normal(2, 1, 10)])
    scores = RankShift(1e300, 7)
    z = [scores._score(float(v)) for v in values]
    _, means, sds, weights = _alternatives()
    total = 0.0
    for mean, sd, weight in zip(means, sds, weights, strict=True):
        ratios = [stats.norm.pdf(one, mean, sd) / stats.norm.pdf(one) for one in z]
        total += weight * sum(math.prod(ratios[start:]) for start in range(len(ratios)))
    assert weights.sum() == pytest.approx(1.0)
    assert evidence_of(values, seed=7)[-1] == pytest.approx(math.log(total))


def test_a_ratio_is_1_on_average_without_a_change():
    z, step = np.linspace(-14, 14, 2_801, retstep=True)
    one = RankShift()
    ratios = np.stack([one._ratios(float(place)) for place in z])
    np.testing.assert_allclose(stats.norm.pdf(z) @ ratios * step, 1.0, atol=1e-6)


@pytest.mark.parametrize("law", DRAWS)
def test_false_alarms_within_t_values_are_rarer_than_t_of_the_run_length(law):
    rang = 0
    for seed in range(100):
        values = DRAWS[law](np.random.default_rng([seed, 3]), 500)
        rang += float(evidence_of(values, seed).max()) >= math.log(2_500)
    # The bound is 20 of 100; three standard errors are 12.
    assert rang <= 20 + 12


def test_only_the_order_counts():
    values = np.random.default_rng(4).normal(size=400)
    np.testing.assert_array_equal(evidence_of(values), evidence_of(np.exp(3 * values)))


@pytest.mark.parametrize(
    ("way", "change"),
    [
        ("up", lambda v: v + 1),
        ("down", lambda v: v - 1),
        ("wider", lambda v: v * 2.5),
        ("narrower", lambda v: v * 0.3),
    ],
)
def test_what_came_is_named_soon_after(way, change):
    values = np.random.default_rng(5).normal(size=1_000)
    values[600:] = change(values[600:])
    found = changes(values, "rank_shift", run_length=20_000)
    assert [one.way for one in found] == [way]
    assert 600 <= found[0].place < 680


def test_outliers_alone_are_no_shift():
    values = np.random.default_rng(6).normal(size=1_000)
    values[[500, 700, 900]] = 1e9
    assert changes(values, "rank_shift") == []


def test_missing_values_say_nothing():
    values = np.random.default_rng(8).normal(size=50)
    gaps = np.insert(values, 20, math.nan)
    assert evidence_of(gaps)[-1] == evidence_of(values)[-1]


@pytest.mark.parametrize("run_length", [1.0, math.inf, math.nan])
def test_a_run_length_must_be_2_or_more(run_length):
    with pytest.raises(UsageError, match="2 values or more"):
        RankShift(run_length)
