"""Reports in other languages: every message is in the catalogue, and no English is left on a page."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.language import LANGUAGES, domain, messages, speaking
from evalharness.report.attacks import AttackedText, AttackView, WordChange
from evalharness.report.compare_html import compare_html
from evalharness.report.drift_html import drift_html
from evalharness.report.explanation_page import explanation_page
from evalharness.report.explanations import ExplanationView, explained_text
from evalharness.report.faithfulness import mean_curves, quality_rows
from evalharness.report.html import render_html
from evalharness.report.page import environment
from evalharness.report.probes import questions_of
from evalharness.report.said import WORDS
from evalharness.report.worddiff import word_diff

from ..messages import english, in_code, in_scripts, in_templates
from .drifting import drift_report
from .test_browser import GATE, RATINGS
from .test_compare import comparison
from .test_explanations import explanation
from .test_people import EVERYTHING
from .test_probes import RESULT, manifest, task

ROOM = "evalharness.report"
# fmt: off
NAMES = (
    "quick", "small", "large", "sentiment", "translate", "accuracy", "confusion_matrix", "latency_p95_s", "bleu",
    "chrf", "neg", "pos", "language", "candidate", "baseline", "tuned", "base", "new", "old", "triage", "before",
    "now", "characters", "output", "latency_s", "distance", "anderson_darling", "alert", "missing", "script",
    "quick abcd", "good film", "fine", "gender", "Smoke test", "a note", "on the mat", "box", "Is it faithful",
    "W" * 200, "bad", "other", "summarise", "medium", "reviews", "python", "odd", "columns were left out", "empty",
    "refund", "suite", "backend", "weights", "data", "prompt", "generation", "kind",
)
# fmt: on


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    said = in_templates(ROOM) | in_scripts(ROOM) | in_code(ROOM) | set(WORDS)
    assert len(said) > 400
    assert not said - set(messages(language))
    assert not set(domain(language, "report")) - said


def test_no_call_hides_its_message() -> None:
    # Words that are said by the name of a thing stand in said.WORDS; all else stands in the call.
    known = {"table.title", "figures.title", "name"}
    for file in (resources.files(ROOM) / "templates").iterdir():
        if file.name.endswith(".j2"):
            text = file.read_text(encoding="utf-8")
            assert set(re.findall(r"\bt\(([^\"),]*)", text)) <= known | {""}, file.name
            # What stands between tags is said, or is filled in.
            plain = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.S)
            plain = re.sub(r"<(script|style|kbd).*?</\1>|<[^>]*>", " ", plain, flags=re.S)
            left = set(re.findall(r"[A-Za-z]{3,}", plain))
            assert left <= {"evalharness", "class", "compare", "drifting"}, (file.name, left)


def test_the_run_report_is_in_chinese(make_record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.report.changes.compare_records", lambda *_, **__: comparison())
    record = make_record(models=("small", "large"), n=40)
    before = make_record(models=("small", "large"), n=40, run_id="quick-before", folder=tmp_path / "before")
    page = render_html(record, GATE, ratings=[*RATINGS, *EVERYTHING], baseline=before, language="zh")
    assert '<html lang="zh">' in page
    assert english(page, NAMES) == []
    for said in ("溯源信息", "与基线对比", "混淆矩阵", "人工评分", 't("没有符合条件的样本；请修改搜索词或筛选条件。")'):
        assert said in page, said
    assert "Regular expression" not in page


def test_other_pages_are_in_chinese() -> None:
    pages = {
        "comparison": compare_html(comparison(), language="zh"),
        "drift": drift_html(drift_report(), language="zh"),
        "explanation": explanation_page(explanation("a good film", [0.5, 0.2, -0.1]), title="m: pos", language="zh"),
    }
    for name, page in pages.items():
        assert '<html lang="zh">' in page
        assert english(page, NAMES) == [], name


def test_explanations_attacks_and_probes_are_in_chinese() -> None:
    quality = dict.fromkeys(
        f"{name}{end}"
        for name in ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc", "seed_stability")
        for end in ("", "_random")
    )
    told = [{name: 0.1 * (i + len(name)) for name in quality} for i in range(3)]
    one = explanation("a good film", [0.5, 0.2, -0.1])
    view = ExplanationView(
        task="t",
        model="m",
        method="shap",
        unit="log_odds",
        n_texts=30,
        n_failed=2,
        quality=tuple(quality_rows(told)),
        curves=mean_curves(
            [{f"{way}{of}_curve": [1.0, 0.4, 0.1] for way in ("deletion", "insertion") for of in ("", "_random")}]
        ),
        tables=(),
        group_tables=(),
        texts=(explained_text(one, "s1"),),
    )
    old, new = word_diff("a good film", "a fine film")
    answers = ("turned round", "pos", "pos", "neg")
    text = AttackedText("s1", *answers, 0.9, 0.2, 14, 0.8, (("good", "fine"),), tuple(old), tuple(new))
    attacks = AttackView("t", "m", 30, 1, (("turned round", 3), ("held", 4)), (WordChange("good", "fine", 2),), (text,))
    results = [replace(RESULT, task="a"), replace(RESULT, task="b", value=0.01, ci_low=0.0, ci_high=0.04)]
    asked = questions_of(manifest(task("a", column="who"), task("b")), results)
    assert asked[0].disagreements
    with speaking("zh"):
        page = str(environment().get_template("explanations.j2").module.section([view]))
        page += str(environment().get_template("attacks.j2").module.section([attacks]))
        page += "".join(str(environment().get_template("macros.j2").module.question(q)) for q in asked)
    assert english(page, NAMES) == []
    for said in ("解释的忠实度", "优于随机", "被攻破", "单位：对数几率", "共 30 条，列出前 1 条"):
        assert said in page, said


def test_english_is_what_is_spoken_unless_another_language_is_asked_for(make_record: Any) -> None:
    record = make_record()
    assert '<html lang="en">' in render_html(record)
    assert "Provenance" in render_html(record, language="en")
    with pytest.raises(UsageError, match="there is no language 'fr'; reports speak en"):
        render_html(record, language="fr")
    for make in (lambda: compare_html(comparison(), language="de"), lambda: drift_html(drift_report(), language="x")):
        with pytest.raises(UsageError, match="there is no language"):
            make()


def test_a_page_that_is_left_half_read_leaves_english_behind(make_record: Any) -> None:
    from evalharness.core.language import spoken
    from evalharness.report.html import iter_html

    pieces = iter_html(make_record(), language="zh")
    assert "样本" in next(pieces)
    assert spoken() == "en"
