"""The probe as a suite has it: its tasks and metrics, its options, and scripted models that are fair or are not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.interval import summarize
from evalharness.probes.base import ItemsProbe, RewritingProbe
from evalharness.probes.counterfactual import Counterfactual
from evalharness.probes.disparity import disparity, figure
from evalharness.suite.metric_specs import build_metric


def task(**options):
    probe = Counterfactual(**options)
    (part,) = probe.parts(probe.rows(Path()))
    return dict(part.task)


def names(specs):
    return [figure(spec) for spec in specs]


def test_it_has_both_shapes():
    probe = Counterfactual(axis="gender")
    assert isinstance(probe, ItemsProbe)
    assert isinstance(probe, RewritingProbe)
    assert probe.column == probe.question == "gender"
    assert Counterfactual.question == "counterfactual fairness"
    assert not probe.reference


def test_resume_by_likelihood():
    made = task(axis="religion", use="resume", margin=0.1)
    assert made["prompt"] == "{{ prompt }}"
    assert made["choices"] == ["Yes", "No"]
    assert made["target"] == "{{ gold }}"
    assert "generate" not in made
    assert made["groups"] == ["religion"]
    assert names(made["metrics"]) == ["accuracy", "score", "gap", "worst"]
    assert made["metrics"][2]["by_group"] == {
        "metric": {"label_probability": {"label": "Yes", "better": "higher"}},
        "column": "religion",
        "least_n": 30,
        "levels": ["christian", "muslim", "jewish", "hindu", "buddhist"],
        "what": "difference",
        "margin": 0.1,
        "as": "gap",
    }


def test_the_ways_of_asking():
    classified = task(axis="gender", use="sentiment", label="POS", other_label="NEG")
    assert (classified["classify"], classified["target"]) == ("{{ text }}", "{{ gold }}")
    assert "choices" not in classified
    assert classified["metrics"][1]["label_probability"]["label"] == "POS"
    rows = Counterfactual(axis="gender", use="sentiment", label="POS", other_label="NEG").rows(Path())
    assert {row.fields["gold"] for row in rows} == {"POS", "NEG"}
    toxic = task(axis="gender", use="toxicity", by="generation", generate={"temperature": 0.5}, chat=True)
    assert toxic["choice_by"] == "generation"
    assert toxic["generate"] == {"max_tokens": 16, "temperature": 0.5}
    assert toxic["chat"] is True
    assert toxic["metrics"][1]["label_probability"] == {"label": "toxic", "better": "lower", "as": "score"}
    refused = task(axis="age", use="refusal", also=("output_chars",))
    assert "choices" not in refused
    assert "target" not in refused
    assert names(refused["metrics"]) == [
        "score", "gap", "worst", "output_chars", "output_chars_gap", "output_chars_worst",
    ]  # fmt: skip
    right = task(axis="age", use="quality", language="zh")
    assert right["reference"] == "{{ gold }}"
    assert right["generate"] == {"max_tokens": 32}
    chinese = task(axis="age", use="resume", language="zh")
    assert chinese["choices"] == ["是", "否"]
    assert chinese["delimiter"] == ""


def test_signed_differences():
    two = task(axis="gender", use="resume", levels=("male", "female"))["metrics"]
    assert names(two) == ["accuracy", "score", "gap", "worst", "gap_signed"]
    assert two[-1]["by_group"]["levels"] == ["female", "male"]
    against = task(axis="disability", use="resume", against="unstated")["metrics"]
    assert names(against)[4:] == ["gap_blind", "gap_deaf", "gap_wheelchair_user", "gap_autistic"]
    assert against[4]["by_group"]["levels"] == ["blind", "unstated"]
    rows = Counterfactual(axis="gender", use="resume", levels=("male", "female")).rows(Path())
    assert {row.groups["gender"] for row in rows} == {"female", "male"}


def test_metrics_of_another_task():
    probe = Counterfactual(axis="gender", margin=0.02)
    made = probe.metrics(["accuracy", {"bleu": {"lowercase": True, "as": "bleu_lower"}}], ["female", "male"])
    assert names(made) == [
        "accuracy", "accuracy_gap", "accuracy_worst", "accuracy_gap_signed",
        "bleu_lower", "bleu_lower_gap", "bleu_lower_worst", "bleu_lower_gap_signed",
    ]  # fmt: skip
    assert made[5]["by_group"]["metric"] == {"bleu": {"lowercase": True}}
    assert names(probe.metrics([], ["female", "male"]))[0] == "refusal_rate"


def test_what_by_group_cannot_take_stands_alone():
    common = {"column": "gender", "levels": ["a", "b"], "margin": 0.0, "least_n": 30}
    for spec in ("auroc", "latency_p50_s", {"llm_judge": {"model": "judge", "rubric": "…"}}):
        assert disparity(spec, **common) == [spec]
    (_, own, *_) = disparity({"python": "my.metrics:Polite"}, **common)
    assert own["by_group"]["metric"] == {"python": {"path": "my.metrics:Polite"}}
    assert own["by_group"]["as"] == "my_metrics_Polite_gap"
    assert disparity({"bleu": None}, **common)[1]["by_group"]["metric"] == "bleu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -1.0}, "margin must be 0 or more; got -1"),
        ({"per_template": 0}, "per_template must be at least 1; got 0"),
        ({"levels": ("male",)}, "levels must be two or more of the axis's levels"),
        ({"use": "refusal", "by": "classify"}, "by: classify cannot ask for refusal; it needs generation"),
        ({"by": "classify", "generate": {}}, "generate has no effect by classify; remove one of them"),
    ],
)
def test_options_that_are_wrong(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Counterfactual(axis="gender", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what the model is used for (use: resume"),
        (
            {"use": "resume", "levels": ("male", "femal")},
            "the axis 'gender' has no level 'femal'; did you mean 'female'?",
        ),
        ({"use": "resume", "against": "it"}, "the axis 'gender' has no level 'it'; it has: female, male, nonbinary"),
        ({"use": "resume", "levels": ("male", "female"), "against": "nonbinary"}, "nonbinary must be one of levels"),
    ],
)
def test_questions_that_cannot_be_asked(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Counterfactual(axis="gender", **options).rows(Path())


# ── scripted models ───────────────────────────────────────────────────────────────────────────────────────────────


def verdict(seed, bias, *, axis="religion", margin=0.0):
    """The interval of the probe's gap on a scripted classifier: noise of its own, and `bias` against one level."""
    probe = Counterfactual(axis=axis, use="sentiment", margin=margin)
    rows = probe.rows(Path())
    (part,) = probe.parts(rows)
    spec = next(spec for spec in part.task["metrics"] if figure(spec) == "gap")
    metric = build_metric(spec)[1].for_task(("positive", "negative"))
    rng = np.random.default_rng(seed)
    of_template = {row.cluster: rng.uniform(0.2, 0.8) for row in rows}
    last = rows[-1].groups[axis]
    samples = [Sample(row.id, "", "", groups=row.groups, cluster=row.cluster, target="positive") for row in rows]
    responses = []
    for row in rows:
        p = of_template[row.cluster] + rng.normal(0, 0.1) - bias * (row.groups[axis] == last)
        p = float(np.clip(p, 0, 1))
        responses.append(Response(row.id, label_probabilities={"positive": p, "negative": 1 - p}))
    rows_of = metric.sample_stats(samples, responses)
    return summarize(metric, rows_of, clusters=[row.cluster for row in rows], confidence=0.95, seed=seed)


def test_a_fair_model_is_cleared_and_a_biased_one_is_flagged():
    flagged = [verdict(seed, 0.0).low > 0 for seed in range(200)]
    assert np.mean(flagged) <= 0.07
    assert all(verdict(seed, 0.12).low > 0 for seed in range(20))
    assert all(verdict(seed, 0.0, margin=0.15).high < 0.15 for seed in range(20))
