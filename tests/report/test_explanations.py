"""What a report says of explanations: colours with numbers, words over texts, faithfulness beside chance."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats as reference

from evalharness.report.attribution_bars import reach_of, scale_of_text, signed, step_bar, word_bar
from evalharness.report.explanation_page import explanation_page
from evalharness.report.explanations import (
    WordMean,
    WordTable,
    explained_text,
    pieces_with_values,
    steps_of,
    word_means,
)
from evalharness.report.faithfulness import QualityRow, mean_curves, quality_rows


def explanation(text, values, **more):
    words, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        words.append([word, start, at])
    return {
        "text": text,
        "tokens": words,
        "outputs": ["pos"],
        "explained": "pos",
        "predicted": "pos",
        "values": [[value] for value in values],
        "base_values": [0.5],
        "full_values": [0.5 + sum(values)],
        "method": "shap",
        "n_evaluations": 12,
        "seconds": 0.5,
        "model_seconds": 0.25,
        "quality": None,
        **more,
    }


def test_every_character_of_a_text_is_in_one_piece_and_the_largest_value_has_the_deepest_colour():
    text = "  A warm,\n funny  film! "
    found = explained_text(explanation(text, [0.0, 0.2, -0.4, 0.01]), "s1", "pos")
    assert "".join(piece.text for piece in found.pieces) == text
    assert [(p.text, p.level) for p in found.pieces if p.value is not None] == [
        ("A", 0),
        ("warm,", 2),
        ("funny", -5),
        ("film!", 0),
    ]
    assert pieces_with_values(found)[1] == ("warm,", 0.2)
    assert (found.base, found.full, found.target) == (0.5, pytest.approx(0.31), "pos")


def test_rounding_has_no_colour_and_no_place_among_the_words():
    from evalharness.report.explanations import _word_values

    sure = explanation("a good film", [2e-9, -1e-9, 1e-9], base_values=[1.0], full_values=[1.0])
    found = explained_text(sure, "s")
    assert {piece.level for piece in found.pieces} == {0}
    assert set(_word_values(sure)[1].values()) == {0.0}
    assert word_means([_word_values(sure)[1]]) == ()


def test_a_waterfall_goes_from_base_to_full_whatever_is_left_over():
    names = [f"w{i}" for i in range(30)]
    values = [(-1) ** i * i / 100 for i in range(30)]
    steps = list(steps_of(names, values, base=0.5, full=0.5 + sum(values) + 0.2))
    assert [step.name for step in steps[:2]] == ["w29", "w28"]
    assert [step.name for step in steps[-2:]] == ["20 others", "not explained"]
    assert steps[-1].value == pytest.approx(0.2)
    assert steps[-1].end == pytest.approx(0.7 + sum(values))
    assert all(a.end == b.start for a, b in itertools.pairwise(steps))
    assert [step.name for step in steps_of(["a"], [0.25], base=0.0, full=0.25)] == ["a"]


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (0.1, 0.4, "more alike than chance"),
        (-0.4, -0.1, "less alike than chance"),
        (-0.1, 0.4, "no likeness beyond chance shown"),
        (math.nan, math.nan, "too few texts"),
    ],
)
def test_a_likeness_is_good_near_zero(low, high, finding):
    row = QualityRow("likeness", 0.2, 0.0, 0.2, low, high, 9, 0)
    assert (row.finding, row.way) == (finding, "→0")


def test_words_over_texts_have_the_t_interval_of_their_mean():
    texts = [{"good": 0.5, "bad": -0.5, "once": 9.0}, {"good": 0.3}, {"good": 0.1, "bad": -0.1}]
    found = {row.word: row for row in word_means(texts)}
    low, high = reference.t.interval(0.95, 2, loc=0.3, scale=reference.sem([0.5, 0.3, 0.1]))
    assert (found["good"].mean, found["good"].n) == (pytest.approx(0.3), 3)
    assert (found["good"].low, found["good"].high) == pytest.approx((low, high))
    assert found["once"].n == 1
    assert math.isnan(found["once"].low)
    assert [row.word for row in word_means(texts)] == ["once", "good", "bad"]
    # Words of several texts go first where there is no room for all.
    assert [row.word for row in word_means(texts, most=1)] == ["good", "bad"]


@pytest.mark.parametrize(
    ("better", "low", "high", "finding"),
    [
        (1, 0.1, 0.3, "better than chance"),
        (1, -0.1, 0.3, "no better than chance shown"),
        (1, -0.3, -0.1, "worse than chance"),
        (-1, -0.3, -0.1, "better than chance"),
        (-1, 0.1, 0.3, "worse than chance"),
        (1, math.nan, math.nan, "too few texts"),
    ],
)
def test_findings_about_faithfulness(better, low, high, finding):
    assert QualityRow("x", 0.0, 0.0, 0.0, low, high, 5, better).finding == finding


@pytest.mark.parametrize(("gain", "is_doubtful"), [(0.0, True), (0.4, False)])
def test_a_report_says_where_explanations_are_no_better_than_chance(why, gain, is_doubtful):
    from evalharness.report.explanations import explanation_views
    from evalharness.report.page import environment

    told = [
        {"sufficiency": 0.1 * (-1) ** i - gain, "sufficiency_random": 0.0, "seed_stability": 1.0 + i / 99}
        | {"seed_stability_random": 0.0}
        for i in range(6)
    ]
    (view,) = explanation_views(why)
    view = dataclasses.replace(view, quality=tuple(quality_rows(told)))
    assert view.is_doubtful == is_doubtful
    page = str(environment().get_template("explanations.j2").module.section([view]))
    assert ("do not read the words below as reasons" in page) == is_doubtful
    assert not dataclasses.replace(view, quality=()).is_doubtful


def test_bars_say_in_words_what_they_draw():
    text = explained_text(explanation("a b", [0.3, -0.1]), "s")
    scale = scale_of_text(text)
    assert (scale.low, scale.high) == (0.5, pytest.approx(0.8))
    up, down = (step_bar(step, scale) for step in text.steps)
    assert 'class="up"' in up
    assert 'class="down"' in down
    assert 'aria-label="from 0.500 to 0.800"' in up
    row = WordMean("<b>", 0.2, -0.1, 0.5, 3)
    reach = reach_of(WordTable("pos", None, 3, (row, WordMean("x", -0.6, math.nan, math.nan, 1))))
    assert reach == 0.6
    assert "interval −0.100 to 0.500" in word_bar(row, reach)
    assert "whisker" not in word_bar(WordMean("x", -0.6, math.nan, math.nan, 1), reach)
    assert signed(0.25) == "+0.250"
    assert signed(-0.25) == "−0.250"
    assert signed(0.0) == "0.000"


def test_an_interval_of_few_texts_does_not_hide_the_means():
    rows = (WordMean("x", 0.1, -4.0, 4.2, 2), WordMean("y", -0.08, -0.1, -0.06, 9))
    reach = reach_of(WordTable("pos", None, 9, rows))
    assert reach == pytest.approx(0.25)
    wide, narrow = (word_bar(row, reach) for row in rows)
    assert wide.count("L") == 2 * 2  # an arrow at either end
    assert "interval −4.000 to 4.200" in wide
    assert "L" not in narrow


def test_texts_of_a_cluster_count_as_one_for_the_interval():
    told = [{"comprehensiveness": 0.1 * i, "comprehensiveness_random": 0.05} for i in range(8)]
    (alone,) = quality_rows(told)
    (paired,) = quality_rows(told, [str(i // 2) for i in range(8)])
    pairs = [0.1 * (2 * i + 0.5) - 0.05 for i in range(4)]
    expected = reference.t.interval(0.95, 3, loc=np.mean(pairs), scale=reference.sem(pairs))
    assert (paired.low, paired.high) == pytest.approx(expected)
    assert paired.high - paired.low > alone.high - alone.low
    assert paired.gain == pytest.approx(alone.gain)


def test_curves_stand_beside_those_of_random_orders_of_the_same_text():
    told = [
        {"deletion_curve": [1.0, 0.2, 0.0], "deletion_random_curve": [1.0, 0.6, 0.0]},
        {"deletion_curve": [0.0, 0.0], "deletion_random_curve": [0.0, None]},  # without any random order
        {"deletion_curve": [1.0, 0.0]},  # of a record from before there were random curves
    ]
    found = mean_curves(told[:1])
    assert list(found) == ["deletion"]
    assert dict(found["deletion"]["explanation"])[0.5] == pytest.approx(0.2)
    assert dict(found["deletion"]["random order"])[0.5] == pytest.approx(0.6)
    # Means of different texts say nothing beside each other.
    assert list(mean_curves(told)["deletion"]) == ["explanation"]


def test_no_text_acts_on_the_page():
    text = "<script>alert(1)</script> & \u202egood مرحبا 你好"
    page = explanation_page(explanation(text, [1.0, -0.5, 0.2, 0.1, 0.3]), title="<i>m</i>")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "مرحبا" in page
    assert "你好" in page
    assert "\u202e" not in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.fixture
def why(tmp_path, monkeypatch):
    """A record whose task `why` explains words of a scripted classifier, by language."""
    import json

    import yaml

    import evalharness

    code = """
import math
def label(prompt):
    weights = {"great": 2.0, "bad": -2.0, "糟": -2.0}
    score = sum(value * prompt.lower().count(word) for word, value in weights.items())
    p = 1 / (1 + math.exp(-score))
    return {"neg": 1 - p, "pos": p}
"""
    rows = [
        {"id": "a", "text": "A great film, a great cast.", "lang": "en"},
        {"id": "b", "text": "Bad plot and <b>bad</b> acting.", "lang": "en"},
        {"id": "c", "text": "这部电影很糟。", "lang": "zh"},
        {"id": "d", "text": "فيلم great جدا", "lang": "ar"},
    ]
    suite = {
        "version": 1,
        "name": "why",
        "models": {"clf": {"backend": "python", "function": "words:label", "kind": "classify"}},
        "datasets": {"d": {"path": "d.jsonl", "groups": ["lang"]}},
        "tasks": [
            {"id": "t", "dataset": "d", "classify": "{{ text }}"},
            {"id": "why", "explain": "permutation", "of": "t", "max_evals": 60},
        ],
    }
    (tmp_path / "words.py").write_text(code)
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite, allow_unicode=True))
    monkeypatch.chdir(tmp_path)
    return evalharness.run("suite.yaml", allow_code=True)


def test_the_report_has_a_section_with_all_of_it(why):
    from evalharness.report.explanations import explanation_views
    from evalharness.report.html import render_html
    from evalharness.report.markdown import render_markdown

    (view,) = explanation_views(why)
    assert (view.method, view.unit, view.n_texts, view.n_failed) == ("permutation", "probability", 4, 0)
    assert {table.output for table in view.tables} == {"neg", "pos"}
    assert {table.group for table in view.group_tables} == {"lang=en", "lang=zh", "lang=ar"}
    (positive,) = [table for table in view.tables if table.output == "pos"]
    assert positive.rows[0].word == "great"
    assert positive.rows[0].n == 2
    assert [row.name for row in view.quality] == [
        "comprehensiveness",
        "sufficiency",
        "deletion area",
        "insertion area",
        "stability over seeds",
    ]
    for named in view.curves.values():
        assert list(named) == ["explanation", "random order"]
    for row in view.quality:
        assert np.isclose(row.gain, row.value - row.random)
    page = render_html(why)
    for said in ('id="explanations"', "How faithful they are", "Random ones", 'dir="auto"', "糟", "فيلم", "all masked"):
        assert said in page
    assert "<b>bad</b>" not in page
    text = render_markdown(why)
    assert "## Explanations" in text
    assert "Mean contribution of words to pos" in text
    assert dataclasses.is_dataclass(view)


@pytest.mark.parametrize(
    ("asks", "outputs", "expected"),
    [
        ("answer", ["a", "b", "c"], {"an answer": 3}),
        ("margin", ["a rather than b", "c rather than d", "a rather than b"], {"an answer rather than another": 3}),
        ("answer", ["yes", "no", "yes", "yes"], {"yes": 3, "no": 1}),
        ("answer", ["yes"], {"yes": 1}),
        ("classify", ["a", "b", "c"], {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_answers_of_one_text_each_share_a_table(asks, outputs, expected, monkeypatch):
    from types import SimpleNamespace as Made

    from evalharness.report.explanations import explanation_views

    rows = [
        Made(
            request=Made(sampling=Made(study=f'{{"procedure":"explain","asks":"{asks}"}}')),
            response=Made(meta={"explanation": explanation("good x", [0.5, 0.1], outputs=[name], explained=name)}),
            sample=Made(id=str(i), target=None, groups={"lang": "en"}, cluster=None),
        )
        for i, name in enumerate(outputs)
    ]
    tasks = [Made(id="why", model="m", kind="study")]
    (view,) = explanation_views(Made(manifest=Made(tasks=tasks), iter_samples=lambda **_: iter(rows)))
    assert {table.output: table.n_texts for table in view.tables} == expected
    assert {table.output: table.n_texts for table in view.group_tables} == expected
    if len(expected) == 1:
        assert {row.word: row.n for row in view.tables[0].rows} == {"good": len(outputs), "x": len(outputs)}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read(why, browser, contrast, tmp_path, scheme):
    from evalharness.report.html import render_html

    path = tmp_path / "report.html"
    path.write_text(render_html(why), "utf-8")
    for width in (1280, 360):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        messages = []
        page.on("console", lambda message, messages=messages: messages.append(message.text))
        page.goto(path.as_uri())
        assert page.locator("#explanations .tok.p5").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert not messages
        low = {name: ratio for name, ratio in page.evaluate(contrast).items() if ratio < 4.5}
        assert not low
        page.close()
