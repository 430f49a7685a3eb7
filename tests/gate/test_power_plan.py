"""What `plan` says of the rules of a gate: against the formulas, against the gate itself, and in words."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from evalharness.compare.planned import PlannedFigure
from evalharness.gate.evidence import absolute_evidence
from evalharness.gate.power_plan import plan_rules
from evalharness.gate.share_power import PairsPower
from evalharness.metrics.classification import Accuracy
from evalharness.metrics.match import ExactMatch, TokenF1
from evalharness.metrics.operations import LatencyP95
from evalharness.stats.one_sided import Proportion, power_of_share
from evalharness.stats.paired_exact import PairedProportions
from evalharness.stats.paired_power import power_of_exact_pairs
from evalharness.stats.power import pairs_for_margin, samples_for_proportion
from evalharness.stats.sequential import boundaries, inflation
from evalharness.stats.tails import normal_probability
from evalharness.suite.schema import Gates, StopWhenDecided


def figure(n=100, metric=None, **more):
    return PlannedFigure("t", "m", "exact_match", metric or ExactMatch(), n, **more)


def plans(*rules, n=100, stop=None, metric=None, repeats=1, **gates):
    gates = {"baseline": "s@production", **gates}
    rules = [{"metric": "t.exact_match", **rule} for rule in rules]
    return plan_rules(Gates.model_validate({"rules": rules, **gates}), [figure(n, metric, repeats=repeats)], stop=stop)


def test_without_a_baseline_two_unrelated_runs_are_the_worst_case():
    (plan,) = plans({"non_inferior": {"margin": 0.05}}, n=1_000)
    assert plan.variance == 0.5
    assert "unrelated" in plan.variance_from
    assert plan.samples_needed == pytest.approx(pairs_for_margin(0.05, 0.5), rel=0.01)
    assert plan.requests_more == plan.samples_needed - 1_000
    power = NormalIndPower(ddof=0).power(0.05 / math.sqrt(0.5), 1_000, 0.05, ratio=0, alternative="larger")
    assert plan.power == pytest.approx(power, abs=1e-3)  # many pairs differ: the normal formula is right
    assert plan.power == power_of_exact_pairs(1_000, 0.05, 0.5)
    # At the difference that is detected the power is .8.
    (there,) = plans({"non_inferior": {"margin": plan.detectable}}, n=1_000)
    assert there.power == pytest.approx(0.8, abs=2e-3)


def test_holm_counts_the_blocking_rules():
    of_three = plans(
        {"non_inferior": {"margin": 0.1}}, {"superior": True}, {"at_least": 0.5}, {"at_most": 0.9, "tier": "warn"}
    )
    assert [plan.alpha for plan in of_three] == pytest.approx([0.05 / 3] * 3 + [0.05])
    (alone,) = plans({"non_inferior": {"margin": 0.1}})
    assert of_three[0].samples_needed > alone.samples_needed
    assert plans({"superior": True}, {"superior": True}, correction="none")[0].alpha == 0.05


@pytest.mark.parametrize(("limit", "n", "least"), [(0.99, 50, 299), (0.9, 20, 29)])
def test_a_limit_that_perfect_answers_do_not_reach_is_told_with_the_samples_that_would(limit, n, least):
    (plan,) = plans({"at_least": limit}, n=n)
    (warning,) = plan.warnings
    assert f"cannot be won: with n = {n} not even {n} perfect answers would pass" in warning
    assert f"from n = {least} on" in warning
    for m, passes in ((least - 1, False), (least, True)):
        evidence = absolute_evidence(ExactMatch(), np.ones((m, len(ExactMatch().columns))))
        assert (evidence.p_value(limit, "at_least") <= 0.05) is passes


def test_a_margin_that_identical_answers_do_not_reach_is_told():
    (plan,) = plans({"non_inferior": {"margin": 0.01}}, n=100)
    (warning,) = plan.warnings
    assert "a candidate as good as the baseline cannot pass: with n = 100 not even answers that all equal" in warning
    assert "from n = " in warning
    assert not any("cannot" in text for text in plans({"non_inferior": {"margin": 0.01}}, n=400)[0].warnings)


def test_perfect_answers_that_pass_only_once_other_rules_have_are_told():
    first, *_ = plans({"at_least": 0.95}, {"at_most": 1.0}, {"at_most": 1.0}, n=70)
    (warning,) = first.warnings
    assert "only after other rules" in warning
    assert plans({"at_least": 0.95}, n=70)[0].warnings == ()


def test_a_margin_of_nothing_is_told():
    (plan,) = plans({"max_regression": 0.0}, n=1_000)
    assert plan.samples_needed is None
    assert "superior: true" in plan.warnings[0]


def test_a_metric_without_bounds_is_not_known_before_a_run():
    class Unbounded(TokenF1):
        bounds = (-math.inf, math.inf)

    (plan,) = plans({"non_inferior": {"margin": 1.0}}, metric=Unbounded())
    assert (plan.variance, plan.detectable, plan.power, plan.samples_needed) == (None,) * 4
    assert plan.warnings == ()


def test_stopping_when_decided_takes_what_its_looks_take():
    stop = StopWhenDecided.model_validate(True)
    (looked,), (once,) = (plans({"non_inferior": {"margin": 0.05}}, n=2_000, stop=s) for s in (stop, None))
    more = inflation(stop.spending, (0.2, 0.4, 0.6, 0.8, 1.0), 0.05, 0.8, with_futility=True)
    assert looked.samples_needed == pytest.approx(once.samples_needed * more, rel=0.02)
    assert looked.alpha < once.alpha
    assert looked.power < once.power
    (there,) = plans({"non_inferior": {"margin": looked.detectable}}, n=2_000, stop=stop)
    assert there.power == pytest.approx(0.8, abs=0.01)


def test_equivalence_needs_both_sides():
    (one,), (both,) = (plans({kind: {"margin": 0.05}}, n=2_000) for kind in ("non_inferior", "equivalent"))
    assert both.samples_needed == pytest.approx(pairs_for_margin(0.05, 0.5, power=0.9), abs=1)
    assert both.power == pytest.approx(2 * one.power - 1, abs=1e-3)


def test_a_share_of_right_answers_is_planned_as_one():
    (plan,) = plans({"at_least": 0.8}, n=100)
    assert plan.variance == pytest.approx(0.16)
    assert power_of_share(100, 0.8 + plan.detectable, 0.8) == pytest.approx(0.8)
    # Counts are whole: the exact test needs a little more than the normal formula says.
    assert samples_for_proportion(0.8 + plan.detectable, 0.8) == pytest.approx(100, abs=5)


def test_the_power_promised_is_that_of_the_gate(make_run):
    """Runs of 60 answers of which 57 were right: how often 60 more show 90 %, and 160 pairs no loss of 5 points."""
    past = make_run([i >= 3 for i in range(60)], metrics=["accuracy"])
    metric = Accuracy().for_task(("no", "yes"))
    rules = Gates.model_validate({"rules": [{"metric": "qa.accuracy", "at_least": 0.9}]})
    (plan,) = plan_rules(rules, [PlannedFigure("qa", "m", "accuracy", metric, 60)], past=past)
    rng = np.random.default_rng(3)
    counts = rng.binomial(60, 0.95, 4_000)
    passed = {c: Proportion(c, 60).at_least(0.9) <= 0.05 for c in set(counts.tolist())}
    assert plan.power == pytest.approx(np.mean([passed[c] for c in counts.tolist()]), abs=0.03)
    test = PairsPower(0.08, 0.05)
    drawn = rng.multinomial(160, [0.04, 0.04, 0.92], 2_000)[:, :2].tolist()
    seen = np.mean([PairedProportions(gains, losses, 160).at_least(-0.05) <= 0.05 for gains, losses in drawn])
    assert test.power(160, 0.05) == pytest.approx(seen, abs=0.03 + 3 * math.sqrt(0.25 / 2_000))


def test_the_power_promised_of_a_run_that_stops_is_that_of_the_gate(make_run):
    past = make_run([i % 20 > 3 for i in range(400)], metrics=["accuracy"])
    metric, stop = Accuracy().for_task(("no", "yes")), StopWhenDecided(looks=4, futility=False)
    rules = Gates.model_validate({"rules": [{"metric": "qa.accuracy", "at_least": 0.75}]})
    (plan,) = plan_rules(rules, [PlannedFigure("qa", "m", "accuracy", metric, 400)], past=past, stop=stop)
    shares = (0.25, 0.5, 0.75, 1.0)
    levels = [normal_probability(-z) for z in boundaries("obrien-fleming", shares, 0.05).tolist()]
    right = np.random.default_rng(5).binomial(100, 0.8, (3_000, 4)).cumsum(axis=1)
    passed = np.zeros(3_000, dtype=bool)
    for look, level in enumerate(levels):
        p = {c: Proportion(c, 100 * (look + 1)).at_least(0.75) for c in set(right[:, look].tolist())}
        passed |= np.array([p[c] <= level for c in right[:, look].tolist()])
    assert plan.power == pytest.approx(passed.mean(), abs=0.03)


@pytest.mark.slow
def test_answers_in_clusters_count_for_fewer(make_run):
    answers = [i // 5 % 4 > 0 for i in range(300)]
    alone = make_run(answers, metrics=["accuracy"])
    together = make_run(answers, metrics=["accuracy"], clusters=lambda i: f"c{i // 5}")
    metric = Accuracy().for_task(("no", "yes"))
    rules = Gates.model_validate({"rules": [{"metric": "qa.accuracy", "at_least": 0.65}]})
    figures = [PlannedFigure("qa", "m", "accuracy", metric, 300)]
    (one,), (other,) = (plan_rules(rules, figures, past=past) for past in (alone, together))
    assert other.samples_needed == pytest.approx(5 * one.samples_needed, rel=0.25)
    assert other.detectable > 2 * one.detectable
    assert other.power < one.power - 0.3


def test_a_quantile_is_planned_by_the_count_of_answers_within_the_limit(make_run):
    past = make_run([True] * 200, metrics=["latency_p95_s"], latency=lambda i: 0.001 * i)

    def plan(limit, n):
        rules = Gates.model_validate({"rules": [{"metric": "qa.latency_p95_s", "at_most": limit}]})
        return plan_rules(rules, [PlannedFigure("qa", "m", "latency_p95_s", LatencyP95(), n)], past=past)[0]

    found = plan(0.196, 200)  # 197 of 200 lay within it
    assert found.power == pytest.approx(power_of_share(200, 197 / 200, 0.95))
    assert found.distance == pytest.approx(0.196 - 0.95 * 0.199)
    assert plan(0.19, 200).power < 0.1
    assert plan(0.18, 200).power == 0
    short = plan(1.0, 58)
    assert short.power == 0
    assert short.samples_needed == 59
    assert "cannot be won: with n = 58" in short.warnings[0]
    assert not plan(1.0, 59).warnings


def test_a_rate_of_nothing_is_known(make_run):
    past = make_run([True] * 160, metrics=["accuracy"])
    metric = Accuracy().for_task(("no", "yes"))
    rules = Gates.model_validate({"rules": [{"metric": "qa.accuracy", "at_least": 0.95}]})
    (plan,) = plan_rules(rules, [PlannedFigure("qa", "m", "accuracy", metric, 160)], past=past)
    assert plan.power == 1
    assert plan.samples_needed == 59
    assert "all alike" in plan.variance_from
    stop = StopWhenDecided.model_validate(True)
    (looked,) = plan_rules(rules, [PlannedFigure("qa", "m", "accuracy", metric, 160)], past=past, stop=stop)
    assert looked.power == 1


def test_a_relative_drop_of_nothing_cannot_be_won(make_run):
    nothing = make_run([False] * 50, metrics=["accuracy"])
    rules = Gates.model_validate({"baseline": "s@p", "rules": [{"metric": "qa.accuracy", "max_relative_drop": 0.1}]})
    metric = Accuracy().for_task(("no", "yes"))
    (plan,) = plan_rules(rules, [PlannedFigure("qa", "m", "accuracy", metric, 50)], baseline=nothing)
    assert "cannot be won: the baseline's figure is 0" in plan.warnings[0]
    (plan,) = plans({"max_relative_drop": 5})
    assert "a drop by 500 % can never be exceeded" in plan.warnings[0]
