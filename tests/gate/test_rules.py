"""Every rule through records: what passes, what fails, what is undecided, and what the verdict says."""

import json
import math

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.gate import GateOutcome, evaluate_gates
from evalharness.suite.schema import RULE_KINDS, Gates

PAIRED = [kind for kind in RULE_KINDS if kind not in ("at_least", "at_most")]


def gates(*rules, **more):
    return Gates.model_validate({"rules": [{"metric": "qa.accuracy", **rule} for rule in rules], **more})


def right(n_wrong, n=1000):
    return [i >= n_wrong for i in range(n)]


def shuffled(n_wrong, n=1000, seed=0):
    return np.random.default_rng(seed).permutation(np.arange(n) >= n_wrong).tolist()


@pytest.fixture
def runs(make_run):
    """Makes (current, baseline) of runs with so many wrong answers, the former's among the latter's or beyond."""

    def make(now, before, n=1000, **more):
        return make_run(right(now, n), metrics=["accuracy"], **more), make_run(right(before, n), metrics=["accuracy"])

    return make


@pytest.mark.parametrize(
    ("rule", "now", "before", "state"),
    [
        ({"non_inferior": {"margin": 0.01}}, 100, 100, "pass"),
        ({"non_inferior": {"margin": 0.01}}, 105, 100, "inconclusive"),
        ({"non_inferior": {"margin": 0.01}}, 130, 100, "fail"),
        ({"max_regression": 0.01}, 100, 100, "pass"),
        ({"max_regression": 0.01}, 130, 100, "fail"),
        ({"superior": True}, 80, 100, "pass"),
        ({"superior": True}, 99, 100, "inconclusive"),
        ({"superior": True}, 120, 100, "fail"),
        ({"superior": {"margin": 0.01}}, 60, 100, "pass"),
        ({"superior": {"margin": 0.01}}, 88, 100, "inconclusive"),
        ({"equivalent": {"margin": 0.01}}, 100, 100, "pass"),
        ({"equivalent": {"margin": 0.01}}, 60, 100, "fail"),
        ({"equivalent": {"margin": 0.01}}, 140, 100, "fail"),
        ({"equivalent": {"margin": 0.01}}, 92, 100, "inconclusive"),
        ({"max_relative_drop": 0.02}, 103, 100, "pass"),
        ({"max_relative_drop": 0.02}, 115, 100, "inconclusive"),
        ({"max_relative_drop": 0.02}, 150, 100, "fail"),
    ],
)
def test_rules_that_compare(runs, rule, now, before, state):
    current, baseline = runs(now, before)
    outcome = evaluate_gates(current, gates(rule), baseline=baseline)
    (verdict,) = outcome.verdicts
    assert (verdict.state, outcome.state) == (state, state)
    assert verdict.method == "exact paired"
    assert (verdict.further_samples is not None) == (state == "inconclusive")
    assert verdict.reason.endswith(".")
    assert "95 % bound" in verdict.reason
    assert verdict.alpha == 0.05


@pytest.mark.parametrize("rule", [{"superior": True}, *({k: {"margin": 0.01}} for k in ("non_inferior", "equivalent"))])
def test_ten_identical_pairs_do_not_pass(runs, rule):
    current, baseline = runs(2, 2, n=10)
    outcome = evaluate_gates(current, gates(rule), baseline=baseline)
    assert outcome.state == "inconclusive"


def test_identical_runs_are_not_superior_however_many_samples(runs):
    current, baseline = runs(2, 2)
    (verdict,) = evaluate_gates(current, gates({"superior": True}), baseline=baseline).verdicts
    assert verdict.state == "inconclusive"
    assert verdict.further_samples is None
    assert "lies at the limit" in verdict.reason


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"non_inferior": {"margin": 0.01}}, "qa.accuracy non-inferior within 0.01 · m"),
        ({"superior": True}, "qa.accuracy superior · m"),
        ({"superior": {"margin": 0.02}}, "qa.accuracy superior by 0.02 · m"),
        ({"equivalent": {"margin": 0.01}}, "qa.accuracy equivalent within 0.01 · m"),
        ({"max_relative_drop": 0.02}, "qa.accuracy worse by ≤ 2 % · m"),
        ({"max_regression": 0.01}, "qa.accuracy regresses ≤ 0.01 · m"),
    ],
)
def test_rules_are_named(runs, rule, words):
    current, baseline = runs(100, 100)
    assert evaluate_gates(current, gates(rule), baseline=baseline).verdicts[0].rule == words


@pytest.mark.parametrize(
    ("rule", "now", "state"),
    [
        ({"non_inferior": {"margin": 0.01}}, 110, "pass"),
        ({"non_inferior": {"margin": 0.01}}, 111, "fail"),
        ({"superior": True}, 99, "pass"),
        ({"superior": True}, 100, "fail"),
        ({"superior": {"margin": 0.01}}, 90, "fail"),
        ({"superior": {"margin": 0.01}}, 89, "pass"),
        ({"equivalent": {"margin": 0.01}}, 90, "pass"),
        ({"equivalent": {"margin": 0.01}}, 89, "fail"),
        ({"max_relative_drop": 0.02}, 118, "pass"),
        ({"max_relative_drop": 0.02}, 119, "fail"),
    ],
)
def test_the_figures_decide_where_a_suite_says_point(runs, rule, now, state):
    current, baseline = runs(now, 100)
    outcome = evaluate_gates(current, gates(rule, decide_on="point"), baseline=baseline)
    assert outcome.state == state
    assert outcome.verdicts[0].p_value is None


def test_lower_is_better_in_every_rule(make_run):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.002, 400)
    options = {"metrics": ["latency_mean_s"]}
    base = make_run(right(0, 400), latency=lambda i: 0.5 + 0.0005 * i, **options)
    slower = make_run(right(0, 400), latency=lambda i: 0.55 + 0.0005 * i + noise[i], **options)
    faster = make_run(right(0, 400), latency=lambda i: 0.45 + 0.0005 * i + noise[i], **options)

    def state(current, **rule):
        policy = Gates.model_validate({"rules": [{"metric": "qa.latency_mean_s", **rule}]})
        return evaluate_gates(current, policy, baseline=base).verdicts[0]

    assert state(slower, non_inferior={"margin": 0.1}).state == "pass"
    assert state(slower, non_inferior={"margin": 0.02}).state == "fail"
    assert state(faster, superior=True).state == "pass"
    assert state(slower, max_relative_drop=0.1).state == "pass"
    assert state(slower, max_relative_drop=0.05).state == "fail"
    assert "bound of (1.05·baseline − current), " in state(slower, max_relative_drop=0.05).reason


def test_a_share_of_nothing_is_no_drop(make_run):
    nothing = make_run([False] * 50, metrics=["accuracy"])
    outcome = evaluate_gates(nothing, gates({"max_relative_drop": 0.1}), baseline=nothing)
    assert outcome.state == "inconclusive"
    assert "use max_regression" in outcome.reason
    at_once = make_run([True] * 50, metrics=["latency_mean_s"], latency=lambda i: 0.0)
    slower = make_run([True] * 50, metrics=["latency_mean_s"], latency=lambda i: 0.1 * (i == 0))
    rule = {"metric": "qa.latency_mean_s", "max_relative_drop": 0.1}
    assert evaluate_gates(at_once, gates(rule), baseline=at_once).state == "inconclusive"
    assert evaluate_gates(slower, gates(rule), baseline=at_once).state == "fail"


def test_a_relative_drop_that_nothing_can_exceed_fails(runs):
    current, baseline = runs(900, 100)
    (verdict,) = evaluate_gates(current, gates({"max_relative_drop": 5}), baseline=baseline).verdicts
    assert verdict.state == "fail"
    assert "a drop by 500 % can never be exceeded: it is a share, and 5 % are 0.05" in verdict.reason


def test_a_verdict_counts_changed_samples_only_where_samples_have_values(make_run):
    now, before = (make_run(shuffled(100, seed=seed), metrics=["accuracy", "mcc"]) for seed in (1, 2))
    rules = [{"metric": f"qa.{name}", "superior": True} for name in ("accuracy", "mcc")]
    accuracy, mcc = evaluate_gates(now, gates(*rules), baseline=before).verdicts
    assert "paired, " in accuracy.reason
    assert " better)" in accuracy.reason
    assert "(n = 1,000 paired)" in mcc.reason


def test_a_verdict_keeps_names_and_knows_no_minus_zero(runs):
    current, baseline = runs(130, 100)
    verdict, missing = evaluate_gates(
        current, gates({"max_regression": 0}, {"at_least": 0.5, "group": "language=fr"}), baseline=baseline
    ).verdicts
    assert verdict.reason.endswith("is below 0.")
    assert missing.reason.startswith("qa.accuracy has no figure for the group")


def test_holm_steps_down_over_blocking_rules_only(make_run):
    record = make_run([True] * 90 + [False] * 10, metrics=["accuracy"])
    rules = [{"at_least": limit} for limit in (0.8, 0.83, 0.835)]
    assert evaluate_gates(record, gates(*rules, correction="none")).state == "pass"
    outcome = evaluate_gates(record, gates(*rules))
    assert [v.state for v in outcome.verdicts] == ["pass", "inconclusive", "inconclusive"]
    assert [v.alpha for v in outcome.verdicts] == pytest.approx([0.05 / 3, 0.025, 0.025])
    assert "98.33 %" in outcome.verdicts[0].reason
    warned = evaluate_gates(record, gates(*[{**rule, "tier": "warn"} for rule in rules[1:]], rules[0]))
    assert [v.state for v in warned.verdicts] == ["pass"] * 3
    assert {v.alpha for v in warned.verdicts} == {0.05}


def test_alpha_is_the_suites(make_run):
    record = make_run([True] * 90 + [False] * 10, metrics=["accuracy"])
    assert evaluate_gates(record, gates({"at_least": 0.83}, alpha=0.05)).state == "pass"
    strict = evaluate_gates(record, gates({"at_least": 0.83}, alpha=0.01))
    assert strict.state == "inconclusive"
    assert "99 % bounds" in strict.reason


def test_so_many_further_samples_settle_it(make_run):
    record = make_run([True] * 90 + [False] * 10, metrics=["accuracy"])
    (verdict,) = evaluate_gates(record, gates({"at_least": 0.86})).verdicts
    assert verdict.state == "inconclusive"
    n = 100 + verdict.further_samples
    again = make_run([i >= round(0.1 * n) for i in range(n)], metrics=["accuracy"])
    assert evaluate_gates(again, gates({"at_least": 0.86})).state == "pass"
    assert f"about {verdict.further_samples:,} more samples" in verdict.reason


@pytest.mark.parametrize("metric", ["qa.latency_p95_s", "qa.mcc", "qa.latency_mean_s"])
def test_every_figure_can_be_judged(make_run, metric):
    record = make_run(shuffled(100, 400), metrics=["accuracy", "latency_p95_s", "mcc", "latency_mean_s"])
    value = next(r.value for r in record.results if f"qa.{r.metric}" == metric and r.group is None)
    for factor, condition, state in (
        (1.5, "at_most", "pass"),
        (0.5, "at_most", "fail"),
        (1.0, "at_most", "inconclusive"),
    ):
        policy = Gates.model_validate({"rules": [{"metric": metric, condition: value * factor}]})
        assert evaluate_gates(record, policy).state == state


def test_a_baseline_that_is_needed_is_asked_for(make_run):
    for kind in PAIRED:
        rule = {kind: 0.1 if kind.startswith("max") else {"margin": 0.1}}
        with pytest.raises(UsageError, match=rf"a {kind} rule compares with a baseline.*evalharness promote"):
            evaluate_gates(make_run(right(0, 5)), gates(rule))


def test_the_outcome_keeps_how_it_was_decided(runs):
    current, baseline = runs(105, 100)
    outcome = evaluate_gates(current, gates({"non_inferior": {"margin": 0.01}}), baseline=baseline)
    body = json.loads(json.dumps(outcome.to_dict()))
    assert (body["alpha"], body["correction"]) == (0.05, "holm")
    verdict = body["verdicts"][0]
    assert verdict["further_samples"] == outcome.verdicts[0].further_samples
    assert verdict["method"] == "exact paired"
    assert 0.05 < verdict["p_value"] < 1
    assert GateOutcome.from_dict(body).to_dict() == outcome.to_dict()
    # As older versions wrote it.
    for key in ("further_samples", "p_value", "alpha", "method"):
        del verdict[key]
    del body["alpha"], body["correction"]
    assert GateOutcome.from_dict(body).verdicts[0].further_samples is None


def test_no_error_at_all_is_a_fact_of_the_run_and_no_estimate(make_run):
    clean = make_run([True] * 40, metrics=["error_rate"])

    def state(record, **rule):
        policy = Gates.model_validate({"rules": [{"metric": "qa.error_rate", "at_most": 0, **rule}]})
        return evaluate_gates(record, policy).verdicts[0]

    assert state(clean).state == "inconclusive"
    assert "decide_on: point judges this run alone" in state(clean).reason
    assert state(clean, decide_on="point").state == "pass"
    assert state(clean, decide_on="point").p_value is None


def test_a_figure_at_the_end_of_its_range_violates_no_limit_there(make_run):
    record = make_run([False] * 40, metrics=["accuracy"])
    assert evaluate_gates(record, gates({"at_most": 0.0})).state == "inconclusive"
    assert evaluate_gates(record, gates({"at_least": 0.0})).state == "pass"
    assert evaluate_gates(make_run([True] * 40, metrics=["accuracy"]), gates({"at_least": 1.0})).state == "inconclusive"
    one_wrong = make_run([True] * 39 + [False], metrics=["accuracy"])
    assert evaluate_gates(one_wrong, gates({"at_least": 1.0})).state == "fail"


# ── missing samples ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("n_failed", "rule", "left_out", "at_worst"),
    [
        (14, {"at_least": 0.9}, "pass", "inconclusive"),  # as 186 of 200, whose lower bound is 0.893
        (2, {"at_least": 0.9}, "pass", "pass"),
        (60, {"at_most": 0.9}, "fail", "inconclusive"),
        (0, {"at_least": 0.95}, "pass", "pass"),
    ],
)
def test_failed_samples_are_taken_at_their_worst(make_run, n_failed, rule, left_out, at_worst):
    record = make_run([True] * (200 - n_failed) + [None] * n_failed, metrics=["accuracy"])
    assert evaluate_gates(record, gates(rule)).state == left_out
    outcome = evaluate_gates(record, gates(rule, missing="worst_case"))
    assert outcome.state == at_worst
    if n_failed:
        assert f"{n_failed} missing, taken at the worst and best" in outcome.verdicts[0].reason


def test_a_worst_case_is_what_the_run_would_be_with_them_wrong(make_run):
    record = make_run([True] * 90 + [None] * 10, metrics=["accuracy"])
    wrong = make_run([True] * 90 + [False] * 10, metrics=["accuracy"])
    policy = gates({"at_least": 0.8})
    p = evaluate_gates(record, gates({"at_least": 0.8}, missing="worst_case")).verdicts[0].p_value
    assert p == pytest.approx(evaluate_gates(wrong, policy).verdicts[0].p_value)


def test_samples_of_one_run_only_are_taken_at_their_worst(make_run):
    current = make_run([True] * 480 + [None] * 20, metrics=["accuracy"])
    baseline = make_run([True] * 500, metrics=["accuracy"])
    rule = {"non_inferior": {"margin": 0.02}}
    assert evaluate_gates(current, gates(rule), baseline=baseline).state == "pass"
    outcome = evaluate_gates(current, gates(rule, missing="worst_case"), baseline=baseline)
    assert outcome.state == "inconclusive"
    assert "20 only in the baseline" in outcome.reason
    wide = {"non_inferior": {"margin": 0.1}}
    assert evaluate_gates(current, gates(wide, missing="worst_case"), baseline=baseline).state == "pass"


def test_samples_that_failed_in_both_runs_are_missing_too(make_run):
    both = make_run([True] * 480 + [None] * 20, metrics=["accuracy"])
    rule = {"non_inferior": {"margin": 0.02}}
    outcome = evaluate_gates(both, gates(rule, missing="worst_case"), baseline=both)
    assert outcome.state == "inconclusive"
    assert "20 in neither" in outcome.reason


@pytest.mark.parametrize("metric", ["qa.latency_p95_s", "qa.mcc"])
def test_figures_without_a_worst_case_say_so(make_run, metric):
    record = make_run([True, False] * 60 + [None] * 3, metrics=["mcc", "latency_p95_s"])
    policy = Gates.model_validate({"rules": [{"metric": metric, "at_least": -0.9}], "missing": "worst_case"})
    outcome = evaluate_gates(record, policy)
    assert outcome.state == "inconclusive"
    assert "3 samples are missing, and this figure has no worst case" in outcome.reason
    assert "gates.missing: exclude" in outcome.reason


def test_the_open_side_of_a_figure_has_no_worst_case(make_run):
    record = make_run([True] * 60 + [None] * 3, metrics=["latency_mean_s"])
    policy = {"rules": [{"metric": "qa.latency_mean_s", "at_most": 100.0}], "missing": "worst_case"}
    outcome = evaluate_gates(record, Gates.model_validate(policy))
    assert outcome.state == "inconclusive"
    assert "∞" in outcome.reason


# ── another model of the same run ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def two_models(make_run):
    """Makes a record with the models candidate and base, that have so many of n wrong."""
    import dataclasses

    from evalharness.record import seal

    def make(now, before, n=300):
        parts = [make_run(right(now, n), model="candidate"), make_run(right(before, n), model="base")]
        manifest = parts[0].manifest
        results = tuple(r for part in parts for r in part.results)
        tasks = tuple(t for part in parts for t in part.manifest.tasks)
        whole = dataclasses.replace(manifest, id="both", results=results, tasks=tasks)
        rows = [row for part in parts for row in part.iter_samples()]
        tables = [part.stats(r.task, r.model, r.metric) for part in parts for r in part.results if r.group is None]
        return seal(parts[0].folder.parent / "both", whole, rows, [], tables)

    return make


def test_another_model_of_the_run_is_the_baseline(two_models):
    record = two_models(10, 40)
    policy = gates({"superior": True}, {"at_least": 0.9}, baseline={"model": "base"})
    outcome = evaluate_gates(record, policy)
    assert outcome.state == "pass"
    assert [v.model for v in outcome.verdicts] == ["candidate", "candidate"]
    assert outcome.baseline_id == "base"
    assert outcome.verdicts[0].baseline_value == pytest.approx(260 / 300)
    own = evaluate_gates(record, gates({"at_least": 0.95, "model": "base"}, baseline={"model": "base"}))
    assert own.state == "fail"


def test_a_model_that_did_not_run_is_no_baseline(two_models):
    outcome = evaluate_gates(two_models(10, 40), gates({"superior": True}, baseline={"model": "other"}))
    assert outcome.state == "fail"
    assert "did not run on the model 'other'" in outcome.reason


def test_a_run_that_is_named_takes_the_place_of_the_model(two_models, make_run):
    outcome = evaluate_gates(
        two_models(10, 40),
        gates({"superior": True}, baseline={"model": "base"}),
        baseline=make_run(right(5, 300), model="base"),
    )
    assert len(outcome.verdicts) == 2
    assert not math.isnan(outcome.verdicts[0].value)
