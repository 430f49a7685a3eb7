import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.compare.paired import tango_interval
from evalharness.stats.paired_exact import PairedProportions, power_of_pairs, restricted_share, score_of_margin
from evalharness.stats.power import power_of


@settings(deadline=None, max_examples=150)
@given(
    st.integers(2, 400).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, min(n // 2, 30)), st.integers(0, min(n // 2, 30)))
    ),
    st.floats(-0.5, 0.5),
    st.sampled_from([0.005, 0.05, 0.2]),
)
def test_p_is_small_exactly_where_the_bound_fulfils(counts, limit, alpha):
    n, gains, losses = counts
    kernel = PairedProportions(gains, losses, n)
    low, high = kernel.lower(alpha), kernel.upper(alpha)
    if abs(low - limit) > 1e-4:
        assert (kernel.at_least(limit) <= alpha) == (low >= limit)
    if abs(high - limit) > 1e-4:
        assert (kernel.at_most(limit) <= alpha) == (high <= limit)


def test_no_loss_at_all_is_as_likely_as_the_binomial_says():
    for n in (10, 135, 150, 500):
        assert PairedProportions(0, 0, n).at_least(-0.02) == pytest.approx(0.98**n)
    # Where the score's normal tail would pass it.
    assert float(score_of_margin(0, 0, 150, -0.02)) > 1.645
    assert PairedProportions(0, 0, 140).at_least(-0.02) > 0.05


def test_the_tail_is_the_whole_sum():
    n, gains, losses, margin = 12, 2, 3, -0.3
    share = float(restricted_share(gains, losses, n, margin))
    seen = float(score_of_margin(gains, losses, n, margin))
    total = 0.0
    for won, lost in itertools.product(range(n + 1), repeat=2):
        if won + lost <= n and float(score_of_margin(won, lost, n, margin)) >= seen - 1e-9:
            ways = math.comb(n, won) * math.comb(n - won, lost)
            total += ways * (share + margin) ** won * share**lost * (1 - 2 * share - margin) ** (n - won - lost)
    assert PairedProportions(gains, losses, n).at_least(margin) == pytest.approx(total)


def test_the_restricted_share_maximises_the_likelihood():
    n, gains, losses, margin = 200, 7, 12, -0.05
    share = float(restricted_share(gains, losses, n, margin))

    def log_likelihood(q):
        return gains * np.log(q + margin) + losses * np.log(q) + (n - gains - losses) * np.log(1 - 2 * q - margin)

    near = np.linspace(0.0501, 0.3, 20_001)
    assert share == pytest.approx(near[np.argmax(log_likelihood(near))], abs=2e-5)


@pytest.mark.parametrize(("gains", "losses", "n"), [(60, 50, 1000), (30, 45, 400), (700, 650, 20_000)])
def test_where_many_differ_it_is_tangos_score(gains, losses, n):
    low, high = tango_interval(gains, losses, n, 0.9)
    kernel = PairedProportions(gains, losses, n)
    assert kernel.lower(0.05) == pytest.approx(low, abs=2e-3)
    assert kernel.upper(0.05) == pytest.approx(high, abs=2e-3)


def test_exchanging_the_runs_turns_the_sign():
    one, other = PairedProportions(5, 9, 300), PairedProportions(9, 5, 300)
    assert one.lower(0.05) == pytest.approx(-other.upper(0.05))
    assert one.at_least(-0.04) == pytest.approx(other.at_most(0.04))


def test_the_ends_of_the_range():
    kernel = PairedProportions(3, 2, 10)
    assert kernel.at_least(-1) == 0
    assert kernel.at_least(1) == 1
    # At a share of gains of 0.741 all ten are gains with a chance of 5 %; all the rest may be losses.
    assert PairedProportions(10, 0, 10).lower(0.05) == pytest.approx(2 * 0.05**0.1 - 1, abs=1e-6)
    assert PairedProportions(0, 10, 10).lower(0.05) == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "gain", "loss"), [(100, 0.0, 0.02), (150, 0.005, 0.025), (300, 0.02, 0.04), (60, 0.1, 0.2)]
)
def test_the_error_at_the_margin_keeps_to_alpha(n, gain, loss):
    """The exact size of the test: all that can be seen, with its chance."""
    margin, size = gain - loss, 0.0
    for won, lost in itertools.product(range(min(n, 40)), repeat=2):
        if won + lost > n:
            continue
        ways = math.comb(n, won) * math.comb(n - won, lost)
        chance = ways * gain**won * loss**lost * (1 - gain - loss) ** (n - won - lost)
        if chance > 1e-7 and PairedProportions(won, lost, n).at_least(margin) <= 0.05:
            size += chance
    assert size <= 0.0525


def test_planned_power_is_what_the_test_has():
    n, margin, discordance = 300, 0.04, 0.1
    rng = np.random.default_rng(8)
    draws, counts = np.unique(rng.multinomial(n, [0.05, 0.05, 0.9], 4000)[:, :2], axis=0, return_counts=True)
    shown = [PairedProportions(int(g), int(lost), n).at_least(-margin) <= 0.05 for g, lost in draws]
    measured = float(counts[np.array(shown)].sum()) / 4000
    assert measured == pytest.approx(power_of_pairs(n, margin, discordance), abs=0.03)
    # Where few pairs differ the variance of the truth alone would promise more.
    assert power_of_pairs(400, 0.02, 0.04) < power_of(400, 0.02, 0.04) - 0.03


def test_power_where_all_is_clear():
    assert power_of_pairs(100, 0.05, 0.0) == 1.0
    assert power_of_pairs(100, 0.05, 0.05, difference=-0.05) == pytest.approx(0.05)
