import json

import pytest

from evalharness.cli.main import main
from evalharness.core.types import Verdict
from evalharness.gate import GateOutcome
from evalharness.gate.annotations import annotation_lines

HOSTILE = "50%0A a:b,c::d\r\n::error::forged\n##[add-mask]x\x1b[2J\ud800"


def outcome(*pairs, text="plain", state="fail"):
    verdicts = tuple(
        Verdict(f"rule {text}", s, tier, f"because {text}", "t", "m", "acc", 0.5, 0.4, 0.6, 0.7, n=3)
        for s, tier in pairs
    )
    return GateOutcome("run", None, verdicts, (None,) * len(verdicts), state, "point", 0.95)


def parsed(line):
    """As the runner reads it: command, properties, message."""
    head, _, message = line.removeprefix("::").partition("::")
    command, _, given = head.partition(" ")
    properties = dict(pair.split("=", 1) for pair in given.split(","))

    def back(text, signs):
        for code, sign in signs:
            text = text.replace(code, sign)
        return text

    data = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]
    return (
        command,
        {k: back(v, [("%3A", ":"), ("%2C", ","), *data]) for k, v in properties.items()},
        back(message, data),
    )


def test_the_level_says_what_the_exit_code_says():
    found = outcome(
        ("fail", "block"), ("inconclusive", "block"), ("fail", "warn"), ("inconclusive", "info"), ("pass", "block")
    )
    lines = [parsed(line) for line in annotation_lines(found, suite="s")]
    assert [command for command, _, _ in lines] == ["error", "error", "warning", "notice"]
    assert lines[0] == ("error", {"title": "Gate of s: fail"}, "rule plain: fail. because plain")
    passed = [parsed(line) for line in annotation_lines(outcome(("pass", "block"), state="pass"), suite="s")]
    assert passed == [("notice", {"title": "Gate of s: pass"}, "The blocking rule holds.")]


def test_no_text_ends_its_command_or_begins_another():
    (line,) = annotation_lines(outcome(("fail", "block"), text=HOSTILE), suite=HOSTILE)
    assert line.isprintable()
    assert "\n" not in line
    command, properties, message = parsed(line)
    assert (command, list(properties)) == ("error", ["title"])
    assert properties["title"].startswith("Gate of 50%0A a:b,c::d")
    assert "because 50%0A a:b,c::d" in message


def test_no_more_than_github_shows():
    lines = annotation_lines(outcome(*[("fail", "block")] * 25, ("fail", "warn")), suite="s")
    assert [line.split()[0] for line in lines] == ["::error"] * 10 + ["::warning"]
    assert "and 16 more rules" in lines[9]


def test_they_are_attached_to_the_suite_where_it_is_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    (tmp_path / "a,b" / "s.yaml").touch()
    found = outcome(("fail", "block"))
    environ = {"GITHUB_WORKSPACE": str(tmp_path)}
    (line,) = annotation_lines(found, suite="s", suite_path="a,b/../a,b/s.yaml", environ=environ)
    assert parsed(line)[1]["file"] == "a,b/s.yaml"
    for path, where in (("missing.yaml", environ), ("a,b/s.yaml", {}), ("/etc/hostname", environ), (None, environ)):
        (line,) = annotation_lines(found, suite="s", suite_path=path, environ=where)
        assert "file=" not in line


@pytest.mark.parametrize(
    ("option", "inside", "printed"),
    [("auto", True, True), ("auto", False, False), ("never", True, False), ("always", False, True)],
)
def test_when_they_are_printed(make_run, tmp_path, monkeypatch, capsys, option, inside, printed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if inside else "")
    record = make_run([False] * 20, gates={"rules": [{"metric": "qa.accuracy", "at_least": 0.8}]})
    assert main(["gate", str(record.folder), "--json", "--annotations", option]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["state"] == "fail"  # what a program reads is JSON and nothing else
    assert shown.err.startswith("::error ") is printed


def test_the_files_of_a_gate(make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = make_run([False] * 20, gates={"rules": [{"metric": "qa.accuracy", "at_least": 0.8}]})
    command = ["gate", str(record.folder), "--comment", "out/gate.md", "--verdict", "out/v.json"]
    assert main(command) == 1
    assert "Gate of suite: fail" in (tmp_path / "out" / "gate.md").read_text(encoding="utf-8")
    assert "`gate.svg`" in (tmp_path / "out" / "gate.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "gate.svg").read_text(encoding="utf-8").startswith("<svg")
    body = json.loads((tmp_path / "out" / "v.json").read_text(encoding="utf-8"))
    assert (body["suite"], body["state"], body["exit_code"], body["run_id"]) == ("suite", "fail", 1, record.id)
    assert main([*command, "--chart-url", "https://x.example/g.svg"]) == 1
    assert "(<https://x.example/g.svg>)" in (tmp_path / "out" / "gate.md").read_text(encoding="utf-8")
    assert main(["gate", str(record.folder), "--comment", "out/gate.svg"]) == 2
    assert "end it in .md" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["gate", str(record.folder), "--verdict", "file/v.json"]) == 2
    assert "cannot be written" in capsys.readouterr().err
