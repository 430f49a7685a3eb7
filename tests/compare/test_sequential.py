"""Rules over several looks: whose error is kept, when they are decided, and what stands afterwards."""

import math

import numpy as np
import pytest

from evalharness.compare.sequential import Design, LookedRule, LookedRules
from evalharness.stats.sequential import boundaries, futility
from evalharness.stats.tails import normal_probability

LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)


def at(z):
    """What a normal test with this z says in both directions."""
    return LookedRule(normal_probability(-z), normal_probability(z))


def rules(n=1, *, correction="holm", gives_up=False, alpha=0.05, spending="obrien-fleming", looks=LOOKS):
    return LookedRules([Design(looks, spending, alpha, gives_up=gives_up)] * n, correction=correction)


def walks(rng, n, drift):
    """(n, looks) z-values of runs whose whole has the mean `drift`."""
    steps = np.diff([0.0, *LOOKS])
    scores = rng.normal(drift * steps, np.sqrt(steps), (n, len(LOOKS))).cumsum(axis=1)
    return scores / np.sqrt(LOOKS)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_each_look_decides_at_the_boundary_and_not_below(spending):
    for look, z in enumerate(boundaries(spending, LOOKS, 0.05)):
        for above, state in ((1e-6, "pass"), (-1e-6, "open")):
            followed = rules(spending=spending)
            for _ in range(look):
                assert followed.look([at(0.0)]) == ["open"]
            assert followed.look([at(z + above)]) == [state]


def test_the_other_direction_has_the_same_boundaries_and_an_error_of_its_own():
    z = boundaries("obrien-fleming", LOOKS, 0.05)[0]
    assert rules().look([at(-z - 1e-6)]) == ["fail"]
    assert rules().look([at(-z + 1e-6)]) == ["open"]


@pytest.mark.parametrize("gives_up", [False, True])
def test_at_the_limit_no_more_than_alpha_pass_whatever_is_done_about_futility(gives_up):
    rng = np.random.default_rng(1)
    passed = 0
    for z in walks(rng, 4_000, 0.0):
        followed = rules(gives_up=gives_up)
        # Nobody stops for futility here: it must not cost error to go on.
        passed += any(followed.look([at(value)]) == ["pass"] for value in z)
    assert passed / 4_000 == pytest.approx(0.05, abs=0.011)


def test_of_three_rules_at_the_limit_any_passes_with_no_more_than_alpha():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(2_000):
        z = walks(rng, 3, 0.0)
        followed = rules(3)
        states = [followed.look([at(value) for value in z[:, look]]) for look in range(5)][-1]
        wrong += "pass" in states
    assert 0.03 < wrong / 2_000 < 0.06


def test_a_rule_that_is_decided_leaves_its_share_to_the_others_also_for_looks_before():
    half, whole = (boundaries("obrien-fleming", LOOKS, alpha) for alpha in (0.025, 0.05))
    between = (half[2] + whole[2]) / 2
    followed = rules(2)
    followed.look([at(0.0), at(0.0)])
    followed.look([at(0.0), at(0.0)])
    assert followed.look([at(between), at(0.0)]) == ["open", "open"]
    assert followed.look([at(0.0), at(5.0)]) == ["pass", "pass"]
    crossing = followed.crossing(0)
    assert (crossing.look, crossing.level) == (2, pytest.approx(normal_probability(-whole[2])))


def test_without_correction_each_rule_has_the_whole_error():
    half, whole = (boundaries("obrien-fleming", LOOKS, alpha)[0] for alpha in (0.025, 0.05))
    between = (half + whole) / 2
    assert rules(2).look([at(between)] * 2) == ["open", "open"]
    assert rules(2, correction="none").look([at(between)] * 2) == ["pass", "pass"]


def test_what_crosses_among_many_crosses_among_fewer():
    # The step-down is the closed test only where the levels are nested.
    for spending in ("obrien-fleming", "pocock"):
        design = Design(LOOKS, spending, 0.05)
        for look in range(5):
            levels = [design.level(look, among) for among in range(1, 21)]
            assert levels == sorted(levels, reverse=True)


def test_a_rule_is_given_up_below_its_futility_bound_and_may_come_back():
    low = futility("obrien-fleming", LOOKS, 0.05, 0.8)
    followed = rules(gives_up=True)
    assert followed.look([at(low[0] - 1e-6)]) == ["given up"]
    assert followed.look([at(low[1] + 1e-6)]) == ["open"]
    assert followed.look([at(6.0)]) == ["pass"]
    assert rules(gives_up=False).look([at(low[0] - 1e-6)]) == ["open"]


def test_at_the_last_look_nothing_is_given_up():
    followed = rules(gives_up=True)
    for _ in range(4):
        followed.look([at(1.5)])
    assert followed.look([at(-1.0)]) == ["open"]


def test_a_careful_test_with_few_samples_is_not_given_up():
    assert rules(gives_up=True).look([LookedRule(p_pass=0.99, p_fail=1.0)]) == ["open"]


def test_what_is_decided_stays_decided():
    followed = rules()
    followed.look([at(6.0)])
    assert [followed.look([at(-9.0)]) for _ in range(4)][-1] == ["pass"]


def test_no_figure_decides_nothing():
    nothing = LookedRule(math.nan, math.nan)
    followed = rules(gives_up=True)
    assert [followed.look([nothing]) for _ in range(5)] == [["open"]] * 5


def test_a_look_without_new_samples_tests_nothing_again():
    followed = rules(looks=(0.0, 0.5, 0.5, 1.0))
    assert followed.look([at(9.0)]) == ["open"]
    z = boundaries("obrien-fleming", (0.5, 1.0), 0.05)
    assert followed.look([at(z[0] - 0.01)]) == ["open"]
    assert followed.look([at(9.0)]) == ["open"]
    assert followed.look([at(z[1] + 0.01)]) == ["pass"]
