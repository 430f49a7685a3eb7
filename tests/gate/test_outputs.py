import json
import math
import xml.etree.ElementTree as ET

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Verdict
from evalharness.gate import GateOutcome, junit_xml, publish, summary_markdown
from evalharness.gate.summary import append_summary

NASTY = "\x00\x1b[31m<b>&\"'|`*_\ud800\u2028￿]]> @everyone"


def outcome(*states, tier="block", text="plain"):
    verdicts = tuple(
        Verdict(f"rule {i} {text}", state, tier, f"because {text}", f"task{text}", "m", "acc", 0.5, 0.4, 0.6, 0.7, n=3)
        for i, state in enumerate(states)
    )
    state = "pass" if tier != "block" else next((s for s in ("fail", "inconclusive") if s in states), "pass")
    return GateOutcome(f"run-{text}", None, verdicts, (None,) * len(verdicts), state, "point", 0.95)


def test_junit_has_a_case_a_verdict():
    tree = ET.fromstring(junit_xml(outcome("pass", "fail", "inconclusive"), suite="s").encode())
    (suite,) = tree.findall("testsuite")
    for element in (tree, suite):
        assert {k: element.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
            "tests": "3",
            "failures": "1",
            "errors": "1",
            "skipped": "0",
        }
    cases = suite.findall("testcase")
    assert [c.get("classname") for c in cases] == ["s.taskplain.m"] * 3
    assert [[e.tag for e in c] for c in cases] == [["system-out"], ["failure", "system-out"], ["error", "system-out"]]
    assert cases[1].find("failure").get("message") == "because plain"


@pytest.mark.parametrize("tier", ["warn", "info"])
def test_junit_never_fails_a_build_for_other_tiers(tier):
    tree = ET.fromstring(junit_xml(outcome("fail", "inconclusive", "pass", tier=tier), suite="s").encode())
    assert tree.get("failures") == tree.get("errors") == "0"
    assert tree.get("skipped") == "2"
    assert tier in tree.find(".//skipped").get("message")


def test_junit_follows_the_common_schema():
    """The order and attributes of the schema that Jenkins and the windyroad project publish."""
    tree = ET.fromstring(junit_xml(outcome("pass", "fail"), suite="s").encode())
    suite = tree.find("testsuite")
    assert [child.tag for child in suite] == ["properties", "testcase", "testcase"]
    assert {"name", "tests", "failures", "errors", "time"} <= set(suite.attrib)
    for case in suite.findall("testcase"):
        assert {"name", "classname", "time"} == set(case.attrib)
        assert float(case.get("time")) == 0


def test_junit_survives_any_text():
    text = junit_xml(outcome("fail", text=NASTY), suite=NASTY)
    tree = ET.fromstring(text.encode("utf-8"))
    name = tree.find(".//testcase").get("name")
    assert "<b>&\"'" in name
    assert "\\x00" in name
    assert "\\x1b" in name
    assert "\\ud800" in name


def test_empty_outcome_is_valid():
    tree = ET.fromstring(junit_xml(outcome(), suite="s").encode())
    assert tree.get("tests") == "0"
    assert "| rule |" not in summary_markdown(outcome(), suite="s")


def test_summary_is_a_table_that_no_text_breaks():
    text = summary_markdown(outcome("pass", "fail", text=NASTY + "\n\n# heading"), suite=NASTY)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    unescaped = [row.replace("\\|", "") for row in rows]
    assert {row.count("|") for row in unescaped} == {7}
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "\x1b" not in text
    assert "\n# heading" not in text


def test_summary_is_appended(tmp_path):
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    environ = {"GITHUB_STEP_SUMMARY": str(target)}
    assert append_summary(outcome("fail", text=NASTY), suite="s", environ=environ)
    assert append_summary(outcome("pass"), suite="s", environ=environ)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("before\n### Gate of s: ❌ fail")
    assert text.count("### Gate") == 2
    assert not append_summary(outcome("pass"), suite="s", environ={})


def test_summary_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UsageError, match="GITHUB_STEP_SUMMARY"):
        append_summary(outcome("pass"), suite="s", environ={"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "x")})


def test_publish_writes_everything(make_run, tmp_path):
    record = make_run([True] * 5)
    junit = tmp_path / "deep" / "junit.xml"
    summary = tmp_path / "s.md"
    path = publish(outcome("fail"), record, junit=junit, environ={"GITHUB_STEP_SUMMARY": str(summary)})
    assert path == record.folder / "gate.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    assert (body["state"], body["exit_code"], body["schema_version"]) == ("fail", 1, 1)
    assert ET.parse(junit).getroot().get("failures") == "1"
    assert "fail" in summary.read_text(encoding="utf-8")


def test_gate_json_survives_any_text(make_run):
    record = make_run([True] * 5)
    odd = outcome("fail", text=NASTY)
    body = json.loads(odd.write(record.folder).read_text(encoding="utf-8"))
    assert body["verdicts"][0]["reason"] == f"because {NASTY}"


def test_reason_of_the_whole():
    assert outcome("fail", "fail").reason == "because plain (and 1 more)"
    assert outcome("inconclusive", "pass").reason == "because plain"
    assert outcome("pass", "pass").reason == "All 2 blocking rules hold."
    assert outcome("pass").reason == "The blocking rule holds."
    assert math.isfinite(outcome("pass").verdicts[0].value)
