import json
import math
import re
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
        assert [element.get(k) for k in ("tests", "failures", "errors")] == ["3", "1", "1"]
    assert suite.get("skipped") == "0"
    cases = suite.findall("testcase")
    assert [c.get("classname") for c in cases] == ["s.taskplain.m"] * 3
    assert [[e.tag for e in c] for c in cases] == [["system-out"], ["failure", "system-out"], ["error", "system-out"]]
    assert cases[1].find("failure").get("message") == "because plain"


@pytest.mark.parametrize("tier", ["warn", "info"])
def test_junit_never_fails_a_build_for_other_tiers(tier):
    tree = ET.fromstring(junit_xml(outcome("fail", "inconclusive", "pass", tier=tier), suite="s").encode())
    assert tree.get("failures") == tree.get("errors") == "0"
    assert tree.find("testsuite").get("skipped") == "2"
    assert tier in tree.find(".//skipped").get("message")


# What the schema of Jenkins's xUnit plugin (junit-10.xsd) allows of what we write: attributes, and children.
JENKINS = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}
NEEDED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}, "property": {"name", "value"}}


@pytest.mark.parametrize("tier", ["block", "warn"])
def test_junit_follows_the_common_schema(tier):
    tree = ET.fromstring(junit_xml(outcome("pass", "fail", "inconclusive", tier=tier), suite="s").encode())
    for element in tree.iter():
        attributes, children = JENKINS[element.tag]
        assert NEEDED.get(element.tag, set()) <= set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
    for case in tree.iter("testcase"):
        assert re.fullmatch(r"[0-9]+(\.[0-9]{0,3})?", case.get("time"))


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


def test_summary_is_appended(tmp_path):
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    environ = {"GITHUB_STEP_SUMMARY": str(target)}
    assert append_summary(outcome("fail", text=NASTY), suite="s", environ=environ)
    assert append_summary(outcome("pass"), suite="s", environ=environ)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("before\n### ❌ Gate of s: fail")
    assert text.count(" Gate of s: ") == 2
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
