"""The power of the exact paired test: against the whole of what could be seen, and where it passes at all."""

import math

import numpy as np
import pytest

from evalharness.stats.paired_exact import PairedProportions, power_of_pairs, trinomial
from evalharness.stats.paired_power import fewest_gains, power_of_exact_pairs


def whole(n, margin, discordance, alpha, *, difference=0.0, both=False):
    """The sum over every pair of counts, each put to the test itself."""
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    found = 0.0
    for gains in range(n + 1):
        for losses in range(n + 1 - gains):
            chance = float(trinomial(np.array(float(gains)), np.array(float(losses)), n, gain, loss))
            if chance > 1e-9:
                test = PairedProportions(gains, losses, n)
                held = test.at_least(-margin) <= alpha and (not both or test.at_most(margin) <= alpha)
                found += chance * held
    return found


@pytest.mark.parametrize(
    ("n", "margin", "discordance", "alpha", "more"),
    [
        (20, 0.2, 0.1, 0.05, {}),
        (40, 0.1, 0.3, 0.0125, {}),
        (60, 0.05, 0.03, 0.05, {}),
        (50, 0.0, 0.3, 0.025, {"difference": 0.2}),
        (50, 0.2, 0.2, 0.05, {"both": True}),
        (50, 0.15, 0.1, 0.05, {"both": True, "difference": 0.04}),
    ],
)
def test_it_is_the_sum_over_all_that_could_be_seen(n, margin, discordance, alpha, more):
    found = power_of_exact_pairs(n, margin, discordance, alpha=alpha, **more)
    assert found == pytest.approx(whole(n, margin, discordance, alpha, **more), abs=1e-5)
    assert 0.03 < found < 0.999


def test_few_pairs_that_differ_are_where_formulas_err():
    # 300 pairs of which 2 % differ, at the first level of four rules: the formula says 35 %.
    assert power_of_exact_pairs(300, 0.02, 0.02, alpha=0.0125) == pytest.approx(0.465, abs=0.001)
    assert power_of_pairs(300, 0.02, 0.02, alpha=0.0125) == pytest.approx(0.354, abs=0.001)
    # Where many do, both agree, and the formula takes over at counts that would take long.
    for n, margin, discordance in ((3_000, 0.02, 0.2), (30_000, 0.005, 0.13), (40_000, 0.005, 0.13)):
        for both in (False, True):
            found = power_of_exact_pairs(n, margin, discordance, both=both)
            once = power_of_pairs(n, margin, discordance)
            assert found == pytest.approx(2 * once - 1 if both else once, abs=0.01)


@pytest.mark.parametrize(("n", "margin", "alpha", "last"), [(400, 0.03, 0.05, 60), (700, 0.05, 0.01, 95)])
def test_between_its_nodes_the_fewest_gains_are_the_tests_own(n, margin, alpha, last):
    found = fewest_gains(n, margin, alpha, 0, last)

    def passes(gains, losses):
        return PairedProportions(gains, losses, n).at_least(-margin) <= alpha

    wrong = [
        losses
        for losses, gains in enumerate(found.tolist())
        if not passes(gains, losses) or (gains and passes(gains - 1, losses))
    ]
    assert len(wrong) < 0.25 * last  # by one gain, where the exact tail's part is interpolated
    assert all(passes(g + 1, x) and (g < 2 or not passes(g - 2, x)) for x, g in enumerate(found.tolist()))


def test_what_cannot_pass_has_no_power():
    assert fewest_gains(20, 0.05, 0.05, 20, 20).tolist() == [21]
    assert power_of_exact_pairs(30, 0.01, 0.0) == 0
    assert power_of_exact_pairs(300, 0.01, 0.0) == 1
    assert math.isclose(power_of_exact_pairs(100, 1.0, 0.2), 1.0, abs_tol=1e-5)
