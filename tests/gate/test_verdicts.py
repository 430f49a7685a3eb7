import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evalharness.core.registry import registry
from evalharness.gate.evidence import absolute_evidence, interval_evidence, paired_evidence
from evalharness.gate.verdicts import Asked, Question, because, further_samples, settle, step_down

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def share(right, n):
    values = np.arange(n) < right
    table = np.stack([np.ones(n), values], axis=1)
    return absolute_evidence(registry("metrics").load("exact_match")(), table)


def asked(right, n, limit, condition="at_least"):
    return Asked(Question(((limit, condition),)), share(right, n))


def said(one, alpha=0.05):
    (settled,) = settle([one], alpha)
    return because(one, settled, further_samples(one, settled))


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_step_down_rejects_what_statsmodels_does(values, alpha):
    expected = multipletests(values, alpha, method="holm")[0]
    assert [rejected for rejected, _ in step_down(values, alpha)] == list(expected)


@given(p_values)
def test_each_is_held_against_the_level_that_is_told(values):
    for p, (rejected, level) in zip(values, step_down(values, 0.05), strict=True):
        assert rejected == (p <= level)
        assert 0.05 / len(values) <= level * 1.0000001 <= 0.0500001


def test_without_correction_each_has_alpha():
    assert step_down([0.04, 0.06, 0.01], 0.05, "none") == [(True, 0.05), (False, 0.05), (True, 0.05)]


def test_no_test_counts_for_nothing():
    assert step_down([0.04, math.nan], 0.05) == [(True, 0.05), (False, 0.05)]


@pytest.mark.parametrize(
    ("right", "n", "limit", "condition", "state"),
    [
        (90, 100, 0.8, "at_least", "pass"),
        (90, 100, 0.9, "at_least", "inconclusive"),
        (90, 100, 0.97, "at_least", "fail"),
        (5, 100, 0.15, "at_most", "pass"),
        (5, 100, 0.05, "at_most", "inconclusive"),
        (20, 100, 0.1, "at_most", "fail"),
        (10, 10, 0.9, "at_least", "inconclusive"),
        (10, 10, 0.7, "at_least", "pass"),
    ],
)
def test_the_three_states(right, n, limit, condition, state):
    assert said(asked(right, n, limit, condition)).state == state


def test_the_sentence_says_which_bound_at_which_level_decided():
    assert said(asked(90, 100, 0.8)).because == "its lower 95 % bound 0.8363 is at least 0.8, as required"
    assert said(asked(90, 100, 0.97)).because == "its upper 95 % bound 0.9447 is below 0.97"
    assert said(asked(5, 100, 0.15, "at_most")).because == "its upper 95 % bound 0.1023 is at most 0.15, as required"
    assert said(asked(20, 100, 0.1, "at_most")).because == "its lower 95 % bound 0.1367 is above 0.1"
    text = said(asked(90, 100, 0.88)).because
    assert text.startswith("its lower and upper 95 % bounds, 0.8363 and 0.9447, straddle the limit of 0.88; about ")
    assert text.endswith("more samples would settle it (now 100)")


def test_several_rules_are_held_against_holms_levels():
    three = [asked(90, 100, 0.8), asked(90, 100, 0.83), asked(90, 100, 0.835)]
    settled = settle(three, 0.05)
    assert [one.state for one in settled] == ["pass", "inconclusive", "inconclusive"]
    assert [round(one.alpha_pass, 5) for one in settled] == [0.01667, 0.025, 0.025]
    assert [one.state for one in settle(three, 0.05, "none")] == ["pass"] * 3
    assert "its lower 98.33 % bound 0.8169" in because(three[0], settled[0], None).because


def test_a_figure_at_its_limit_is_never_settled():
    one = asked(80, 100, 0.8)
    assert said(one).state == "inconclusive"
    assert further_samples(one, settle([one], 0.05)[0]) is None
    assert "lies at the limit" in said(one).because


@pytest.mark.parametrize(("right", "n", "limit"), [(90, 100, 0.88), (90, 100, 0.92), (300, 400, 0.77), (10, 10, 0.95)])
def test_so_many_more_samples_settle_it(right, n, limit):
    one = asked(right, n, limit)
    (settled,) = settle([one], 0.05)
    more = further_samples(one, settled)
    assert more is not None
    assert settled.state == "inconclusive"
    for factor, decided in ((1.05, True), (0.9, False)):
        total = round(n + more * factor)
        again = asked(round(right / n * total), total, limit)
        assert (settle([again], 0.05)[0].state != "inconclusive") == decided


def test_equivalence_needs_both_bounds():
    rng = np.random.default_rng(0)
    metric = registry("metrics").load("token_f1")()
    before = rng.uniform(0.2, 0.8, 400)

    def of(shift):
        rows = [np.stack([np.ones(400), v], axis=1) for v in (before + shift + rng.normal(0, 0.02, 400), before)]
        evidence = paired_evidence(metric, *rows)
        return Asked(Question(((-0.01, "at_least"), (0.01, "at_most")), "the improvement"), evidence)

    assert said(of(0.0)).state == "pass"
    assert "bounds of the improvement" in said(of(0.0)).because
    assert "lie within −0.01 and 0.01" in said(of(0.0)).because
    assert said(of(0.02)).because.startswith("the lower 95 % bound of the improvement, 0.0")
    assert said(of(0.02)).state == said(of(-0.02)).state == "fail"
    near = said(of(0.0095))
    assert near.state == "inconclusive"
    assert "straddle −0.01 and 0.01" in near.because


def test_superior_is_more_than_the_limit():
    evidence = interval_evidence(0.05, 0.01, 0.09, confidence=0.95, n=100)
    one = Asked(Question(((0.0, "at_least"),), "the improvement", strict=True), evidence)
    assert said(one).because == "the lower 95 % bound of the improvement, 0.01643, is above 0, as required"


def test_what_excludes_nothing_decides_nothing():
    evidence = interval_evidence(0.9, math.nan, math.nan, confidence=0.95, n=1)
    one = Asked(Question(((0.0, "at_least"),)), evidence)
    assert said(one) == ("inconclusive", "1 sample gave no interval, so nothing is decided")
    assert further_samples(one, settle([one], 0.05)[0]) is None


@given(st.integers(0, 40), st.integers(1, 40), st.floats(0.01, 0.99))
def test_no_verdict_is_both(right, n, limit):
    one = asked(min(right, n), n, limit)
    (settled,) = settle([one], 0.05)
    assert not (settled.p_pass <= 0.05 and settled.p_fail <= 0.05)
