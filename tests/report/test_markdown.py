import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.report.markdown import escape_markdown, render_markdown

ODD = "|pipe\n# h\r`tick` <img src=x onerror=alert(1)> [a](javascript:1) \x1b[31m \ud800 *b* _i_ &amp; ~~s~~"


def test_says_what_there_is(make_record):
    text = render_markdown(make_record())
    assert text.startswith("# quick\n")
    assert "| accuracy ↑ | small | 0.727 | [0.527, 0.927] |" in text
    assert "| chrf ↑ | small | — | — |" in text
    assert "Confusion matrix of small in sentiment" in text
    assert "worst first; the gap is 0.300" in text
    assert "ok 11 · error 1" in text
    assert text.endswith("\n")


def test_gate_comes_first(make_record):
    record = make_record()
    verdict = {
        "rule": "sentiment.accuracy ≥ 0.9",
        "state": "fail",
        "tier": "block",
        "reason": f"too low {ODD}",
        "task": "sentiment",
        "model": "small",
        "metric": "accuracy",
        "value": 0.7,
        "ci_low": "nan",
        "ci_high": "nan",
        "limit": 0.9,
        "baseline_value": None,
        "n": 11,
    }
    text = render_markdown(record, {"state": "fail", "reason": "too low", "baseline_id": "x", "verdicts": [verdict]})
    assert text.index("Gate: ❌ fail") < text.index("## Results")


def test_no_text_breaks_the_tables(make_record):
    text = render_markdown(make_record(odd=ODD, metric=f"acc{ODD}"))
    text.encode("utf-8")
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {re.sub(r"\\\|", "", line).count("|") for line in block.splitlines()}
        assert len(widths) == 1, block
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "\x1b" not in text
    assert not re.search(r"^# h", text, flags=re.M)


@pytest.mark.parametrize(
    "text", ["1. list", "- list", "> quote", "# head", "===", "| a | b |", "[x]: http://y", "<!-- -->"]
)
def test_starts_of_lines_are_escaped(text):
    escaped = escape_markdown(text)
    assert escaped.replace("\\", "").replace("\u200b", "").replace("&lt;", "<").replace("&gt;", ">") == text
    assert escaped[0] in "\\&1"


@given(st.text(alphabet=st.characters(), max_size=100))
def test_escaping_stays_on_one_line_and_encodes(text):
    escaped = escape_markdown(text)
    assert "\n" not in escaped
    assert "<" not in escaped
    escaped.encode("utf-8")
