"""Gates on figures that are best between their bounds, such as a bias score: nearer to none is better."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalharness.cli.alarms import _is_unbreakable, _worse
from evalharness.core.canonical import digest
from evalharness.core.registry import registry
from evalharness.core.types import LogLikelihood, MetricResult, Request, Response, Sample
from evalharness.gate.evaluate import evaluate_gates
from evalharness.gate.evidence import paired_evidence
from evalharness.gate.looks import _level
from evalharness.gate.missing import bounded_paired
from evalharness.gate.rows import PairedRows
from evalharness.metrics.interval import sample_values, summarize
from evalharness.record import RunManifest, SampleRow, ScoreRow, StatsTable, TaskSummary, seal
from evalharness.suite.schema import Gates, Rule

CROWS = registry("metrics").load("crows_pairs")()
BBQ = registry("metrics").load("bbq_bias")()


def share(n: int, ones: int, *, first: int = 0) -> np.ndarray:
    """(n, 2) rows of a share: ones from place `first` on, around the end."""
    values = np.zeros(n)
    values[(first + np.arange(ones)) % n] = 1.0
    return np.stack([np.ones(n), values], axis=1)


def biased(n: int, n_biased: int) -> np.ndarray:
    """(n, 4) rows of BBQ: all answers name a person."""
    rows = np.ones((n, 4))
    rows[:, 1], rows[:, 2] = 0.0, np.arange(n) < n_biased
    return rows


def test_the_same_distance_on_the_other_side_is_no_gain_and_no_loss():
    found = paired_evidence(CROWS, share(1000, 300), share(1000, 700))
    assert found.value == pytest.approx(0)
    assert found.p_value(-0.1, "at_least") <= 0.05
    assert found.p_value(0, "at_least") > 0.3  # is it better? nobody knows
    assert (found.n_worse, found.n_better) == (0, 0)


@pytest.mark.parametrize(
    ("metric", "current", "baseline", "gain"),
    [
        (CROWS, share(1000, 550), share(1000, 800), 0.25),
        (CROWS, share(1000, 150), share(1000, 600), -0.25),
        (CROWS, share(1000, 400), share(1000, 200), 0.2),
        (BBQ, biased(400, 210), biased(400, 320), 0.55),
        (BBQ, biased(400, 20), biased(400, 240), -0.7),
        (BBQ, biased(400, 120), biased(400, 40), 0.4),
    ],
)
def test_nearer_to_none_is_better_from_either_side(metric, current, baseline, gain):
    found = paired_evidence(metric, current, baseline)
    assert found.value == pytest.approx(gain)
    low, high = found.bounds(0.05)
    assert low < gain < high
    assert (low > 0) == (gain > 0)
    assert (high < 0) == (gain < 0)
    back = paired_evidence(metric, baseline, current)
    assert back.value == pytest.approx(-gain)


def test_a_relative_drop_is_one_of_the_distance():
    # From 0.2 above a half to 0.24 below it: 20 % farther away.
    found = paired_evidence(CROWS, share(1000, 260), share(1000, 700), relative=0.2)
    assert found.value == pytest.approx(0)
    assert paired_evidence(CROWS, share(1000, 260), share(1000, 700), relative=0.5).value == pytest.approx(0.06)


def test_missing_samples_are_taken_at_the_worst_on_either_side():
    both = PairedRows(share(400, 200), share(400, 200), (None,) * 400, share(40, 20), share(0, 0))
    found = bounded_paired(CROWS, both, 0)
    low, _ = found.bounds(0.05)
    # The baseline's forty may all have been of either kind: then it lay 20/440 from a half; the current ones are known.
    assert low <= 0
    known = paired_evidence(CROWS, both.current, both.baseline).bounds(0.05)
    assert low < known.low
    missing_now = PairedRows(share(400, 200), share(400, 200), (None,) * 400, share(0, 0), share(40, 20))
    worst = bounded_paired(CROWS, missing_now, 0).bounds(0.05).low
    assert worst <= -20 / 440  # the forty that lack now may lie on one side


def test_missing_samples_across_the_middle_are_taken_at_the_worst_and_the_best():
    # The baseline is 0.8 throughout. Of the forty that lack now all may be 0, or all 1: 80/440 to 120/440.
    both = PairedRows(share(400, 80, first=320), share(400, 320), (None,) * 400, share(0, 0), share(40, 32))
    low, high = bounded_paired(CROWS, both, 0).bounds(0.05)
    assert low < 0.3 - (0.5 - 80 / 440)
    assert high > 0.3 - (0.5 - 120 / 440)
    assert -0.12 < low < high < 0.18


def test_identical_pairs_tell_little_and_nothing_tells_nothing():
    same = paired_evidence(CROWS, share(20, 10), share(20, 10))
    assert same.p_value(-0.01, "at_least") > 0.05
    assert paired_evidence(CROWS, share(0, 0), share(0, 0)).method == "none"
    nobody = biased(10, 5)
    nobody[:, 2:] = 0  # nobody named: no score
    found = paired_evidence(BBQ, nobody, biased(10, 5))
    assert found.method == "none"
    assert found.p_value(-1, "at_least") == 1


def record(tmp_path, run_id: str, n: int, ones: int, *, first: int = 0):
    """A run of CrowS-Pairs in which the stereotyping text is the likelier in `ones` of `n` pairs."""
    rows: list[SampleRow] = []
    for i in range(n):
        wins = (i - first) % n < ones
        sample = Sample(f"s{i}", digest([i]), f"pair {i}", choices=("he", "she"), target="he")
        key = digest([run_id, i])
        likely = (LogLikelihood(-1.0 if wins else -3.0, False, 1), LogLikelihood(-2.0, False, 1))
        rows.append(
            SampleRow(
                "bias", "m", sample, Request(key, "m", "loglikelihood", sample.id, sample.prompt),
                Response(key, status="ok", loglikelihoods=likely),
            )
        )  # fmt: skip
    stats = CROWS.sample_stats([r.sample for r in rows], [r.response for r in rows])
    ids, digests = [r.sample.id for r in rows], [r.sample.digest for r in rows]
    found = summarize(CROWS, stats)
    result = MetricResult(
        "bias", "m", "crows_pairs", found.value, found.low, found.high, found.method, 0.95, n, 0, False, (0.0, 1.0),
        CROWS.signature, columns=tuple(CROWS.columns), totals=tuple(stats.sum(axis=0)),
    )  # fmt: skip
    values = sample_values(CROWS, stats)
    manifest = RunManifest(
        id=run_id, name="s", suite_name="s", suite_digest="5" * 64,
        suite={"version": 1, "name": "s", "models": {"m": {"backend": "fake"}},
               "tasks": [{"id": "bias", "metrics": ["crows_pairs"]}],
               "execution": {"on_error": {"count_as": "excluded", "max_rate": 1.0}}},
        created_utc="2026-11-21T10:00:00Z", finished_utc="2026-11-21T10:00:42Z", evalharness_version="0.1.0",
        models={"m": {"backend": "fake"}},
        tasks=(TaskSummary("bias", "m", "loglikelihood", {"data": "d" * 64}, n, n, {"ok": n}, ()),),
        results=(result,),
    )  # fmt: skip
    scores = [
        ScoreRow("bias", "m", "crows_pairs", i, d, float(v)) for i, d, v in zip(ids, digests, values, strict=True)
    ]
    table = StatsTable("bias", "m", "crows_pairs", ids, digests, [None] * n, stats)
    return seal(tmp_path / run_id, manifest, rows, scores, [table])


def decide(rule: dict[str, Any], current, baseline, **more: Any):
    gates = Gates.model_validate({"rules": [{"metric": "bias.crows_pairs", **rule}], **more})
    (verdict,) = evaluate_gates(current, gates, baseline=baseline).verdicts
    return verdict


@pytest.mark.parametrize(
    ("rule", "now", "was", "state"),
    [
        ({"non_inferior": {"margin": 0.05}}, 100, 500, "fail"),  # lower, and a strong preference
        ({"non_inferior": {"margin": 0.05}}, 500, 800, "pass"),
        ({"non_inferior": {"margin": 0.05}}, 500, 200, "pass"),  # higher, and none
        ({"superior": True}, 200, 800, "inconclusive"),
        ({"superior": True}, 300, 800, "pass"),
        ({"equivalent": {"margin": 0.1}}, 300, 700, "pass"),
        ({"max_regression": 0.05}, 300, 700, "pass"),
        ({"max_relative_drop": 0.5}, 300, 700, "pass"),
        ({"max_relative_drop": 0.5}, 100, 700, "fail"),
        ({"max_relative_drop": 0.5}, 500, 500, "inconclusive"),  # a share of no distance
    ],
)
@pytest.mark.parametrize("decide_on", ["interval", "point"])
def test_every_rule_that_compares_goes_by_the_distance(tmp_path, rule, now, was, state, decide_on):
    current, baseline = record(tmp_path, "now", 1000, now), record(tmp_path, "was", 1000, was)
    verdict = decide(rule, current, baseline, decide_on=decide_on)
    expected = "fail" if state == "inconclusive" and decide_on == "point" and rule == {"superior": True} else state
    assert verdict.state == expected, verdict.reason


def test_the_sentence_says_nearer_and_farther(tmp_path):
    low, high = record(tmp_path, "now", 1000, 100), record(tmp_path, "was", 1000, 500)
    rule = {"non_inferior": {"margin": 0.05}}
    assert "0.4 farther from 0.5" in decide(rule, low, high).reason
    assert "0.4 nearer to 0.5" in decide(rule, high, low).reason
    other = record(tmp_path, "other", 1000, 900)
    assert "as far from 0.5, on the other side" in decide(rule, low, other).reason
    assert "unchanged" in decide(rule, low, low).reason


def test_a_share_of_the_baseline_is_one_of_its_distance_at_looks_too():
    assert _level(CROWS, 0.3) == pytest.approx(0.2)
    assert _level(BBQ, -0.4) == pytest.approx(0.4)
    assert _level(registry("metrics").load("exact_match")(), 0.3) == 0.3


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(0.5, 0.1, "clearly"), (0.8, 0.5, "no"), (0.7, 0.3, "no"), (0.7, 0.28, "within its interval")],
)
def test_a_known_bad_model_makes_it_worse_by_going_farther(before, after, expected):
    rule = Rule.model_validate({"metric": "bias.crows_pairs", "non_inferior": {"margin": 0.05}})
    sides = (SimpleNamespace(value=v, ci_low=v - 0.05, ci_high=v + 0.05) for v in (before, after))
    assert _worse(rule, *sides, 0.5) == expected


def test_a_margin_beyond_the_farthest_value_cannot_be_broken(tmp_path):
    run = record(tmp_path, "r", 200, 160)  # 0.3 from a half, which can be 0.5 away at most
    (figure,) = run.results

    def unbreakable(**rule: Any) -> bool:
        return _is_unbreakable(Rule.model_validate({"metric": "bias.crows_pairs", **rule}), figure, run)

    assert unbreakable(non_inferior={"margin": 0.25})
    assert not unbreakable(non_inferior={"margin": 0.15})
    assert unbreakable(max_relative_drop=0.8)
    assert not unbreakable(max_relative_drop=0.5)
    assert not unbreakable(superior=True)
    assert unbreakable(at_most=1.0)
