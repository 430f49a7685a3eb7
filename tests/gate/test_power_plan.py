"""What `plan` says of the rules of a gate: against the formulas, against the gate itself, and in words."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from evalharness.compare.planned import PlannedFigure
from evalharness.gate.evidence import absolute_evidence
from evalharness.gate.power_plan import plan_rules
from evalharness.metrics.match import ExactMatch, TokenF1
from evalharness.stats.power import pairs_for_margin, samples_for_proportion
from evalharness.stats.sequential import inflation
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
    assert plan.samples_needed == pairs_for_margin(0.05, 0.5)
    assert plan.requests_more == plan.samples_needed - 1_000
    power = NormalIndPower(ddof=0).power(0.05 / math.sqrt(0.5), 1_000, 0.05, ratio=0, alternative="larger")
    assert plan.power == pytest.approx(power, abs=1e-9)
    # At the difference that is detected the power is .8.
    (there,) = plans({"non_inferior": {"margin": plan.detectable}}, n=1_000)
    assert there.power == pytest.approx(0.8)


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
    assert looked.samples_needed == pytest.approx(once.samples_needed * more, rel=0.002)
    assert looked.alpha < once.alpha
    assert looked.power < once.power
    (there,) = plans({"non_inferior": {"margin": looked.detectable}}, n=2_000, stop=stop)
    assert there.power == pytest.approx(0.8, abs=1e-6)


def test_equivalence_needs_both_sides():
    (one,), (both,) = (plans({kind: {"margin": 0.05}}, n=2_000) for kind in ("non_inferior", "equivalent"))
    assert both.samples_needed == pytest.approx(pairs_for_margin(0.05, 0.5, power=0.9), abs=1)
    assert both.power == pytest.approx(2 * one.power - 1)


def test_a_share_of_right_answers_is_planned_as_one():
    (plan,) = plans({"at_least": 0.8}, n=100)
    assert plan.variance == pytest.approx(0.16)
    needed = samples_for_proportion(0.8 + plan.detectable, 0.8)
    assert needed == pytest.approx(100, abs=1)
