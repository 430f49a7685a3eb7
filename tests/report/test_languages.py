"""Reports in other languages: every message is in the catalogue, and no English is left on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
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

from ..messages import in_code, in_scripts, in_templates
from .drifting import drift_report
from .test_browser import GATE, RATINGS
from .test_compare import comparison
from .test_explanations import explanation
from .test_people import EVERYTHING
from .test_probes import RESULT, manifest, task

ROOM = "evalharness.report"
# Names of methods and figures, keys of suites and records, units: what a reader of Chinese reads in Latin letters, too.
# fmt: off
TERMS = (
    "evalharness", "JavaScript", "JSON", "Chrome", "Firefox", "Safari", "UTC", "Elo", "Bradley", "Terry",
    "Krippendorff", "Cohen", "Spearman", "Kendall", "Benjamini", "Hochberg", "Yekutieli", "Holm", "Dirichlet",
    "McNemar mid", "Tango", "Wasserstein", "CDF", "AUC", "PSI", "wilson", "bootstrap", "jackknife score", "bca", "max",
    "order statistics", "no variation", "samples parquet", "shap", "permutation", "html", "pip install", "MiB",
    "nat", "PgDn", "PgUp", "Home", "End", "Enter", "Esc", "on_error", "changed", "demographic_parity", "equalized_odds",
    "bradley terry", "student",
)
# fmt: on


class _Seen(HTMLParser):
    """The text of a page and of what names its parts; names and texts of the user stand in `bdi`, `code` and `pre`."""

    _HIDDEN = frozenset(("script", "style", "code", "pre", "bdi", "kbd"))
    _VOID = frozenset(("meta", "link", "br", "input", "path", "rect", "circle", "line", "hr", "img"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []

    @property
    def hidden(self) -> bool:
        return bool(self._HIDDEN.intersection(self.open))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if not self.hidden:
            self.found += [v for k, v in attrs if k in ("aria-label", "title", "placeholder", "data-label") and v]
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.found.append(data.strip())


def english(page: str, names: Iterable[str] = ()) -> list[str]:
    """The texts of `page` that hold a word in Latin letters which is neither a term nor one of `names`."""
    seen = _Seen()
    seen.feed(page)
    known = {word.lower() for name in (*TERMS, *names) for word in re.findall(r"[A-Za-z_]{3,}", name)}
    return [text for text in seen.found if {w.lower() for w in re.findall(r"[A-Za-z_]{3,}", text)} - known]


# fmt: off
_QUICKSTART = (
    "classifier", "smollm2", "sentiment", "zero", "shot", "translate", "answer", "prose", "length", "positive",
    "negative", "precision_macro", "recall_macro", "f_macro", "mcc", "token_f", "exact_match", "rouge", "rougeL",
    "word_perplexity", "bits_per_byte", "accuracy", "confusion_matrix", "bleu", "chrf", "backend", "implementation",
    "weights", "tokenizer", "adapter", "chat_template", "dtype", "device", "quantization", "max_length",
    "trust_remote_code", "versions", "labels", "threshold", "data", "prompt", "generation", "kind",
)
NAMES = (
    "quick", "small", "large", "sentiment", "translate", "accuracy", "confusion_matrix", "latency_p95_s", "bleu",
    "chrf", "neg", "pos", "language", "candidate", "baseline", "tuned", "base", "new", "old", "triage", "before", "now",
    "characters", "output", "latency_s", "distance", "anderson_darling", "alert", "missing", "script", "quick abcd",
    "good film",
    "backend", "weights", "data", "prompt", "generation", "kind",
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
        for name in ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc", "randomisation_similarity")
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
        curves=mean_curves([{"deletion_curve": [1.0, 0.4, 0.1], "insertion_curve": [0.1, 0.4, 1.0]}]),
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


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.real_cache
def test_the_quick_start_is_in_chinese(tmp_path: Path) -> None:
    """What suites/quickstart.yaml makes of real models, and the comparison of it with itself scored again."""
    from evalharness.cli.main import main

    suite = str(Path(__file__).parents[2] / "suites" / "quickstart.yaml")
    reports = str(tmp_path / "reports")
    assert main(["run", suite, "--limit", "3", "--reports", reports, "--language", "zh", "--quiet"]) in (0, 1, 4)
    (folder,) = (tmp_path / "reports" / "runs").iterdir()
    page = (folder / "report.html").read_text(encoding="utf-8")
    names = _QUICKSTART
    assert [text for text in english(page, names) if "quickstart" not in text] == []
