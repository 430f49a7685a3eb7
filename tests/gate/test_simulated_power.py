"""The power that redrawn and looked-at runs have: beside fresh runs that the gate's own functions decide."""

import math

import numpy as np
import pytest

from evalharness.compare.planned import PlannedFigure
from evalharness.compare.sequential import Design, LookedRule, LookedRules
from evalharness.core.registry import registry
from evalharness.gate.evidence import absolute_evidence, paired_evidence
from evalharness.gate.paired_cases import question_of
from evalharness.gate.power_plan import RuleTest, found_power
from evalharness.gate.share_power import PairsPower
from evalharness.gate.simulated_power import Pool, Redrawn, can_be_redrawn
from evalharness.gate.spread import Spread
from evalharness.metrics.match import ExactMatch, TokenF1
from evalharness.metrics.operations import LatencyMean, LatencyP95
from evalharness.stats.power import power_of
from evalharness.suite.schema import Rule, StopWhenDecided


def rows(values):
    values = np.asarray(values, dtype=np.float64)
    return np.stack([np.ones_like(values), values], axis=1)


def rule(**kind):
    return Rule.model_validate({"metric": "t.x", **kind})


def high_scores(rng, n):
    """Mostly 1, a tenth anywhere; mean 0.95."""
    return np.where(rng.random(n) < 0.9, 1.0, rng.uniform(0, 1, n))


def alone(current, baseline=None):
    return Pool(current, baseline, (None,) * len(current))


def spread(pool, values, expected):
    return Spread(float(np.var(values)), "", True, expected, pool=pool)


@pytest.mark.slow
def test_a_skewed_mean_of_few_has_the_power_of_the_gate_and_not_of_the_formula():
    values = high_scores(np.random.default_rng(1), 5_000)
    figure, test = PlannedFigure("t", "m", "x", TokenF1(), 60), RuleTest(0.05, 1, None)
    found = found_power(rule(at_least=0.88), figure, 60, spread(alone(rows(values)), values, 0.95), test, distance=0.07)
    rng = np.random.default_rng(2)
    fresh = [absolute_evidence(TokenF1(), rows(high_scores(rng, 60))) for _ in range(1_000)]
    seen = np.mean([evidence.p_value(0.88, "at_least") <= 0.05 for evidence in fresh])
    assert found.power == pytest.approx(seen, abs=0.06)
    assert power_of(60, 0.07, float(values.var())) > seen + 0.1
    assert found.needed > 60


@pytest.mark.parametrize("kind", ["at_least", "at_most"])
def test_each_side_of_a_long_tail_has_its_own_power(kind):
    values = np.random.default_rng(3).lognormal(-0.32, 0.8, 5_000)
    redrawn = Redrawn(rule(**{kind: 1.0}), LatencyMean(), alone(rows(values)), 0.05)
    rng, limit = np.random.default_rng(4), 1.2 if kind == "at_most" else 0.8
    fresh = [absolute_evidence(LatencyMean(), rows(rng.lognormal(-0.32, 0.8, 100))) for _ in range(800)]
    seen = np.mean([evidence.p_value(limit, kind) <= 0.05 for evidence in fresh])
    assert redrawn.power(100, 0.2) == pytest.approx(seen, abs=0.06)


@pytest.mark.slow
def test_what_is_detected_is_what_has_the_power():
    values = high_scores(np.random.default_rng(5), 3_000)
    redrawn = Redrawn(rule(at_least=0.9), TokenF1(), alone(rows(values)), 0.05)
    detected = redrawn.detectable(150, 0.8)
    assert redrawn.power(150, detected) == pytest.approx(0.8, abs=0.03)
    assert redrawn.power(150, 0.9 * detected) < 0.8
    needed = redrawn.needed(100, detected, 0.8)
    assert needed == pytest.approx(150, rel=0.15)
    # Of more samples than are drawn, by the square root of their number.
    assert redrawn.detectable(40_000, 0.8) == pytest.approx(redrawn.detectable(10_000, 0.8) / 2, rel=1e-6)


@pytest.mark.slow
def test_whole_clusters_are_drawn():
    rng = np.random.default_rng(6)
    values = np.repeat(rng.beta(4, 1, 400), 5)
    names = tuple(f"c{i // 5}" for i in range(2_000))
    right = (rng.random(2_000) < values).astype(float)
    rates = Redrawn(rule(at_least=0.7), ExactMatch(), Pool(rows(right), None, names), 0.05)
    assert rates.detectable(100, 0.8) > 1.2 * Redrawn(
        rule(at_least=0.7), ExactMatch(), alone(rows(right)), 0.05
    ).detectable(100, 0.8)
    fresh = []
    for _ in range(500):
        rate = np.repeat(rng.beta(4, 1, 40), 5)
        drawn = rows((rng.random(200) < rate).astype(float))
        fresh.append(
            absolute_evidence(ExactMatch(), drawn, clusters=list(names[:200])).p_value(0.7, "at_least") <= 0.05
        )
    assert rates.power(200, 0.1) == pytest.approx(np.mean(fresh), abs=0.09)


@pytest.mark.slow
def test_equivalence_and_a_relative_drop_are_planned_as_the_gate_asks():
    rng = np.random.default_rng(7)
    before = rng.uniform(0.4, 0.8, 3_000)
    after = before + rng.normal(0, 0.1, 3_000)
    after += (before - after).mean()
    pool = alone(rows(after), rows(before))

    def power(distance, **kind):
        return Redrawn(rule(**kind), TokenF1(), pool, 0.05).power(80, distance)

    once = power(0.03, non_inferior={"margin": 0.03})
    both = power(0.03, equivalent={"margin": 0.03})
    assert both == pytest.approx(2 * once - 1, abs=0.03)
    drop = power(0.05 * before.mean(), max_relative_drop=0.05)
    assert drop == pytest.approx(once, abs=0.06)
    for kind, seen in (({"equivalent": {"margin": 0.03}}, both), ({"max_relative_drop": 0.05}, drop)):
        asked, held = rule(**kind), 0
        question = question_of(asked, ExactMatch())
        for _ in range(600):
            drawn = rng.integers(0, 3_000, 80)
            relative = asked.number if asked.kind == "max_relative_drop" else 0.0
            evidence = paired_evidence(TokenF1(), pool.current[drawn], pool.baseline[drawn], relative=relative)
            held += question.holds(evidence) <= 0.05
        assert seen == pytest.approx(held / 600, abs=0.07)


@pytest.mark.parametrize("futility", [True, False])
def test_a_run_that_stops_passes_as_often_as_is_promised(futility):
    """Pairs of right and wrong answers, looked at by the gate's own rules."""
    stop = StopWhenDecided(looks=3, futility=futility)
    n, margin, differ = 150, 0.05, 0.06
    test = RuleTest(0.05, 1, stop)
    promised = PairsPower(differ, test.level, looks=test.looks).power(n, margin)
    asked, seen = rule(non_inferior={"margin": margin}), {}
    question, fractions = question_of(asked, ExactMatch()), tuple((i + 1) / 3 for i in range(3))

    def tested(gains, losses, m):
        if (gains, losses, m) not in seen:
            current, baseline = np.zeros(m), np.zeros(m)
            current[:gains], baseline[gains : gains + losses] = 1, 1
            evidence = paired_evidence(ExactMatch(), rows(current), rows(baseline))
            seen[gains, losses, m] = LookedRule(question.holds(evidence), question.is_violated(evidence))
        return seen[gains, losses, m]

    rng, passed = np.random.default_rng(8), 0
    for counts in rng.multinomial(50, [differ / 2, differ / 2, 1 - differ], (1_500, 3)).cumsum(axis=1).tolist():
        rules = LookedRules([Design(fractions, stop.spending, 0.05, gives_up=futility)])
        for look, (gains, losses, _) in enumerate(counts):
            state = rules.look([tested(gains, losses, 50 * (look + 1))])[0]
            if state != "open":
                passed += state == "pass"
                break
    assert promised == pytest.approx(passed / 1_500, abs=0.035)
    assert 0.3 < promised < 0.95


@pytest.mark.slow
def test_looks_at_scores_cost_power_and_are_met():
    values = np.random.default_rng(9).beta(2, 1, 4_000)
    pool, stop = alone(rows(values)), StopWhenDecided(looks=4)
    once = Redrawn(rule(at_least=0.6), TokenF1(), pool, 0.05)
    test = RuleTest(0.05, 1, stop)
    looked = Redrawn(rule(at_least=0.6), TokenF1(), pool, test.level, test.looks)
    assert once.power(80, 0.06) - 0.15 < looked.power(80, 0.06) < once.power(80, 0.06)
    assert looked.power(80, looked.detectable(80, 0.8)) >= 0.8


def test_what_would_take_long_is_left_to_the_formula():
    nobody = alone(rows([1.0, 0.0]))
    assert can_be_redrawn(TokenF1(), nobody)
    assert can_be_redrawn(registry("metrics").load("f1_macro")().for_task(("a", "b")), nobody)
    assert not can_be_redrawn(LatencyP95(), alone(nobody.current, nobody.current))


def test_a_rule_that_looks_improve_on_is_planned_with_the_gain_it_detects():
    gain = PairsPower(0.1, 0.05).gain(300, 0.8)
    rng = np.random.default_rng(10)
    wins = rng.multinomial(300, [(0.1 + gain) / 2, (0.1 - gain) / 2, 0.9], 400)[:, :2].tolist()
    held = []
    for better, worse in wins:
        current, baseline = np.zeros(300), np.zeros(300)
        current[:better], baseline[better : better + worse] = 1, 1
        held.append(
            question_of(rule(superior=True), ExactMatch()).holds(
                paired_evidence(ExactMatch(), rows(current), rows(baseline))
            )
            <= 0.05
        )
    assert np.mean(held) == pytest.approx(0.8, abs=0.07)
    assert math.isclose(PairsPower(0.1, 0.05).power(300, 1.0), 1.0, abs_tol=1e-4)


def bias_pairs(rng, n, share, differ=0.1):
    """Which of two sentences is likelier, `share` of them the stereotyping one, in two runs as good as each other."""
    before = rng.random(n) < share
    chance = np.where(before, differ / 2 / share, differ / 2 / (1 - share))
    return rows(before ^ (rng.random(n) < chance)), rows(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "kind", "off"),
    [
        (0.6, {"non_inferior": {"margin": 0.04}}, 0.06),
        (0.6, {"equivalent": {"margin": 0.05}}, 0.06),
        (0.6, {"max_relative_drop": 0.4}, 0.06),
        # Near one half the promise is cautious.
        (0.52, {"non_inferior": {"margin": 0.04}}, 0.15),
    ],
)
def test_bias_scores_have_the_power_of_two_tests(share, kind, off):
    metric = registry("metrics").load("crows_pairs")()
    asked, n = rule(**kind), 400
    known = Spread(0.1, "", True, 0.0, share, discordance=0.1)
    distance = asked.number * (abs(share - 0.5) if asked.kind == "max_relative_drop" else 1.0)
    figure = PlannedFigure("t", "m", "x", metric, n)
    found = found_power(asked, figure, n, known, RuleTest(0.05, 1, None), distance=distance)
    rng, question = np.random.default_rng(5), question_of(asked, metric)
    relative = asked.number if asked.kind == "max_relative_drop" else 0.0
    fresh = [paired_evidence(metric, *bias_pairs(rng, n, share), relative=relative) for _ in range(300)]
    seen = np.mean([question.holds(evidence) <= 0.05 for evidence in fresh])
    assert found.power == pytest.approx(seen, abs=off)
    # A margin that suffices for a figure that is better the higher does not for one with two sides.
    assert found.power < PairsPower(0.1, 0.05, asked.kind == "equivalent").power(n, distance) - 0.03


def test_bias_scores_by_groups_are_redrawn_on_either_side():
    metric = registry("metrics").load("pro_anti_gap")()
    rng = np.random.default_rng(6)
    pro = np.arange(1_000) % 2
    rate = np.where(pro == 1, 0.85, 0.7)
    runs = [rng.random(1_000) < rate for _ in range(2)]
    pool = alone(*(np.stack([np.ones(1_000), pro, pro * run, 1 - pro, (1 - pro) * run], axis=1) for run in runs))
    figures = [float(metric.finalize(run.sum(axis=0)[None])[0]) for run in (pool.current, pool.baseline)]
    redrawn = Redrawn(rule(non_inferior={"margin": 0.1}), metric, pool, 0.05)
    assert redrawn._truth == pytest.approx(abs(figures[1]) - abs(figures[0]))
    below = pool._replace(current=pool.current[:, [0, 3, 4, 1, 2]], baseline=pool.baseline[:, [0, 3, 4, 1, 2]])
    turned = Redrawn(rule(non_inferior={"margin": 0.1}), metric, below, 0.05)
    # A gap of −0.15 is as far from none as one of 0.15.
    assert turned.power(300, 0.1, most=300) == pytest.approx(redrawn.power(300, 0.1, most=300), abs=1e-9)
