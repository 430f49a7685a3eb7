import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
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
    assert text.endswith("more samples would settle it with a probability of 80 % (now 100)")


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


def settled_share(one, draw_more, want, rng, n_draws=400):
    """The share of draws of further samples that settle `one`."""
    (settled,) = settle([one], 0.05)
    more = further_samples(one, settled)
    assert settled.state == "inconclusive"
    return sum(settle([draw_more(rng, more)], 0.05)[0].state == want for _ in range(n_draws)) / n_draws


@pytest.mark.parametrize(
    ("right", "n", "limit", "want"),
    [(90, 100, 0.88, "pass"), (90, 100, 0.92, "fail"), (300, 400, 0.77, "fail"), (85, 100, 0.8, "pass")],
)
def test_so_many_more_samples_settle_it_in_four_of_five_cases(right, n, limit, want):
    def again(rng, more):
        return asked(right + int(rng.binomial(more, right / n)), n + more, limit)

    share = settled_share(asked(right, n, limit), again, want, np.random.default_rng(4))
    assert 0.75 <= share <= 0.9


def test_as_many_settle_an_equivalence_whose_two_bounds_are_as_near():
    metric = registry("metrics").load("token_f1")()
    rng = np.random.default_rng(1)
    gains = rng.normal(0, 0.1, 100)
    gains -= gains.mean()

    def of(values):
        rows = [np.stack([np.ones(len(values)), v], axis=1) for v in (0.5 + values, np.full(len(values), 0.5))]
        return Asked(Question(((-0.012, "at_least"), (0.012, "at_most")), "x"), paired_evidence(metric, *rows))

    def again(rng, more):
        return of(np.concatenate([gains, rng.choice(gains, more)]))

    assert 0.72 <= settled_share(of(gains), again, "pass", rng) <= 0.88


def test_few_pairs_that_differ_are_settled_by_the_test_of_more_of_them():
    metric = registry("metrics").load("f1_macro")().for_task(("a", "b"))
    rng = np.random.default_rng(2)

    def rows(answers):
        n = len(answers)
        samples = [Sample(str(i), str(i), "", target="ab"[i % 2]) for i in range(n)]
        return metric.sample_stats(samples, [Response(str(i), text=a, answer=a) for i, a in enumerate(answers)])

    before = ["ab"[i % 2] if rng.random() < 0.85 else "ba"[i % 2] for i in range(120)]
    after = list(before)
    after[:6] = ["ba"[i % 2] if before[i] == "ab"[i % 2] else "ab"[i % 2] for i in range(6)]
    evidence = paired_evidence(metric, rows(after), rows(before))
    assert evidence.method == "few pairs differ"
    one = Asked(Question(((-0.08, "at_least"),), "x"), evidence)
    more = further_samples(one, settle([one], 0.05)[0])
    # Four more that differ are wanted, of which one comes in twenty: 80 at least, and 120 make them likely.
    assert more is not None
    assert 80 < more < 1_500


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
