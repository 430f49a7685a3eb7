"""A comparison on a terminal, as Markdown and as a page: what is said, and that nothing in the data acts."""

import io
import math
import re
from dataclasses import replace

import pytest

from evalharness.compare.result import ChangedSample, ComparedFigure, Comparison, Side
from evalharness.report import make_console
from evalharness.report.bars import difference_bar
from evalharness.report.compare_console import print_comparison
from evalharness.report.compare_html import compare_html
from evalharness.report.compare_markdown import compare_markdown
from evalharness.report.compare_text import p_text, signed
from evalharness.report.worddiff import word_diff

XSS = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1>\u2028\ud800|`*\x1b[31m"

FIGURE = ComparedFigure(
    section="figures",
    task="qa",
    metric="accuracy",
    group=None,
    candidate="new",
    model="m",
    baseline_task="qa",
    baseline_model="m",
    higher_is_better=True,
    value=0.75,
    baseline=0.8,
    difference=-0.05,
    low=-0.08,
    high=-0.02,
    confidence=0.95,
    interval_method="Tango score",
    p_value=0.0004,
    adjusted_p=0.012,
    test="McNemar mid-p",
    effect=-0.12,
    effect_name="h",
    wins=10,
    losses=60,
    ties=930,
    right_to_wrong=60,
    wrong_to_right=10,
    n_paired=1000,
    n_only_candidate=0,
    n_only_baseline=3,
    n_missing=3,
    n_missing_baseline=0,
    finding="worse",
)
CHANGED = ChangedSample(
    task="qa",
    metric="accuracy",
    candidate="new",
    model="m",
    sample_id="s1",
    value=0.0,
    baseline_value=1.0,
    worsening=1.0,
    flip="right to wrong",
    prompt="Where is the cat?",
    baseline_prompt=None,
    gold=("on the mat",),
    answer="the cat is in the box",
    read="box",
    status="ok",
    baseline_answer="the cat is on the mat",
    baseline_read="mat",
    baseline_status="ok",
    groups={"language": "en"},
)
NONE = math.nan


def comparison(*figures, changed=(CHANGED,), **more):
    fields = {
        "baseline": Side("old", "old", "suite", "2026-11-20T10:00:00Z"),
        "candidates": (Side("new", "new", "suite", "2026-11-22T10:00:00Z"),),
        "figures": figures or (FIGURE,),
        "changed": tuple(changed),
        "confidence": 0.95,
        "correction": "bh",
        **more,
    }
    return Comparison(**fields)


def printed(found, width=120):
    out = io.StringIO()
    print_comparison(found, console=make_console(out, width=width))
    return out.getvalue()


def test_the_terminal_says_all_that_decides():
    text = printed(comparison())
    assert text.startswith("new against old\n")
    (line,) = [line for line in text.splitlines() if line.startswith("qa.accuracy ")]
    expected = ["0.800", "0.750", "−0.050", "[−0.080, −0.020]", "0.012", "+10 −60", "1,000", "✗ worse"]
    assert [part for part in expected if part in line] == expected
    assert "qa: 3 only in the baseline, 3 without an answer here" in text
    assert "qa.accuracy: 60 right to wrong, 10 wrong to right" in text
    assert "− the cat is on the mat" in text
    assert "+ the cat is in the box" in text
    assert "and 59 more that got worse" in text


@pytest.mark.parametrize("width", [50, 84, 110, 200])
def test_every_width_keeps_the_difference(width):
    assert "−0.050" in printed(comparison(), width)


def test_what_differs_is_said_everywhere():
    found = comparison(differs=("prompt",))
    for text in (printed(found), compare_markdown(found), compare_html(found)):
        assert "The prompts differ" in text.replace("\\", "")
    both = comparison(differs=("generation", "prompt"))
    assert "decoding settings and prompts differ" in printed(both)
    assert " differ:" not in printed(comparison())


def test_what_has_nothing_to_tell_takes_no_place():
    rate = replace(FIGURE, section="operations", metric="error_rate", value=0.0, baseline=0.0, difference=0.0)
    cost = replace(FIGURE, section="operations", metric="cost_usd", value=NONE, baseline=NONE, difference=NONE)
    for text in (printed(comparison(FIGURE, rate, cost)), compare_html(comparison(FIGURE, rate, cost))):
        assert "error_rate" not in text
        assert "cost_usd" not in text
    mcc = replace(FIGURE, metric="mcc", wins=0, losses=0, ties=1000)
    assert "+0" not in printed(comparison(mcc, changed=()))
    assert "0 / 0 / 1,000" not in compare_markdown(comparison(mcc, changed=()))


def test_many_rows_of_groups_are_cut_on_the_terminal_only():
    groups = [
        replace(FIGURE, section="groups", group=f"language={i}", finding="worse" if i == 17 else "no difference shown")
        for i in range(20)
    ]
    found = comparison(FIGURE, *groups)
    text = printed(found)
    assert "language=17" in text
    assert "8 more rows of groups" in text
    assert "language=19" not in text
    assert compare_html(found).count("language=") >= 20


def test_lower_is_better_and_nothing_known():
    slower = replace(FIGURE, metric="latency", higher_is_better=False, difference=0.05, low=0.02, high=0.08)
    page = compare_html(comparison(slower, changed=()))
    zero, dot = (float(re.search(rf'class="{name}" d="M([0-9.]+)', page)[1]) for name in ("zero", "dot worse"))
    assert dot < zero  # worse is left of the line, whatever the sign
    empty = replace(
        FIGURE,
        **dict.fromkeys(("value", "baseline", "difference", "low", "high", "p_value", "adjusted_p", "effect"), NONE),
        n_paired=0,
        finding="nothing to compare",
    )
    for text in (printed(comparison(empty)), compare_markdown(comparison(empty)), compare_html(comparison(empty))):
        assert not re.search(r"\bnan\b", text)
        assert "—" in text


def test_nothing_in_the_data_is_markup():
    figure = replace(FIGURE, task=XSS, group=None)
    changed = replace(
        CHANGED, task=XSS, sample_id=XSS, answer=XSS, baseline_answer=XSS[::-1].replace("\ud800", ""), gold=(XSS,)
    )
    found = comparison(figure, changed=[replace(changed, prompt=XSS, groups={XSS: XSS}, read=XSS)], notes=(XSS,))
    page = compare_html(found)
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    markdown = compare_markdown(found)
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "\x1b" not in printed(found).replace("\x1b[0m", "")
    page.encode()
    assert markdown.count("\n| ") == 4  # a | in an id does not end its row


def test_a_missing_answer_shows_its_state():
    lost = replace(CHANGED, answer=None, read=None, status="error")
    assert "(error)" in printed(comparison(changed=[lost]))
    assert '<span class="empty">error</span>' in compare_html(comparison(changed=[lost]))
    blank = replace(CHANGED, answer="", read=None)
    assert '<span class="empty">empty</span>' in compare_html(comparison(changed=[blank]))


def test_the_terminal_shows_no_answers_where_nobody_answers():
    scored = replace(CHANGED, answer=None, read=None, baseline_answer=None, baseline_read=None, flip=None)
    assert "s1" in printed(comparison(changed=[scored]))
    assert "(ok)" not in printed(comparison(changed=[scored]))


def test_a_figure_that_is_best_in_between_says_where():
    two_sided = replace(FIGURE, best=0.5, higher_is_better=False, towards_best="better", finding="better")
    assert "→ 0.5" in printed(comparison(two_sided))
    # 0.8 to 0.75 came nearer: the point stands on the better side, right of the middle.
    nearer, farther = (
        difference_bar(replace(two_sided, value=value, difference=value - 0.8), 0.4, "better") for value in (0.6, 1.0)
    )
    assert point_of(nearer) > 50 > point_of(farther)


def point_of(bar: str) -> float:
    """Where the last line of a bar, its point, begins, of 100."""
    return float(bar.rpartition(' d="M')[2].partition(" ")[0])


def test_words_that_differ_are_marked():
    page = compare_html(comparison())
    assert "<del>on</del>" in page
    assert "<ins>in</ins>" in page
    assert "read as <bdi>box</bdi>" in page


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a b c", "a x c"),
        ("", "a"),
        ("a", ""),
        ("今日は良い天気", "今日は悪い天気"),
        ("Don't  stop\n", "Don't stop\n"),
        ("x" * 5000, "y"),
    ],
)
def test_pieces_make_up_their_texts(old, new):
    left, right = word_diff(old, new)
    assert "".join(piece.text for piece in left) == old
    assert "".join(piece.text for piece in right) == new
    assert {piece.kind for piece in left} <= {"same", "gone"}
    assert {piece.kind for piece in right} <= {"same", "new"}


def test_scripts_without_spaces_are_compared_by_the_character():
    left, right = word_diff("今日は良い天気", "今日は悪い天気")
    assert [p.text for p in left if p.kind == "gone"] == ["良"]
    assert [p.text for p in right if p.kind == "new"] == ["悪"]


def test_texts_without_a_word_in_common_are_not_marked():
    assert [p.kind for p in word_diff("one two three four", "five six seven eight")[0]] == ["same"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "+0.050"), (-0.05, "−0.050"), (0.0, "0.000"), (1e-9, "0.000"), (NONE, "—")]
)
def test_signs(value, text):
    assert signed(value, like=0.3) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "<0.001"), (0.0009, "<0.001"), (0.05, "0.050"), (1, "1.000"), (NONE, "—")]
)
def test_p_values_are_never_nothing(p, text):
    assert p_text(p) == text


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_page_opens_without_a_word_and_fits(browser, tmp_path, width, scheme):
    changed = replace(CHANGED, answer=XSS, sample_id="W" * 300, gold=("W" * 400,))
    long = replace(FIGURE, task="W" * 200)
    path = tmp_path / "compare.html"
    found = comparison(FIGURE, long, changed=[changed], differs=("prompt",), notes=(XSS,))
    path.write_text(compare_html(found), encoding="utf-8")
    told = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda m: told.append(m.text))
    page.on("pageerror", lambda e: told.append(str(e)))
    page.on("request", lambda r: told.append(r.url) if r.url not in (path.as_uri(), "data:,") else None)
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.locator("#changed ins").count() or page.locator("#changed pre").count() >= 2
    assert page.get_by_text("The prompts differ").is_visible()
    assert page.locator("h1").inner_text() == "new against old"
    context.close()
    assert told == []
