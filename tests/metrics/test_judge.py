"""The figures of judges, from what responses keep of their verdicts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.judge import LlmJudge, rubric_file
from evalharness.metrics.rubrics import RUBRICS
from evalharness.suite.metric_specs import MetricFault, build_metric, figure_names

SAMPLE = Sample(id="s", digest="d", prompt="p")


def judge(**options: Any) -> LlmJudge:
    return LlmJudge(**{"model": "j", "rubric": "Good?", **options})


def judged(value: float | None, *verdicts: tuple[str, int, str | None, float | None]) -> Response:
    """A response with the verdicts (judge, repeat, order, value)."""
    entries = [
        {
            **{"model": name, "repeat": repeat, "order": order, "value": number, "label": None, "reason": None},
            **{"status": "judge_failed" if number is None else "ok", "key": "k"},
        }
        for name, repeat, order, number in verdicts
    ]
    return Response(key="r", text="t", meta={"judged": {"llm_judge": {"value": value, "verdicts": entries}}})


def figure(metric: Any, *responses: Response) -> float:
    rows = metric.sample_stats([SAMPLE] * len(responses), list(responses))
    return float(metric.finalize(rows.sum(axis=0)))


def beside(metric: LlmJudge, ending: str) -> Any:
    return dict(metric.figures())[f"llm_judge_{ending}"]


def test_the_mean_leaves_out_what_has_no_value() -> None:
    metric = judge()
    assert figure(metric, judged(4.0), judged(None), judged(5.0)) == 4.5
    assert metric.failed(judged(None))
    assert not metric.failed(judged(1.0))
    assert not metric.failed(Response(key="r", text="never judged"))
    assert math.isnan(figure(metric, Response(key="r", text="never judged")))


def test_a_call_that_failed_is_worth_the_least_where_it_is_counted() -> None:
    blank = Response(key="r", status="error", text="")
    assert figure(judge(), blank) == 1.0
    assert figure(judge(classes={"no": -1.0, "yes": 3.0}), blank) == -1.0


def test_repeats_give_the_deviation_within_one_judge() -> None:
    metric = judge(repeats=3, model=("a", "b"))
    first = judged(0, *(("a", i, None, v) for i, v in enumerate((1.0, 2.0, 3.0))), ("b", 0, None, 4.0))
    second = judged(0, *(("a", i, None, v) for i, v in enumerate((5.0, 5.0, None))))
    # Variances 1 and 0; a judge with one verdict says nothing of it, and a failed verdict is left out.
    assert figure(beside(metric, "within_sd"), first, second) == pytest.approx(math.sqrt(0.5))
    assert math.isnan(figure(beside(metric, "within_sd"), judged(1, ("a", 0, None, 1.0))))


def test_several_judges_give_their_spread() -> None:
    metric = judge(model=("a", "b"), repeats=2)
    verdicts = [("a", 0, None, 1.0), ("a", 1, None, 3.0), ("b", 0, None, 4.0), ("b", 1, None, 4.0)]
    assert figure(beside(metric, "spread"), judged(3.0, *verdicts)) == pytest.approx(np.std([2, 4], ddof=1))
    assert math.isnan(figure(beside(metric, "spread"), judged(1.0, ("a", 0, None, 1.0), ("b", 0, None, None))))


def test_orders_that_disagree_are_the_position_bias() -> None:
    metric = judge(against="other")
    same = judged(1.0, ("j", 0, "ab", 1.0), ("j", 0, "ba", 1.0))
    changed = judged(0.5, ("j", 0, "ab", 1.0), ("j", 0, "ba", 0.0))
    half = judged(None, ("j", 0, "ab", 1.0), ("j", 0, "ba", None))
    assert figure(beside(metric, "position_bias"), same, changed, changed, half) == pytest.approx(2 / 3)


def test_what_stands_beside_a_figure() -> None:
    assert figure_names({"llm_judge": {"as": "f", "model": "j", "rubric": "r"}}) == ["f"]
    several = {"llm_judge": {"as": "f", "model": ["j", "k"], "rubric": "r", "repeats": 2, "against": "other"}}
    assert figure_names(several) == ["f", "f_within_sd", "f_spread", "f_position_bias"]
    assert figure_names("bleu") == ["bleu"]


@pytest.mark.parametrize(
    ("options", "bounds", "points"),
    [
        ({}, (1, 5), (1, 2, 3, 4, 5)),
        ({"scale": (0.0, 1.0)}, (0, 1), ()),
        ({"scale": (0.0, 100000.0)}, (0, 100000), ()),
        ({"classes": ("bad", "ok", "good")}, (0, 1), (0, 0.5, 1)),
        ({"classes": {"bad": -2.0, "good": 4.0, "fine": 4.0}}, (-2, 4), (-2, 4)),
        ({"against": "other"}, (0, 1), (0, 0.5, 1)),
    ],
)
def test_bounds_and_points(options: Any, bounds: Any, points: Any) -> None:
    metric = judge(**options)
    assert metric.bounds == bounds
    assert metric.points == points


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"scale": (1.0, 5.0), "classes": ("a", "b")}, "either scale or classes"),
        ({"scale": (5.0, 1.0)}, "the lower one"),
        ({"scale": (1.0, math.inf)}, "the lower one"),
        ({"classes": ("a",)}, "two or more"),
        ({"classes": ("a", "a")}, "its own name"),
        ({"classes": ("a", " ")}, "its own name"),
        ({"classes": {"a": 1.0, "b": 1.0}}, "all count the same"),
        ({"classes": {"a": 1.0, "b": math.nan}}, "must be numbers"),
        ({"against": "x", "scale": (1.0, 5.0)}, "scale has no effect"),
        ({"against": "x", "classes": ("a", "b")}, "classes has no effect"),
        ({"repeats": 0}, "from 1 to 100"),
        ({"model": ()}, "name a model"),
        ({"model": ("a", "a")}, "may stand twice"),
        ({"rubric": " "}, "rubric"),
        ({"rubric": {"path": "x"}}, "rubric"),
    ],
)
def test_options_that_make_no_sense(options: Any, why: str) -> None:
    with pytest.raises(MetricOptionError, match=why):
        judge(**options)


def test_options_are_checked_in_a_suite_at_their_place() -> None:
    with pytest.raises(MetricFault, match="no option 'rubrik'; did you mean 'rubric'") as caught:
        build_metric({"llm_judge": {"model": "j", "rubrik": "r"}})
    assert caught.value.option == "rubrik"
    with pytest.raises(MetricFault, match="needs the option 'rubric'"):
        build_metric({"llm_judge": {"model": "j"}})
    with pytest.raises(MetricFault, match="either scale or classes"):
        build_metric({"llm_judge": {"model": "j", "rubric": "r", "scale": [1, 5], "classes": ["a", "b"]}})


def test_a_rubric_is_a_file_by_its_ending(tmp_path: Path) -> None:
    assert rubric_file("rubrics/faithful.md") == "rubrics/faithful.md"
    assert rubric_file({"file": "any"}) == "any"
    assert rubric_file("Is it good?") is None
    assert rubric_file("Is it as in {{ file }}.md") is None
    assert rubric_file("Two lines\nof notes.md") is None
    (tmp_path / "r.md").write_text("One", "utf-8")
    metric = judge(rubric="r.md")
    with pytest.raises(UsageError, match="not loaded"):
        _ = metric.rubric_text
    assert metric.for_run(base=tmp_path, allow_code=False).rubric_text == "One"
    with pytest.raises(UsageError, match="cannot be read"):
        judge(rubric="none.md").for_run(base=tmp_path, allow_code=False)


def test_a_signature_tells_judgements_apart_and_is_built_again_from_a_record() -> None:
    metric = judge(repeats=2).for_figure("f").for_judgement("abc123")
    assert "|judgement:abc123|" in metric.signature
    for name, own in metric.figures():
        assert name.startswith("f")
        again = dict(judge(repeats=2).for_figure("f").as_recorded(own.signature).figures())[name]
        assert again.signature == own.signature
    assert metric.for_judgement("abc124").signature != metric.signature


@pytest.mark.parametrize("name", RUBRICS)
def test_built_in_rubrics(name, tmp_path):
    from evalharness.core.templating import Template

    metric = judge(rubric=f"builtin:{name}")
    assert metric.rubric_path is None
    assert metric.rubric_text == metric.for_run(base=tmp_path, allow_code=False).rubric_text == RUBRICS[name]
    assert "answer" in Template(RUBRICS[name]).names <= {"answer", "question", "reference", "documents"}


def test_a_built_in_rubric_that_is_not_there():
    with pytest.raises(ValueError, match="rubric: there is no built-in rubric 'grounded'; did you mean 'groundedness'"):
        judge(rubric="builtin:grounded")
