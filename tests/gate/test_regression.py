import dataclasses
import math

import numpy as np
import pytest

from evalharness.compare.rebuild import metric_of
from evalharness.core.errors import NotComparableError
from evalharness.gate import evaluate_gates
from evalharness.suite.schema import Gates

N = 40


def gates(limit, *, metric="qa.accuracy", decide_on="point", **more):
    return Gates.model_validate(
        {"rules": [{"metric": metric, "max_regression": limit, **more}], "decide_on": decide_on}
    )


def right(n_wrong, n=N):
    return [i >= n_wrong for i in range(n)]


@pytest.mark.parametrize(
    ("now", "before", "limit", "state"),
    [
        (4, 2, 0.05, "pass"),  # 0.90 against 0.95: the loss is the limit, and floats say 0.04999999999999993
        (4, 2, 0.0499, "fail"),
        (2, 4, 0.0, "pass"),  # better
        (2, 2, 0.0, "pass"),
        (3, 2, 0.0, "fail"),
    ],
)
def test_point(make_run, now, before, limit, state):
    current, baseline = make_run(right(now)), make_run(right(before))
    outcome = evaluate_gates(current, gates(limit), baseline=baseline)
    assert outcome.state == state
    (verdict,), (pairing,) = outcome.verdicts, outcome.pairings
    assert verdict.value == pytest.approx(1 - now / N)
    assert verdict.baseline_value == pytest.approx(1 - before / N)
    assert pairing.regression == pytest.approx((now - before) / N)
    assert (pairing.n_paired, pairing.n_only_current, pairing.n_only_baseline) == (N, 0, 0)
    assert outcome.baseline_id == baseline.id


def test_lower_is_better(make_run):
    fast, slow = make_run(right(0), latency=lambda i: 0.1), make_run(right(0), latency=lambda i: 0.3)
    worse = evaluate_gates(slow, gates(0.1, metric="qa.latency_p95_s"), baseline=fast)
    assert worse.state == "fail"
    assert "0.2 worse" in worse.reason
    assert evaluate_gates(fast, gates(0.1, metric="qa.latency_p95_s"), baseline=slow).state == "pass"
    assert evaluate_gates(slow, gates(0.2, metric="qa.latency_p95_s"), baseline=fast).state == "pass"


def test_only_samples_that_both_have_count(make_run):
    # Samples 0-39 against 10-59. On 10-39: the run has 5 wrong, the baseline none; alone each looks otherwise.
    current = make_run([i >= 15 for i in range(40)])
    baseline = make_run([i < 40 for i in range(10, 60)], first=10)
    outcome = evaluate_gates(current, gates(0.5), baseline=baseline)
    (verdict,), (pairing,) = outcome.verdicts, outcome.pairings
    assert (pairing.n_paired, pairing.n_only_current, pairing.n_only_baseline) == (30, 10, 20)
    assert verdict.value == pytest.approx(25 / 30)
    assert verdict.baseline_value == pytest.approx(1.0)
    assert verdict.n == 30
    assert "n = 30 paired, 5 worse and 0 better; 10 only in this run and 20 only in the baseline" in verdict.reason
    assert math.isnan(verdict.ci_low)  # the recorded interval is that of other samples


def test_failed_samples_are_not_paired(make_run):
    current = make_run([None, None, *right(0)[2:]])
    outcome = evaluate_gates(current, gates(0.0), baseline=make_run(right(0)))
    assert outcome.pairings[0].n_paired == N - 2
    assert outcome.pairings[0].n_only_baseline == 2
    assert outcome.state == "pass"


def test_pairing_is_by_content_not_by_id(make_run):
    current = make_run(right(5))
    baseline = make_run(right(5, N)[::-1], content=lambda i: N - 1 - i)  # the same questions in another order
    outcome = evaluate_gates(current, gates(0.0), baseline=baseline)
    # Targets are part of the content: samples whose target moved with the number are no pair.
    same = [i for i in range(N) if bool(i % 3) == bool((N - 1 - i) % 3)]
    assert outcome.pairings[0].n_paired == len(same)


def test_repeated_content_is_paired_once_each(make_run):
    current = make_run(right(2, 12), content=lambda i: 0)
    baseline = make_run(right(2, 9), content=lambda i: 0)
    pairing = evaluate_gates(current, gates(1.0), baseline=baseline).pairings[0]
    assert (pairing.n_paired, pairing.n_only_current, pairing.n_only_baseline) == (9, 3, 0)


def test_no_common_sample_fails(make_run):
    outcome = evaluate_gates(make_run(right(0)), gates(1.0), baseline=make_run(right(0), first=1000))
    assert outcome.state == "fail"
    assert "no sample is in both runs" in outcome.reason


@pytest.mark.parametrize("field", ["data", "prompt", "generation", "kind"])
def test_refuses_what_cannot_be_compared(make_run, identity, field):
    current = make_run(right(0))
    baseline = make_run(right(0), identity={**identity, field: "0" * 64})
    with pytest.raises(NotComparableError) as refused:
        evaluate_gates(current, gates(0.1), baseline=baseline)
    message = str(refused.value)
    assert f"the runs differ in {field}" in message
    assert f"tasks[qa].identity.{field}: {identity[field][:12]}" in message
    assert "→" in message
    assert refused.value.exit_code == 2


def test_names_all_fields_that_differ(make_run):
    current = make_run(right(0))
    baseline = make_run(
        right(0),
        identity={"data": "1" * 64, "prompt": "2" * 64},
        edit=lambda r: dataclasses.replace(r, signature="accuracy|version:0"),
    )
    with pytest.raises(NotComparableError) as refused:
        evaluate_gates(current, gates(0.1), baseline=baseline)
    first = str(refused.value).splitlines()[0]
    for field in ("data", "prompt", "generation", "kind", "signature"):
        assert field in first
    assert "accuracy|version:0" in str(refused.value)
    assert "missing" in str(refused.value)


def test_threshold_rules_ignore_the_baseline(make_run):
    current, baseline = make_run(right(0)), make_run(right(0), identity={"data": "other"})
    policy = Gates.model_validate({"rules": [{"metric": "qa.accuracy", "at_least": 0.5}]})
    assert evaluate_gates(current, policy, baseline=baseline).state == "pass"


def test_a_metric_that_is_computed_otherwise_now_is_refused(make_run):
    old = {"edit": lambda r: dataclasses.replace(r, signature="accuracy|version:0")}
    with pytest.raises(NotComparableError, match="this evalharness computes"):
        evaluate_gates(make_run(right(0), **old), gates(0.1), baseline=make_run(right(0), **old))


def test_renamed_metric_is_found(make_run):
    spec = [{"accuracy": {"as": "acc"}}]
    rename = {"edit": lambda r: dataclasses.replace(r, metric="acc"), "metrics": ["accuracy"], "suite_metrics": spec}
    record = make_run(right(0), **rename)
    assert metric_of(record, record.results[0]).name == "accuracy"


def test_models_are_matched_by_name_or_as_the_only_one(make_run):
    current, baseline = make_run(right(4), model="candidate"), make_run(right(2), model="production")
    assert evaluate_gates(current, gates(0.05), baseline=baseline).state == "pass"
    two = dataclasses.replace(
        baseline.manifest,
        results=(*baseline.results, *(dataclasses.replace(r, model="another") for r in baseline.results)),
    )
    ambiguous = type(baseline)(baseline.folder, two, {})
    outcome = evaluate_gates(current, gates(0.05), baseline=ambiguous)
    assert outcome.state == "fail"
    assert "no model 'candidate'" in outcome.reason
    assert "another, production" in outcome.reason


def test_a_figure_that_the_baseline_lacks_fails(make_run):
    outcome = evaluate_gates(make_run(right(0)), gates(0.1), baseline=make_run(right(0), metrics=["mcc"]))
    assert outcome.state == "fail"
    assert "qa.mcc" in outcome.reason


def test_group_rule_pairs_the_group(make_run):
    current = make_run([i % 2 == 0 or i > 9 for i in range(N)])  # 5 wrong, all of them German
    outcome = evaluate_gates(current, gates(0.2, group="language=de"), baseline=make_run(right(0)))
    (pairing,) = outcome.pairings
    assert pairing.n_paired == N // 2
    assert pairing.regression == pytest.approx(0.25)
    assert outcome.state == "fail"
    assert evaluate_gates(current, gates(0.0, group="language=en"), baseline=make_run(right(0))).state == "pass"


@pytest.mark.parametrize(
    ("now", "before", "n", "limit", "state"),
    [
        (0, 0, 10, 0.01, "inconclusive"),  # ten identical pairs are no evidence of equality
        (0, 0, 2000, 0.01, "pass"),
        (0, 0, 10, 0.5, "pass"),
        (200, 0, 1000, 0.05, "fail"),
        (60, 0, 1000, 0.05, "inconclusive"),
    ],
)
def test_interval(make_run, now, before, n, limit, state):
    current, baseline = make_run(right(now, n), metrics=["accuracy"]), make_run(right(before, n), metrics=["accuracy"])
    outcome = evaluate_gates(current, gates(limit, decide_on="interval"), baseline=baseline)
    assert outcome.state == state
    pairing = outcome.pairings[0]
    assert pairing.low < pairing.regression < pairing.high or now == before
    if state == "inconclusive" and now == before:
        assert "samples would settle it" in outcome.reason


def test_a_metric_of_totals_is_computed_anew_on_the_pairs(make_run):
    from sklearn.metrics import matthews_corrcoef

    current, baseline = make_run(right(19)), make_run(right(3), first=5)
    outcome = evaluate_gates(current, gates(2.0, metric="qa.mcc", decide_on="interval"), baseline=baseline)
    targets = ["yes" if i % 3 else "no" for i in range(5, N)]
    flip = {"yes": "no", "no": "yes"}
    answers = [t if i >= 19 else flip[t] for i, t in zip(range(5, N), targets, strict=True)]
    (verdict,) = outcome.verdicts
    assert verdict.value == pytest.approx(matthews_corrcoef(targets, answers))
    answers = [t if i >= 8 else flip[t] for i, t in zip(range(5, N), targets, strict=True)]
    assert verdict.baseline_value == pytest.approx(matthews_corrcoef(targets, answers))
    assert outcome.pairings[0].method == "paired bootstrap and jackknife"


def test_clusters_reach_the_interval(make_run):
    shift = {"latency": lambda i: 0.1 + 0.01 * (i // 10)}
    clusters = {"clusters": lambda i: f"c{i // 10}", "metrics": ["latency_mean_s"]}
    current, baseline = make_run(right(0), **shift, **clusters), make_run(right(0), latency=lambda i: 0.1, **clusters)
    policy = gates(0.05, metric="qa.latency_mean_s", decide_on="interval")
    assert evaluate_gates(current, policy, baseline=baseline).pairings[0].method == "paired t, skew-adjusted, clustered"


def test_whole_and_paired_figures_agree_where_all_samples_are_paired(make_run):
    record = make_run([bool(x) for x in np.random.default_rng(0).integers(0, 2, N)])
    for result in record.results:
        if result.group is None:
            outcome = evaluate_gates(record, gates(0.0, metric=f"qa.{result.metric}"), baseline=record)
            assert outcome.verdicts[0].value == pytest.approx(result.value, abs=1e-12)
            assert outcome.state == "pass"
