"""Definitions: from a suite or a file of their own, with the place of all that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.errors import SuiteError
from evalharness.monitor.define import load_definition
from evalharness.monitor.measure import check_columns
from evalharness.monitor.schedule import Schedule

Write = Callable[..., Path]

SUITE = """\
version: 1
name: demo
models: {echo: {backend: fake, reply: hi}}
datasets: {lines: {rows: [{q: a}]}}
tasks: [{id: copy, dataset: lines, prompt: "{{ q }}", metrics: [exact_match], reference: hi}]
"""


def problems(path: Path) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        check_columns(load_definition(path))
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_file_of_its_own_and_a_suite_say_the_same(monitor_file: Write, tmp_path: Path) -> None:
    own = load_definition(monitor_file('schedule: "*/5 * * * *"\n'))
    (tmp_path / "suite.yaml").write_text(
        f'{SUITE}monitor:\n  name: bot\n  source: {{path: log.jsonl}}\n  schedule: "*/5 * * * *"\n'
    )
    suite = load_definition(tmp_path / "suite.yaml")
    assert suite.suite is not None
    assert (own.name, own.digest, own.schedule) == (suite.name, suite.digest, suite.schedule)


def test_the_name_of_a_suites_monitor_is_the_suites(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(f"{SUITE}monitor: {{source: {{path: log.jsonl}}}}\n")
    assert load_definition(tmp_path / "suite.yaml").name == "demo"


def test_a_monitor_names_its_suite(monitor_file: Write, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    loaded = load_definition(monitor_file("suite: suite.yaml\n"))
    assert loaded.suite is not None
    assert loaded.suite.suite.name == "demo"
    assert problems(monitor_file("suite: other.yaml\n")) == [
        "3:8 suite: there is no file 'other.yaml' beside monitor.yaml"
    ]


def test_a_suite_without_a_monitor_is_none(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    (said,) = problems(tmp_path / "suite.yaml")
    assert said.startswith("1:1 monitor: the suite has no `monitor`; add it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'schedule: "61 * * * *"',
            "3:11 schedule: '61 * * * *' is no cron expression (not a minute); write five fields",
        ),
        ("schedule: hourly", "3:11 schedule: 'hourly' is no cron expression: it has 1 fields; five fields, as in"),
        ('schedule: "0 0 30 2 *"', "3:11 schedule: '0 0 30 2 *' is no cron expression (not a day-of-month)"),
        (
            "timezone: Europe/Berln",
            "3:11 timezone: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        ("interval: 7 days", "3:11 interval: '7 days' is no length of time; write a number and s, min, h, d or w: 7d"),
        (
            "reference: prevous",
            "3:12 reference: 'prevous' is nothing that intervals can be compared with; did you mean 'pre",
        ),
        ("reference: {window: yesterday}", "3:21 reference.window: 'yesterday' is no interval; write START/END"),
        ("reference: {window: a/b}", "3:21 reference.window: 'a' is no time of ISO 8601"),
        ("reference: 7", "3:12 reference: must be a mapping or a word"),
        ("reference: {runn: a@b}", "3:12 reference: give exactly one of previous, same_slot_last_week, {run: …}, "),
        ("columns: [latncy_s]", "3:11 columns[0]: there is no column 'latncy_s'; did you mean 'latency_s'?"),
        ("catch_up: some", "3:11 catch_up: must be one of none, latest, all, but is 'some'"),
        ("jitter_s: -1", "3:11 jitter_s: must be at least 0, but is the number -1"),
        ("columms: [latency_s]", "3:1 columms: unknown key 'columms'; did you mean 'columns'?"),
        ("drift: {alfa: 0.1}", "3:9 drift.alfa: unknown key 'alfa'; did you mean 'alpha'?"),
        ("drift: {alpha: 2}", "3:16 drift.alpha: must be less than 0.5, but is the number 2"),
        ('description: "${env:SECRET}"', "3:14 description: ${env:NAME} is allowed only in"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(monitor_file: Write, text: str, said: str) -> None:
    (problem,) = problems(monitor_file(f"{text}\n"))
    assert problem.startswith(said)


def test_all_problems_are_said_at_once(monitor_file: Write) -> None:
    found = problems(monitor_file("timezone: Mars\nschedule: x\ncolour: red\n"))
    assert [problem.split(" ")[1] for problem in found] == ["timezone:", "schedule:", "colour:"]


def test_a_monitor_needs_a_name(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("source: {path: log.jsonl}\n")
    assert problems(tmp_path / "m.yaml") == ["1:1 name: is missing; add it, such as name: support-bot"]


def test_values_can_be_set_from_outside(monitor_file: Write) -> None:
    assert load_definition(monitor_file(), overrides=["lateness_s=5"]).monitor.lateness_s == 5.0


def test_the_jitter_goes_by_the_name_alone() -> None:
    from evalharness.suite.monitor_entry import Monitor

    def jitter(name: str, most: float = 600.0) -> float:
        text = f'{{"name": "{name}", "source": {{"path": "x"}}, "jitter_s": {most}}}'
        return Schedule.of(Monitor.model_validate_json(text, strict=True)).jitter_s

    assert jitter("a") == jitter("a")
    many = [jitter(f"m{i}") for i in range(200)]
    assert all(0 <= one < 600 for one in many)
    assert 240 < sum(many) / len(many) < 360
    assert jitter("a", 0.0) == 0.0
