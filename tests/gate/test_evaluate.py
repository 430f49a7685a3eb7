import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.gate import GateOutcome, evaluate_gates
from evalharness.suite.schema import Gates

RIGHT_80 = [True] * 80 + [False] * 20


def gates(*rules, decide_on="point", **more):
    return Gates.model_validate({"rules": list(rules), "decide_on": decide_on, **more})


def rule(metric="qa.accuracy", **more):
    return {"metric": metric, **more}


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ({"at_least": 0.8}, "pass"),
        ({"at_most": 0.8}, "pass"),
        ({"at_least": 0.81}, "fail"),
        ({"at_most": 0.79}, "fail"),
        ({"at_least": 0.0}, "pass"),
        ({"at_most": 1.0}, "pass"),
    ],
)
def test_point_rules(make_run, condition, state):
    outcome = evaluate_gates(make_run(RIGHT_80), gates(rule(**condition)))
    assert outcome.state == state
    assert outcome.exit_code == {"pass": 0, "fail": 1}[state]
    (verdict,) = outcome.verdicts
    assert verdict.value == pytest.approx(0.8)
    assert verdict.n == 100
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(
    ("limit", "state", "code"),
    [(0.7, "pass", 0), (0.75, "inconclusive", 4), (0.85, "inconclusive", 4), (0.9, "fail", 1)],
)
def test_interval_rules_have_three_states(make_run, limit, state, code):
    # Wilson at 80 of 100: [0.711, 0.867]
    outcome = evaluate_gates(make_run(RIGHT_80), gates(rule(at_least=limit), decide_on="interval"))
    assert (outcome.state, outcome.exit_code) == (state, code)
    if state == "inconclusive":
        assert "more samples would settle it with a probability of 80 % (now 100)" in outcome.reason
        assert outcome.verdicts[0].further_samples > 0


def test_the_bounds_decide_unless_a_suite_says_otherwise():
    policy = Gates.model_validate({"rules": [rule(at_least=0.8)]})
    assert (policy.decide_on, policy.alpha, policy.correction, policy.missing) == ("interval", 0.05, "holm", "exclude")


def test_any_threshold(make_run):
    record = make_run(RIGHT_80)

    @settings(deadline=None, max_examples=100)
    @given(limit=st.floats(-1, 2, allow_nan=False), condition=st.sampled_from(["at_least", "at_most"]))
    def holds(limit, condition):
        outcome = evaluate_gates(record, gates(rule(**{condition: limit})))
        value = outcome.verdicts[0].value
        if abs(value - limit) > 1e-9:
            fulfilled = value >= limit if condition == "at_least" else value <= limit
            assert outcome.state == ("pass" if fulfilled else "fail")
        by_interval = evaluate_gates(record, gates(rule(**{condition: limit}), decide_on="interval"))
        assert by_interval.state in (outcome.state, "inconclusive")

    holds()


def test_nan_fails(make_run):
    record = make_run(RIGHT_80, edit=lambda r: dataclasses.replace(r, value=math.nan))
    for decide_on in ("point", "interval"):
        for condition in ({"at_least": 0.0}, {"at_most": 1.0}):
            outcome = evaluate_gates(record, gates(rule(**condition), decide_on=decide_on))
            assert outcome.state == "fail"
            assert "not a number" in outcome.reason


def test_nothing_scored_fails_whatever_the_value_says(make_run):
    record = make_run(RIGHT_80, edit=lambda r: dataclasses.replace(r, n=0, value=1.0))
    outcome = evaluate_gates(record, gates(rule(at_least=0.5)))
    assert outcome.state == "fail"
    assert "no sample was scored" in outcome.reason


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (rule("qa.acuracy", at_least=0.5), ["'qa.acuracy'", "did you mean 'qa.accuracy'?", "qa.mcc"]),
        (rule("aq.accuracy", at_least=0.5), ["did you mean 'qa.accuracy'?"]),
        (rule(at_least=0.5, model="n"), ["no figure for the model 'n'", "it has m"]),
        (rule(at_least=0.5, group="language=fr"), ["'language=fr'", "language=de, language=en"]),
        (rule(at_least=0.5, group="sprache=de"), ["'sprache=de'", "language=de"]),
    ],
)
def test_a_missing_figure_fails_and_names_those_that_exist(make_run, wrong, parts):
    outcome = evaluate_gates(make_run(RIGHT_80), gates(wrong))
    (verdict,) = outcome.verdicts
    assert verdict.state == outcome.state == "fail"
    assert math.isnan(verdict.value)
    for part in parts:
        assert part in verdict.reason


def test_an_empty_record_fails_its_rules(make_run):
    outcome = evaluate_gates(make_run([], metrics=()), gates(rule(at_least=0.5)))
    assert outcome.state == "fail"
    assert "no figures at all" in outcome.reason


def test_group_rule_reads_the_groups_figure(make_run):
    record = make_run([i % 2 == 0 for i in range(20)])  # en all right, de all wrong
    outcome = evaluate_gates(
        record, gates(rule(at_least=0.9, group="language=en"), rule(at_least=0.1, group="language=de", tier="warn"))
    )
    assert [v.value for v in outcome.verdicts] == [1.0, 0.0]
    assert [v.n for v in outcome.verdicts] == [10, 10]
    assert outcome.state == "pass"
    assert "language=de" in outcome.verdicts[1].rule


def test_only_block_decides(make_run):
    record = make_run(RIGHT_80)
    failing = rule(at_least=0.99)
    for tier in ("warn", "info"):
        outcome = evaluate_gates(record, gates(rule(at_least=0.5), {**failing, "tier": tier}))
        assert outcome.state == "pass"
        assert outcome.verdicts[1].state == "fail"
        assert "1 warn or info rule does not pass." in outcome.reason
    assert evaluate_gates(record, gates(rule(at_least=0.5), failing)).state == "fail"
    only_warn = evaluate_gates(record, gates({**failing, "tier": "warn"}))
    assert only_warn.state == "pass"
    assert "No rule blocks" in only_warn.reason


def test_fail_beats_inconclusive(make_run):
    outcome = evaluate_gates(make_run(RIGHT_80), gates(rule(at_least=0.8), rule(at_least=0.99), decide_on="interval"))
    assert [v.state for v in outcome.verdicts] == ["inconclusive", "fail"]
    assert outcome.exit_code == 1


def test_a_rule_covers_models_and_variants(make_run):
    base = make_run(RIGHT_80)
    results = [
        dataclasses.replace(base.results[0], task=task, model=model, group=None)
        for task, model in (("qa", "a"), ("qa@prompt=b", "a"), ("qa", "b@temperature=0.7"), ("qatar", "a"))
    ]
    manifest = dataclasses.replace(base.manifest, results=tuple(results))
    record = type(base)(base.folder, manifest, {})
    everything = evaluate_gates(record, gates(rule(at_least=0.5)))
    assert [(v.task, v.model) for v in everything.verdicts] == [
        ("qa", "a"),
        ("qa@prompt=b", "a"),
        ("qa", "b@temperature=0.7"),
    ]
    assert len({v.rule for v in everything.verdicts}) == 3
    only_b = evaluate_gates(record, gates(rule(at_least=0.5, model="b")))
    assert [v.model for v in only_b.verdicts] == ["b@temperature=0.7"]
    variant = evaluate_gates(record, gates(rule("qa@prompt=b.accuracy", at_least=0.5)))
    assert [v.task for v in variant.verdicts] == ["qa@prompt=b"]


def test_a_variants_id_may_hold_dots(make_run):
    base = make_run(RIGHT_80)
    result = dataclasses.replace(base.results[0], task="qa@temperature=0.7", group=None)
    record = type(base)(base.folder, dataclasses.replace(base.manifest, results=(result,)), {})
    assert evaluate_gates(record, gates(rule("qa@temperature=0.7.accuracy", at_least=0.5))).state == "pass"
    assert evaluate_gates(record, gates(rule(at_least=0.5))).state == "pass"


@pytest.mark.parametrize(
    ("n_failed", "on_error", "state"),
    [
        (0, "fail", "pass"),
        (1, "fail", "fail"),
        (1, "exclude", "pass"),
        (1, "count_wrong", "pass"),
        (10, {"count_as": "excluded", "max_rate": 0.1}, "pass"),
        (11, {"count_as": "excluded", "max_rate": 0.1}, "fail"),
        (11, {"count_as": "wrong", "max_rate": 0.1}, "fail"),
        (1, {"count_as": "failure", "max_rate": 1.0}, "fail"),
    ],
)
def test_failed_samples(make_run, n_failed, on_error, state):
    record = make_run([True] * (100 - n_failed) + [None] * n_failed, on_error=on_error)
    outcome = evaluate_gates(record, gates(rule(at_least=0.5), rule(at_least=0.6, tier="warn")))
    assert outcome.state == state
    block, warn = outcome.verdicts
    assert block.state == state
    assert warn.state == "pass"
    if state == "fail":
        assert f"{n_failed} of 100 answers of qa by m failed" in outcome.reason
        assert "on_error" in outcome.reason
        assert block.value == 1.0  # the figure is still reported


def test_an_unfinished_run_passes_no_gate(make_run):
    outcome = evaluate_gates(make_run(RIGHT_80, complete=False), gates(rule(at_least=0.5)))
    assert outcome.state == "fail"
    assert "not complete" in outcome.reason


def test_missing_baseline_is_a_usage_error_with_the_remedy(make_run):
    with pytest.raises(UsageError, match="evalharness promote RUN --as production"):
        evaluate_gates(make_run(RIGHT_80), gates(rule(max_regression=0.1)))


def test_outcome_survives_its_json(make_run):
    record = make_run(RIGHT_80)
    outcome = evaluate_gates(record, gates(rule(at_least=0.5), rule("qa.none", at_most=1)))
    path = outcome.write(record.folder)
    import json

    assert path.name == "gate.json"
    again = GateOutcome.from_dict(json.loads(path.read_text(encoding="utf-8")))
    assert again.to_dict() == outcome.to_dict()
    assert math.isnan(again.verdicts[1].value)
    record.verify()  # gate.json is no part of the seal


def test_deciding_changes_nothing_and_repeats(make_run):
    record = make_run(RIGHT_80)
    policy = gates(rule(at_least=0.75), decide_on="interval")
    assert evaluate_gates(record, policy).to_dict() == evaluate_gates(record, policy).to_dict()
