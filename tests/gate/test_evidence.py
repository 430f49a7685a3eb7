import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.gate.evidence import absolute_evidence, interval_evidence, mean_evidence, paired_evidence
from evalharness.gate.kernels import few_differ
from evalharness.stats.intervals import wilson


def metric(name):
    return registry("metrics").load(name)().for_task(("no", "yes"))


def rows(values):
    values = np.asarray(values, dtype=float)
    return np.stack([np.ones(len(values)), values], axis=1)


def answers(right, name="mcc"):
    found = metric(name)
    samples, responses = [], []
    for i, good in enumerate(right):
        target = ("no", "yes")[i % 2]
        answer = target if good else ("yes", "no")[i % 2]
        samples.append(Sample(str(i), str(i), "", target=target))
        responses.append(Response(str(i), text=answer, answer=answer))
    return found.sample_stats(samples, responses)


def right(n, wrong):
    return np.arange(n) >= wrong


def clusters(n, size):
    return [f"c{i // size}" for i in range(n)]


# ── the figure itself ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_answers_that_stand_alone_are_tested_exactly():
    found = absolute_evidence(metric("exact_match"), rows(right(100, 10)))
    assert (found.method, found.value, found.n) == ("exact binomial", 0.9, 100)
    low, high = found.bounds(0.05)
    expected = scipy_stats.binomtest(90, 100).proportion_ci(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert found.p_value(0.8, "at_least") == pytest.approx(
        scipy_stats.binomtest(90, 100, 0.8, alternative="greater").pvalue
    )


def test_answers_in_clusters_tell_less():
    values = np.repeat(np.arange(20) >= 4, 10)
    alone = absolute_evidence(metric("exact_match"), rows(values))
    together = absolute_evidence(metric("exact_match"), rows(values), clusters=clusters(200, 10))
    assert together.method == "clustered binomial"
    assert together.n_units == 20
    assert together.bounds(0.05).low < alone.bounds(0.05).low - 0.05
    # Each cluster is one answer: as 16 of 20.
    assert together.bounds(0.05).low == pytest.approx(scipy_stats.binomtest(16, 20).proportion_ci(0.9).low, abs=0.06)


def scattered(rng, n_clusters):
    """The cluster of each sample: most clusters small, few large."""
    sizes = np.maximum(1, np.round(5 * np.exp(rng.normal(-0.5, 1.0, n_clusters)))).astype(int)
    return np.repeat(np.arange(n_clusters), sizes)


@pytest.mark.parametrize("name", ["exact_match", "token_f1"])
def test_clusters_of_different_sizes_tell_less_than_as_many_of_one_size(name):
    codes = np.repeat(np.arange(16), [30, 20, *[2] * 14])
    values = (codes % 4 != 0).astype(float) if name == "exact_match" else 0.4 + 0.05 * (codes % 5)
    found = absolute_evidence(metric(name), rows(values), clusters=[f"c{c}" for c in codes])
    even = np.repeat(np.arange(16), 5)[: len(codes)]
    again = (even % 4 != 0).astype(float) if name == "exact_match" else 0.4 + 0.05 * (even % 5)
    other = absolute_evidence(metric(name), rows(again), clusters=[f"c{c}" for c in even])
    assert found.value - found.bounds(0.05).low > 1.5 * (other.value - other.bounds(0.05).low)


@pytest.mark.slow
@pytest.mark.parametrize(("n_clusters", "share"), [(20, 0.8), (60, 0.9)])
def test_the_error_at_the_limit_is_kept_in_clusters_of_different_sizes(n_clusters, share):
    """As if C − 1 degrees of freedom were there, 6.7 to 8 % pass."""
    rng, passed = np.random.default_rng(11), 0
    for _ in range(2000):
        codes = scattered(rng, n_clusters)
        rates = rng.beta(share * 7 / 3, (1 - share) * 7 / 3, n_clusters)[codes]
        names = [f"c{c}" for c in codes]
        found = absolute_evidence(metric("exact_match"), rows(rng.random(codes.size) < rates), clusters=names)
        passed += found.p_value(share, "at_least") <= 0.05
    assert passed / 2000 < 0.05 + 2.3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.slow
def test_the_error_of_paired_scores_is_kept_in_clusters_of_different_sizes():
    rng, passed = np.random.default_rng(12), 0
    for _ in range(2000):
        codes = scattered(rng, 20)
        before = rng.uniform(0.3, 0.7, codes.size)
        after = before - 0.02 + rng.normal(0, 0.05, 20)[codes] + rng.normal(0, 0.03, codes.size)
        names = [f"c{c}" for c in codes]
        found = paired_evidence(metric("token_f1"), rows(after), rows(before), clusters=names)
        passed += found.p_value(-0.02, "at_least") <= 0.05
    assert passed / 2000 < 0.05 + 2.3 * math.sqrt(0.05 * 0.95 / 2000)


def test_means_are_tested_by_t_where_they_are_not_skewed():
    values = np.tile([0.2, 0.4, 0.6, 0.8], 15)
    found = absolute_evidence(metric("token_f1"), rows(values))
    assert found.method == "t, skew-adjusted"
    assert found.p_value(0.45, "at_least") == pytest.approx(
        scipy_stats.ttest_1samp(values, 0.45, alternative="greater").pvalue
    )


def test_a_mean_without_variation_is_no_certainty():
    found = absolute_evidence(metric("token_f1"), rows(np.full(10, 0.7)))
    assert found.method == "no variation"
    low, high = found.bounds(0.05)
    assert low == pytest.approx(0.7 * 0.05**0.1)
    assert high == pytest.approx(1 - 0.3 * 0.05**0.1)
    unbounded = absolute_evidence(metric("latency_mean_s"), rows(np.full(10, 0.7)))
    assert unbounded.bounds(0.05).high == math.inf
    assert unbounded.p_value(100, "at_most") == 1
    assert "no bounds" in unbounded.note


def test_a_few_that_differ_tell_no_spread():
    values = np.ones(200)
    values[:3] = 0.9
    found = absolute_evidence(metric("token_f1"), rows(values))
    assert found.method == "few differ"
    # The t test would put the bound at 0.997, as if no answer could be worse than those three.
    assert found.bounds(0.05).low == pytest.approx(scipy_stats.binomtest(197, 200).proportion_ci(0.9).low)
    values[:10] = 0.9
    assert absolute_evidence(metric("token_f1"), rows(values)).method == "t, skew-adjusted"


def test_quantiles_are_tested_by_order():
    values = np.random.default_rng(1).exponential(1, 200)
    found = absolute_evidence(metric("latency_p95_s"), rows(values))
    assert found.method == "order statistics"
    limit = 4.0
    below = int((values <= limit).sum())
    assert found.p_value(limit, "at_most") == pytest.approx(scipy_stats.binom.sf(below - 1, 200, 0.95))
    in_clusters = absolute_evidence(metric("latency_p95_s"), rows(values), clusters=clusters(200, 5))
    assert in_clusters.method == "order statistics, clustered"
    assert in_clusters.p_value(limit, "at_most") >= found.p_value(limit, "at_most")
    one = absolute_evidence(metric("latency_p95_s"), rows(values), clusters=["a"] * 200)
    assert (one.method, one.note) == ("none", "1 cluster tells no spread")


@pytest.mark.parametrize(("name", "q"), [("latency_p95_s", 0.95), ("latency_p50_s", 0.5)])
def test_quantiles_of_clusters_keep_the_error_and_the_bounds(name, q):
    """At the true quantile, which is passed in one of twenty draws at most."""
    rng, codes, wrong = np.random.default_rng(3), np.repeat(np.arange(60), 5), 0
    truth = math.exp(scipy_stats.norm.ppf(q))
    for _ in range(200):
        values = np.exp(np.sqrt(0.5) * (rng.normal(size=60)[codes] + rng.normal(size=300)))
        found = absolute_evidence(metric(name), rows(values), clusters=[str(code) for code in codes])
        wrong += found.p_value(truth, "at_most") <= 0.05
        low, high = found.bounds(0.05)
        for limit, condition, inside in ((high, "at_most", -1e-9), (low, "at_least", 1e-9)):
            if math.isfinite(limit):
                assert found.p_value(limit, condition) <= 0.05 < found.p_value(limit + inside, condition)
    assert wrong <= 16


def test_functions_of_totals_are_resampled():
    found = absolute_evidence(metric("mcc"), answers(right(120, 20)))
    assert found.method == "bootstrap"
    low, high = found.bounds(0.05)
    assert low < found.value < high
    assert found.p_value(low - 1e-6, "at_least") <= 0.05
    assert found.p_value(low + 0.01, "at_least") > 0.05
    perfect = absolute_evidence(metric("mcc"), answers(right(120, 0)))
    assert perfect.method == "no variation"
    assert perfect.bounds(0.05).low < 0.96


def test_many_samples_are_not_resampled(monkeypatch):
    monkeypatch.setattr("evalharness.gate.kernels.MAX_RESAMPLED", 100)
    few = absolute_evidence(metric("mcc"), answers(right(100, 20)))
    many = absolute_evidence(metric("mcc"), answers(right(120, 24)))
    assert (few.method, many.method) == ("bootstrap", "jackknife")
    assert many.bounds(0.05).low == pytest.approx(few.bounds(0.05).low, abs=0.03)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_nothing_measured_excludes_nothing(values):
    found = absolute_evidence(metric("token_f1"), rows(values))
    assert math.isnan(found.value)
    assert found.bounds(0.05) == (-math.inf, math.inf)
    assert found.p_value(0, "at_least") == 1
    assert found.note


def test_one_sample_of_a_mean_without_bounds_tells_nothing():
    found = absolute_evidence(metric("latency_mean_s"), rows([0.3]))
    assert found.bounds(0.05).high == math.inf


def test_a_recorded_interval_is_taken_as_normal_on_each_side():
    interval = wilson(80, 100)
    found = interval_evidence(0.8, *interval, confidence=0.95, n=100)
    assert found.bounds(0.025) == pytest.approx(interval)
    assert found.bounds(0.05).low > interval.low
    assert interval_evidence(0.8, math.nan, math.nan, confidence=0.95, n=1).p_value(0.1, "at_least") == 1


def test_samples_without_a_value_are_left_out():
    table = rows([1, 1, 0, 1, 0, 1] * 10)
    gaps = np.concatenate([table, np.zeros((5, 2))])
    assert absolute_evidence(metric("exact_match"), gaps).bounds(0.05) == absolute_evidence(
        metric("exact_match"), table
    ).bounds(0.05)


# ── against a baseline ────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_identical_pairs_are_no_evidence_of_equality():
    for name, table in (
        ("exact_match", rows(right(10, 3))),
        ("token_f1", rows(np.linspace(0, 1, 10))),
        ("mcc", answers(right(10, 3))),
        ("latency_mean_s", rows(np.linspace(0.1, 0.4, 10))),
    ):
        found = paired_evidence(metric(name), table, table)
        assert found.value == 0
        assert found.p_value(-0.01, "at_least") > 0.7
        assert found.bounds(0.05).low < -0.05
    assert found.method == "identical pairs"


def test_pairs_of_right_and_wrong_are_tested_exactly():
    current, baseline = right(200, 12), np.roll(right(200, 10), 5)
    found = paired_evidence(metric("exact_match"), rows(current), rows(baseline))
    assert found.method == "exact paired"
    assert found.value == pytest.approx(-0.01)
    assert found.n_worse == int((~current & baseline).sum())


def test_better_is_positive_also_where_lower_is_better():
    slow, fast = rng_pair()
    found = paired_evidence(metric("latency_mean_s"), rows(fast), rows(slow))
    assert found.value > 0
    assert found.p_value(0, "at_least") < 0.01
    assert found.method == "paired t, skew-adjusted"
    turned = paired_evidence(metric("latency_mean_s"), rows(slow), rows(fast))
    assert turned.bounds(0.05).low == pytest.approx(-found.bounds(0.05).high)


def rng_pair():
    rng = np.random.default_rng(4)
    slow = rng.normal(0.5, 0.1, 80)
    return slow, slow - 0.05 + rng.normal(0, 0.02, 80)


def test_paired_t_agrees_with_scipy_where_it_is_not_skewed():
    before = np.linspace(0.2, 0.8, 40)
    after = before + np.tile([0.02, -0.02, 0.05, -0.05], 10)
    found = paired_evidence(metric("token_f1"), rows(after), rows(before))
    expected = scipy_stats.ttest_rel(after, before - 0.01, alternative="greater").pvalue
    assert found.p_value(-0.01, "at_least") == pytest.approx(expected, rel=1e-6)


def test_clusters_of_pairs_tell_less():
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 1, 200)
    after = np.clip(before + np.repeat(rng.normal(0, 0.1, 20), 10), 0, 1)
    alone = paired_evidence(metric("token_f1"), rows(after), rows(before))
    together = paired_evidence(metric("token_f1"), rows(after), rows(before), clusters=clusters(200, 10))
    assert together.method == "paired t, skew-adjusted, clustered"
    assert together.bounds(0.05).low < alone.bounds(0.05).low


def test_a_function_of_totals_is_resampled_in_pairs():
    same = answers(right(200, 30))
    other = answers(np.roll(right(200, 30), 20))
    found = paired_evidence(metric("mcc"), other, same)
    assert found.method == "paired bootstrap"
    assert found.bounds(0.05).low < found.value < found.bounds(0.05).high
    assert paired_evidence(metric("mcc"), same, same).method == "identical pairs"
    few = same.copy()
    few[:2] = answers([False, False])
    assert paired_evidence(metric("mcc"), few, same).method in ("few pairs differ", "identical pairs")


def test_pairs_are_drawn_together():
    # Unpaired, the figures scatter by 0.09 each; the same answers but for 12 of 300 move together.
    before = right(300, 60)
    after = before.copy()
    after[:12] = True
    found = paired_evidence(metric("mcc"), answers(after), answers(before))
    low, high = found.bounds(0.05)
    assert high - low < 0.1


def test_a_relative_drop_is_held_against_the_baselines_figure():
    before = np.linspace(0.3, 0.9, 60)
    after = before * 0.99
    found = paired_evidence(metric("token_f1"), rows(after), rows(before), relative=0.02)
    assert found.value == pytest.approx(after.mean() - 0.98 * before.mean())
    assert found.p_value(0, "at_least") < 1e-6
    too_much = paired_evidence(metric("token_f1"), rows(before * 0.9), rows(before), relative=0.02)
    assert too_much.p_value(0, "at_most") < 1e-6
    slower = paired_evidence(metric("latency_mean_s"), rows(before * 1.01), rows(before), relative=0.02)
    assert slower.p_value(0, "at_least") < 1e-6
    binary = paired_evidence(metric("exact_match"), rows(right(400, 40)), rows(right(400, 40)), relative=0.02)
    assert binary.p_value(0, "at_least") == pytest.approx((1 - 0.02 * 0.9) ** 400)
    same = paired_evidence(metric("mcc"), answers(right(90, 9)), answers(right(90, 9)), relative=0.02)
    assert same.method == "identical pairs"
    assert same.value == pytest.approx(0.02 * 0.8, rel=0.05)


def test_unbounded_pairs_that_all_agree_are_held_against_what_was_seen():
    table = rows(np.linspace(1, 3, 100))
    found = paired_evidence(metric("latency_mean_s"), table, table)
    assert found.bounds(0.05).low == pytest.approx(-2 * (1 - 0.05**0.01))
    constant = rows(np.full(100, 2.0))
    assert paired_evidence(metric("latency_mean_s"), constant, constant).bounds(0.05).low == -math.inf


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=40),
    st.sampled_from(["token_f1", "exact_match", "latency_mean_s"]),
    st.floats(-0.5, 0.5),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_p_values_and_bounds_agree(pairs, name, limit, alpha):
    current, baseline = (rows(side) for side in zip(*pairs, strict=True))
    found = paired_evidence(metric(name), current, baseline)
    low, high = found.bounds(alpha)
    if abs(low - limit) > 1e-4:
        assert (found.p_value(limit, "at_least") <= alpha) == (low >= limit)
    if abs(high - limit) > 1e-4:
        assert (found.p_value(limit, "at_most") <= alpha) == (high <= limit)
    assert not (found.p_value(limit, "at_least") <= alpha and found.p_value(limit, "at_most") <= alpha)


def test_mean_evidence_needs_two_clusters():
    found = mean_evidence(np.array([0.0, 1.0, 1.0]), (0.0, 1.0), codes=np.zeros(3, dtype=np.int64))
    assert found.bounds(0.05) == (-math.inf, math.inf)
    assert "one cluster" in found.note


def test_pairs_that_differ_are_counted_on_both_sides_and_once_for_what_is_enough():
    beyond = few_differ(0.0, 1.0, 1, 400)
    found = few_differ(0.0, 1.0, 6, 400, beyond)
    assert found.scaled(1) == found  # six of them, not twelve
    assert found.scaled(4) == beyond.scaled(4)
