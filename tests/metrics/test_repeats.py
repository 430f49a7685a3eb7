from __future__ import annotations

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError, RepeatsMetric
from evalharness.metrics.repeats import MajAtK, MajorityShare, PassAtK, PassHatK, RepeatAgreement


def grouped(*answers, gold="yes"):
    """One sample for each list of answers; None is an answer that could not be read."""
    samples = [Sample(id=str(i), digest="", prompt="", references=(gold,), target=gold) for i in range(len(answers))]
    groups = [
        [Response(key="", text="…", answer=a, status="unparsed" if a is None else "ok") for a in group]
        for group in answers
    ]
    return samples, groups


def value(metric, *answers, **options):
    return float(metric.finalize(metric.repeat_stats(*grouped(*answers, **options)).sum(axis=0)))


def test_pass_at_k_uses_all_answers():
    answers = ["yes", "no", "no", "yes", "no"]
    assert value(PassAtK(), answers) == pytest.approx(0.4)
    assert value(PassAtK(k=3), answers) == pytest.approx(0.9)
    assert value(PassAtK(k=3), answers, ["no"] * 5) == pytest.approx(0.45)
    assert value(PassHatK(k=2), answers) == pytest.approx(0.1)
    assert value(PassHatK(k=5), ["yes"] * 5) == 1.0


def test_too_few_answers_are_not_measured():
    rows = PassAtK(k=3).repeat_stats(*grouped(["yes"] * 3, ["yes", "no"], []))
    assert rows.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_what_is_right_another_metric_says():
    close = PassAtK(k=2, of={"numeric_match": {"absolute": 0.1}})
    assert value(close, ["3.1", "9"], gold="3") == 1.0
    assert value(PassAtK(k=2), ["3.1", "9"], gold="3") == 0.0
    half = PassAtK(of="token_f1", threshold=0.5)
    assert value(half, ["yes indeed"], gold="yes") == 1.0
    assert value(PassAtK(of="accuracy"), ["yes"]) == 1.0
    assert PassAtK(of="accuracy").needs == {"target"}
    assert "absolute:0.1" in close.signature
    assert hash(close) == hash(PassAtK(k=2, of={"numeric_match": {"absolute": 0.1}}))


def test_where_less_is_better():
    short = PassAtK(of="output_chars", threshold=1.0)  # the text is "…"
    assert value(short, ["yes"]) == 1.0
    assert value(PassAtK(of="output_chars", threshold=0.0), ["yes"]) == 0.0


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("exact_mach", "did you mean 'exact_match'"),
        ({"exact_match": {"normalise": "strip"}}, "normalise"),
        ({}, "one metric"),
        ({"a": {}, "b": {}}, "one metric"),
        ("majority_share", "looks at several answers"),
        ("llm_judge", "asks a judge"),
        ("evaluate", r"of: evaluate\.path: Field required"),
        ({"regex": {"pattern": "("}}, "no regular expression"),
    ],
)
def test_a_wrong_metric_is_refused(of, message):
    with pytest.raises((MetricOptionError, UsageError), match=message):
        PassAtK(of=of)


@pytest.mark.parametrize("metric", [PassAtK, PassHatK, MajAtK])
def test_k_is_one_or_more(metric):
    with pytest.raises(MetricOptionError, match="at least 1"):
        metric(k=0)


def test_the_majority_decides():
    assert value(MajAtK(), ["yes", "no", "Yes."]) == 1.0
    assert value(MajAtK(), ["no", "no", "yes"]) == 0.0
    assert value(MajAtK(k=1), ["no", "yes", "yes"]) == 0.0
    assert value(MajAtK(normalize="none"), ["yes", "Yes.", "no", "no"]) == 0.0
    assert value(MajAtK(), ["yes", "no"]) == 0.5  # as if the lot decided
    assert value(MajAtK(), [None, None, "yes"]) == 1.0  # what could not be read has no vote
    assert value(MajAtK(), [None, None]) == 0.0


def test_agreement():
    assert value(MajorityShare(), ["a", "a", "b", "c"]) == 0.5
    assert value(RepeatAgreement(), ["a", "a", "b", "c"]) == pytest.approx(1 / 6)
    assert value(RepeatAgreement(), ["a", "A ", "a."]) == 1.0
    assert value(RepeatAgreement(normalize="none"), ["a", "A "]) == 0.0
    assert value(MajorityShare(), [None, None]) == 0.0
    assert value(RepeatAgreement(), [None, None]) == 0.0
    assert not RepeatAgreement().repeat_stats(*grouped(["a"])).any()


@pytest.mark.parametrize(
    ("metric", "least"),
    [(PassAtK(), 1), (PassAtK(k=4), 4), (MajAtK(), 2), (MajAtK(k=5), 5), (MajorityShare(), 2), (RepeatAgreement(), 2)],
)
def test_how_many_answers_it_takes(metric, least):
    assert isinstance(metric, RepeatsMetric)
    assert metric.least_repeats == least


def test_the_labels_of_the_task_reach_the_other_metric():
    bound = PassAtK(of={"f1_binary": {"positive": "yes"}}).for_task(("no", "yes"))
    assert "labels:no,yes" in bound.signature
    assert value(bound, ["yes"]) == 1.0
