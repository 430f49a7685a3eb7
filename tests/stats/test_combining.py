import numpy as np
import pytest

from evalharness.stats.combining import cauchy_combination, cauchy_evidence, cauchy_statistic

ONES = np.ones(3)


def test_one_p_value_stays_itself():
    for p in (0.9, 0.5, 0.03, 1e-12, 1e-200):
        assert cauchy_combination(np.array([p]), np.ones(1)) == pytest.approx(p)


def test_a_small_one_among_many_costs_its_share():
    assert cauchy_combination(np.array([1e-8, 0.5, 0.5]), ONES) == pytest.approx(3e-8, rel=1e-3)
    assert cauchy_combination(np.array([1e-8, 0.5, 0.5]), np.array([2.0, 1.0, 1.0])) == pytest.approx(2e-8, rel=1e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_it_keeps_its_level_under_dependence(correlation):
    from scipy.stats import norm

    rng = np.random.default_rng(4)
    shared = rng.standard_normal((200_000, 1))
    z = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.standard_normal((200_000, 4))
    t = cauchy_statistic(2 * norm.sf(np.abs(z)), np.ones(4))
    p = 0.5 - np.arctan(t) / np.pi
    for level in (0.05, 0.001):
        assert (p <= level).mean() < 1.2 * level


def test_one_p_value_of_1_silences_nobody():
    assert cauchy_combination(np.array([0.01, 1.0, 1.0]), ONES) < 0.06


def test_never_zero():
    assert cauchy_combination(np.zeros(3), ONES) > 0


def test_evidence_is_the_logarithm_of_p():
    for p in (0.99, 0.75, 0.5, 0.25, 0.2, 1e-4, 1e-12, 1e-200):
        t = cauchy_statistic(np.array([p]), np.ones(1))
        assert cauchy_evidence(t) == pytest.approx(-np.log(min(p, 0.95)), rel=1e-9)
    assert cauchy_evidence(np.array([-1e300, 1e300])) == pytest.approx([0.0, 300 * np.log(10) + np.log(np.pi)])
