"""Comments and summaries as a reviewer's page shows them: rendered by a CommonMark parser, then read as HTML."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evalharness.compare.pairing import Pairing
from evalharness.core.types import Verdict
from evalharness.gate import GateOutcome, summary_markdown
from evalharness.gate.comment import comment_markdown, gate_markdown, marker_of
from evalharness.gate.marks import code, inline

HOSTILE = (
    "a|b`c``d\n# h\r\n- x <img src=x onerror=alert(1)> @team @org/team #12 GH-7 !3 ~bug &5 $1 %2 ^9 "
    "https://evil.example www.evil.example me@evil.example :tada: **b** _i_ [x](http://y) ![z](http://z) \\| \\` "
    "</details> --> $x$ \u202egnp.exe\x1b[31m\ud800"
)


def page(markdown):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


class Text(HTMLParser):
    """The text outside of code, where GitHub and GitLab look for mentions; and every tag."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.plain, self.within, self._code = [], [], [], [], 0
        self.cells, self._cell = [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self._code += tag in ("code", "pre")
        if tag in ("td", "th"):
            self.cells.append("")
            self._cell = True

    def handle_endtag(self, tag):
        self._code -= tag in ("code", "pre")
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data):
        (self.within if self._code else self.plain).append(data)
        if self._cell:
            self.cells[-1] += data


ACTS = re.compile(r"@[A-Za-z0-9]|[#!~&$%^](?=[\w\"])|gh-\d|https?://|www\.|:[a-z0-9_+-]+:", re.IGNORECASE)


def verdict(state="fail", *, text="plain", tier="block", rule=None, **more):
    rule = rule or f"task.acc ≥ 0.7 · {text}"
    return Verdict(rule, state, tier, f"because {text}", "task", text, "acc", 0.5, 0.4, 0.6, 0.7, n=3, **more)


def outcome(*verdicts, pairings=None, state="fail", run="run-1", baseline=None):
    return GateOutcome(run, baseline, verdicts, pairings or (None,) * len(verdicts), state, "interval", 0.95)


def test_the_verdict_comes_first_and_each_rule_has_a_row():
    text = comment_markdown(outcome(verdict("pass"), verdict("fail"), verdict("inconclusive", tier="warn")), suite="s")
    lines = text.splitlines()
    assert lines[0] == marker_of("s")
    assert lines[1] == "### ❌ Gate of s: fail"
    assert lines[3] == "because plain"
    seen = Text(page(text))
    assert seen.cells[:5] == ["verdict", "rule", "value", "95 % interval", "n"]
    assert seen.cells[5:10] == ["❌ fail", "task.acc ≥ 0.7 · plain", "0.5", "[0.4, 0.6]", "3"]
    assert seen.cells[15] == "⚠️ inconclusive (warn)"
    assert "1 of 3 rules hold" in text


def test_what_changed_against_the_baseline_is_said_in_the_direction_of_better():
    pairing = Pairing(100, 0, 0, 12, 4, 0.08, 0.01, 0.15, "Tango score", 0.95)
    text = gate_markdown(outcome(verdict(baseline_value=0.58), pairings=(pairing,), baseline="run-0"), suite="s")
    seen = Text(page(text))
    assert seen.cells[-5:] == ["task.acc · plain", "0.58", "0.5", "−0.08 [−0.15, −0.01]", "12 / 84 / 4"]
    assert "change, 95 % interval" in text
    assert "against `run-0`" in text


def test_a_figure_that_several_rules_compare_stands_once():
    pairing = Pairing(100, 0, 0, 0, 0, 0.0, -0.0, 0.0, "identical pairs", 0.9)
    rules = ["task.acc regresses ≤ 0.1 · m", "task.acc superior · m", "task.acc superior · m · language=de"]
    found = outcome(*(verdict(rule=rule, baseline_value=0.5) for rule in rules), pairings=(pairing,) * 3)
    cells = Text(page(gate_markdown(found, suite="s"))).cells[-10:]
    assert cells[::5] == ["task.acc · m", "task.acc · m · language=de"]
    assert cells[3] == "0 [0, 0]"


def test_nothing_in_a_name_or_a_reason_acts():
    found = outcome(verdict(text=HOSTILE), verdict(text=HOSTILE, tier="warn"), run=HOSTILE, baseline=HOSTILE)
    for text in (comment_markdown(found, suite=HOSTILE), summary_markdown(found, suite=HOSTILE)):
        seen = Text(page(text))
        assert set(seen.tags) <= {
            "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li", "details", "summary",
            "pre", "sub",
        }  # fmt: skip
        assert [name for name, _ in seen.attributes if name not in ("style", "class")] == []
        assert [found for part in seen.plain for found in ACTS.findall(part)] == []
        assert not re.search(r"[\x00-\x08\x1b\u202e\ud800-\udfff]", text)
        assert len(seen.cells) == 5 + 2 * 5
        assert seen.tags.count("details") == 1
        assert seen.tags.count("h3") == 1


@given(st.text(alphabet=st.sampled_from("ab 1|`\\*_<>&@#![]()~:/-.\n"), max_size=40))
def test_text_is_shown_as_it_is(text):
    shown = "".join(Text(page(f"x {inline(text)} y")).plain).strip().replace("\u200b", "")
    want = text.replace("\n", "⏎")
    assert shown.split() == f"x {want} y".split()
    if text.strip():
        _, cell = Text(page(f"| head |\n|---|\n| {code(text, cell=True)} |")).cells
        assert cell.split() == want.split()


@pytest.mark.parametrize("name", ["plain", "a--b", "-->", "a\nb", "ü@team"])
def test_the_mark_is_one_comment_that_shows_nothing(name):
    assert Text(page(f"{marker_of(name)}\n### x\n")).tags == ["h3"]
    assert "".join(Text(page(marker_of(name))).plain).strip() == ""
    assert marker_of(name) != marker_of(name + "2")


@pytest.mark.parametrize("text", [HOSTILE * 5, "<|" * 700, "`" * 900])
def test_a_long_gate_stays_within_what_github_takes(text):
    many = outcome(*(verdict(text=f"{i} {text}") for i in range(400)))
    text = comment_markdown(many, suite="s")
    assert len(text) < 65_536
    assert "more rules; all stand in the report" in text
    assert Text(page(text)).tags.count("details") == 1


def test_the_chart_is_named_or_shown():
    found = outcome(verdict())
    assert "`gate.svg`" in comment_markdown(found, suite="s", chart="gate.svg")
    shown = Text(page(comment_markdown(found, suite="s", chart='https://x.example/a"b>.svg', linked=True)))
    assert ("src", "https://x.example/ab.svg") in shown.attributes


def test_a_gate_without_rules_and_one_that_passes():
    assert "It has no rules." in gate_markdown(outcome(state="pass"), suite="s")
    text = gate_markdown(outcome(verdict("pass"), state="pass"), suite="s")
    assert "Its one rule holds." in text
    assert "**Why**" not in text
