"""Disparities between groups against fairlearn and scikit-learn."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.levels import levels_in
from evalharness.core.types import Response, Sample
from evalharness.metrics.by_group import ByGroup
from evalharness.metrics.fairness import DemographicParity, EqualizedOdds
from evalharness.metrics.group_figures import group_figures, is_group_figure, is_small
from evalharness.metrics.interval import summarize

LABELS = ("no", "yes")
NAMES = ("ann", "bob", "cem", "dee")


def answers(n=400, *, groups=3, labels=LABELS, seed=0, unread=0):
    """(gold, answers, groups) of a model whose answers depend on the group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    gold = rng.integers(0, len(labels), n)
    keep = rng.random(n) < 0.55 + 0.1 * group
    said = np.where(keep, gold, rng.integers(0, len(labels), n))
    found = [labels[i] for i in said]
    return [labels[i] for i in gold], found, [NAMES[g] for g in group]


def batch(gold, said, groups):
    samples = [
        Sample(id=str(i), digest="", prompt="", target=target, groups={"name": group})
        for i, (target, group) in enumerate(zip(gold, groups, strict=True))
    ]
    return samples, [Response(key=str(i), text=text or "", answer=text) for i, text in enumerate(said)]


def bound(metric, samples, labels=LABELS):
    return metric.for_task(labels).for_levels(levels_in(samples))


def figure(metric, samples, responses, labels=LABELS):
    made = bound(metric, samples, labels)
    return float(made.finalize(made.sample_stats(samples, responses).sum(axis=0)))


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "recall_binary", "mcc"])
def test_by_group_is_metric_frame(name):
    from fairlearn.metrics import MetricFrame
    from sklearn import metrics as sk

    gold, said, groups = answers()
    functions = {
        "accuracy": sk.accuracy_score,
        "f1_macro": lambda t, p: sk.f1_score(t, p, average="macro", labels=list(LABELS)),
        "recall_binary": lambda t, p: sk.recall_score(t, p, pos_label="yes"),
        "mcc": sk.matthews_corrcoef,
    }
    frame = MetricFrame(metrics=functions[name], y_true=gold, y_pred=said, sensitive_features=groups)
    spec = name if name != "recall_binary" else {name: {"positive": "yes"}}
    samples, responses = batch(gold, said, groups)
    for what, expected in (
        ("difference", frame.difference()),
        ("ratio", frame.ratio()),
        ("worst", frame.group_min()),
    ):
        if what == "ratio" and name == "mcc":
            with pytest.raises(ValueError, match="ratio: mcc can be negative; use difference"):
                ByGroup(metric=name, column="name", what="ratio")
            continue
        found = figure(ByGroup(metric=spec, column="name", what=what), samples, responses)
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("groups", [2, 4])
def test_parity_and_odds_are_fairlearns(groups):
    from fairlearn import metrics as fl

    gold, said, names = answers(groups=groups, seed=3)
    samples, responses = batch(gold, said, names)
    t, p = [label == "yes" for label in gold], [label == "yes" for label in said]
    for ours, what, theirs in (
        (DemographicParity, "difference", fl.demographic_parity_difference),
        (DemographicParity, "ratio", fl.demographic_parity_ratio),
        (EqualizedOdds, "difference", fl.equalized_odds_difference),
        (EqualizedOdds, "ratio", fl.equalized_odds_ratio),
    ):
        found = figure(ours(column="name", what=what, positive="yes"), samples, responses)
        assert found == pytest.approx(theirs(t, p, sensitive_features=names), abs=1e-12)
        if what == "difference":  # of two labels the difference is the same for either
            whole = figure(ours(column="name", what=what), samples, responses)
            assert whole == pytest.approx(found, abs=1e-12)


def test_several_labels_are_each_against_the_rest():
    from fairlearn import metrics as fl

    labels = ("a", "b", "c")
    gold, said, names = answers(labels=labels, seed=5)
    samples, responses = batch(gold, said, names)
    for ours, theirs in (
        (DemographicParity, fl.demographic_parity_difference),
        (EqualizedOdds, fl.equalized_odds_difference),
    ):
        each = [
            theirs([g == label for g in gold], [s == label for s in said], sensitive_features=names) for label in labels
        ]
        assert figure(ours(column="name"), samples, responses, labels) == pytest.approx(max(each), abs=1e-12)


def test_an_answer_that_cannot_be_read_is_no_label():
    samples, responses = batch(["yes"] * 4, ["yes", None, "yes", "yes"], ["ann", "ann", "bob", "bob"])
    assert figure(DemographicParity(column="name", positive="yes"), samples, responses) == 0.5
    assert figure(EqualizedOdds(column="name", positive="yes"), samples, responses) == 0.5, "nobody has a gold no"


def test_a_level_without_samples_is_nan_and_said():
    gold, said, names = answers(120, groups=2)
    samples, responses = batch(gold, said, names)
    metric = ByGroup(metric="accuracy", column="name", levels=("ann", "bob", "eve"))
    found = summarize(metric, metric.sample_stats(samples, responses))
    assert math.isnan(found.value)
    assert found.method == "none: nothing measured of name=eve"


def test_one_level_only_is_nan_and_said():
    samples, responses = batch(["yes"] * 3, ["yes"] * 3, ["ann"] * 3)
    metric = bound(ByGroup(metric="accuracy", column="name"), samples)
    found = summarize(metric, metric.sample_stats(samples, responses))
    assert math.isnan(found.value)
    assert found.method == "none: name has only the level 'ann'"
    none = bound(ByGroup(metric="accuracy", column="other"), samples)
    assert summarize(none, none.sample_stats(samples, responses)).method == "none: other has no level"


def test_too_few_say_nothing():
    gold, said, names = answers(60, groups=2)
    samples, responses = batch(gold, said, names)
    metric = bound(ByGroup(metric="accuracy", column="name", least_n=40), samples)
    found = summarize(metric, metric.sample_stats(samples, responses))
    assert (found.low, found.high) == (0.0, 1.0)
    least = min(names.count("ann"), names.count("bob"))
    assert found.method.startswith(f"too few: {least} samples of name=")
    assert "40 are asked for" in found.method
    clusters = [f"c{i % 12}" for i in range(60)]
    clustered = summarize(
        bound(ByGroup(metric="accuracy", column="name", least_n=15), samples),
        metric.sample_stats(samples, responses),
        clusters=clusters,
    )
    assert re.match("too few: 1[12] clusters of name=", clustered.method)
    enough = bound(ByGroup(metric="accuracy", column="name", least_n=least), samples)
    assert summarize(enough, enough.sample_stats(samples, responses)).method == "t of the difference"
    unbounded = bound(ByGroup(metric="output_chars", column="name", least_n=40), samples)
    found = summarize(unbounded, unbounded.sample_stats(samples, responses))
    assert found.low == 0.0
    assert math.isnan(found.high)


def test_a_rate_of_few_samples_says_nothing_however_many_the_level_has():
    gold = ["yes"] * 40 + ["no"] * 40 + ["yes"] * 5 + ["no"] * 75
    said = [label if i % 7 else "yes" for i, label in enumerate(gold)]
    samples, responses = batch(gold, said, ["ann"] * 80 + ["bob"] * 80)
    odds = bound(EqualizedOdds(column="name", positive="yes"), samples, labels=("no", "yes"))
    found = summarize(odds, odds.sample_stats(samples, responses))
    assert found.method == "too few: 5 samples of name=bob, 30 are asked for"
    assert (found.low, found.high) == (0.0, 1.0)
    parity = bound(DemographicParity(column="name", positive="yes"), samples, labels=("no", "yes"))
    assert not summarize(parity, parity.sample_stats(samples, responses)).method.startswith("too few")


def test_samples_of_other_levels_are_not_measured():
    samples, responses = batch(["yes"] * 4, ["yes", "no", "no", "yes"], ["ann", "ann", "bob", "cem"])
    metric = ByGroup(metric="accuracy", column="name", levels=("ann", "bob"))
    rows = metric.sample_stats(samples, responses)
    assert rows[:, 0].tolist() == [1, 1, 1, 0]
    assert not rows[3].any()
    assert metric.columns == ("n", "ann:n", "ann:correct", "bob:n", "bob:correct")


def test_lower_is_better():
    samples, responses = batch(["yes"] * 4, ["a", "aa", "aaa", "aaaa"], ["ann", "ann", "bob", "bob"])
    worst = ByGroup(metric="output_chars", column="name", what="worst")
    assert not worst.higher_is_better
    assert figure(worst, samples, responses) == 3.5
    drop = ByGroup(metric="output_chars", column="name", what="drop", reference="ann")
    assert figure(drop, samples, responses) == 2.0, "longer is a loss"


def test_repeats():
    samples, _ = batch(["yes"] * 4, ["yes"] * 4, ["ann", "ann", "bob", "bob"])
    metric = bound(ByGroup(metric={"pass_at_k": {"k": 2, "of": "exact_match"}}, column="name"), samples)
    samples = [Sample(id=s.id, digest="", prompt="", references=("x",), groups=s.groups) for s in samples]
    groups = [[Response(key="", text=text) for text in two] for two in (("x", "y"), ("y", "y"), ("y", "y"), ("y", "y"))]
    assert metric.least_repeats == 2
    rows = metric.repeat_stats(samples, groups)
    assert float(metric.finalize(rows.sum(axis=0))) == 0.5
    assert not hasattr(ByGroup(metric="accuracy", column="name"), "repeat_stats")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "latency_p95_s"}, "latency_p95_s does not follow from totals"),
        ({"metric": "auroc"}, "auroc does not follow from totals"),
        ({"metric": "no_such"}, "no_such"),
        ({"metric": {"bleu": {"lowercas": True}}}, "metric: bleu.lowercas"),
        ({"metric": {"llm_judge": {"model": "j", "rubric": "?"}}}, "llm_judge asks a judge"),
        ({"metric": {"by_group": {"metric": "accuracy", "column": "x"}}}, "is over groups itself"),
        ({"metric": {"bleu": {}, "ter": {}}}, "metric must be one metric"),
        ({"column": ""}, "column must be"),
        ({"least_n": 1}, "least_n must be at least 2"),
        ({"margin": -0.1}, "margin must be at least 0"),
        ({"levels": ("a", "a")}, "levels must be distinct"),
        ({"levels": ("ann", "bob"), "reference": "anne"}, "there is no level 'anne'; did you mean 'ann'"),
        ({"levels": ("a", "b", "c"), "what": "gap"}, "gap: 'name' has 3 levels; name two"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError) as caught:
        ByGroup(**{"metric": "accuracy", "column": "name", **options})
    assert message in str(caught.value)


def test_a_drop_needs_its_reference():
    samples, responses = batch(["yes"] * 2, ["yes"] * 2, ["ann", "bob"])
    with pytest.raises(UsageError, match="no level 'original' to start from"):
        figure(ByGroup(metric="accuracy", column="name", what="drop"), samples, responses)


def test_a_record_gives_the_levels_back():
    samples, _ = batch(["yes"] * 2, ["yes"] * 2, ['an|levels:["x"]|of:(n', "b,ob"])
    for metric in (ByGroup(metric="accuracy", column='na"me|levels:'), EqualizedOdds(column="name", positive="yes")):
        column = metric.column
        renamed = [Sample(id=s.id, digest="", prompt="", groups={column: s.groups["name"]}) for s in samples]
        made = bound(metric, renamed)
        assert len(made.levels) == 2
        again = metric.as_recorded(made.signature).for_task(LABELS)
        assert again.signature == made.signature
        assert again.columns == made.columns


def test_what_stands_beside_a_tasks_figures():
    gold, said, names = answers(90)
    samples, _ = batch(gold, said, names)
    own = [("accuracy", ByGroup(metric="accuracy", column="x").base), ("mcc", ByGroup(metric="mcc", column="x").base)]
    found = {name: bound(metric, samples) for name, metric in group_figures(own, "na.me x", LABELS)}
    assert list(found) == [
        *("accuracy_difference@na_me_x", "accuracy_ratio@na_me_x", "accuracy_worst@na_me_x"),
        *("mcc_difference@na_me_x", "mcc_worst@na_me_x"),
        *("demographic_parity_difference@na_me_x", "demographic_parity_ratio@na_me_x"),
        *("equalized_odds_difference@na_me_x", "equalized_odds_ratio@na_me_x"),
    ]
    assert found["equalized_odds_ratio@na_me_x"].positive == "yes"
    assert all(is_group_figure(name, metric.signature) for name, metric in found.items())
    assert not is_group_figure("by_group", found["accuracy_ratio@na_me_x"].signature)
    assert not is_small(found["accuracy_ratio@na_me_x"]), "no sample has that column"
    own.append(("gap", ByGroup(metric="accuracy", column="name")))
    left = [name for name, _ in group_figures(own, "name", LABELS)]
    assert left[0] == "demographic_parity_difference@name", "who asks for disparities of a column says which"
    assert len(left) == 4
    assert not list(group_figures([], "name", None))


def test_reports_are_told_what_no_disparity_is():
    found = {what: ByGroup(metric="accuracy", column="name", what=what).probe_finding for what in
             ("difference", "ratio", "worst", "drop", "gap")}  # fmt: skip
    assert found == {"difference": "zero", "ratio": "one", "worst": None, "drop": "above_zero", "gap": "zero"}
    assert EqualizedOdds(column="name").probe_finding == "zero"
